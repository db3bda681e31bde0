#pragma once

#include <memory>

#include "cri/streaming/context.h"
#include "cri/streaming/tokens.h"
#include "cri/streaming/transport.h"

namespace wherry::streaming {

// Serves an exec or attach over SPDY. `version` is the 1 to 4 of (vN.)channel.k8s.io.
std::shared_ptr<Stoppable> ServeSpdyRemote(Context& context, std::unique_ptr<Transport> transport, Request request,
                                           int version);

}  // namespace wherry::streaming

#pragma once

#include <memory>
#include <string>

#include "cri/streaming/context.h"
#include "cri/streaming/transport.h"

namespace wherry::streaming {

// Serves a port-forward (portforward.k8s.io) over SPDY.
std::shared_ptr<Stoppable> ServeSpdyForward(Context& context, std::unique_ptr<Transport> transport, std::string pod);

}  // namespace wherry::streaming

#pragma once

#include <memory>
#include <string>

#include "cri/streaming/context.h"
#include "cri/streaming/tokens.h"
#include "cri/streaming/websocket.h"

namespace wherry::streaming {

// `protocol` is the sub-protocol agreed on; "" is channel.k8s.io. The handshake is over.
std::shared_ptr<Stoppable> ServeWsRemote(Context& context, std::shared_ptr<WebSocket> socket, Request request,
                                         const std::string& protocol);
std::shared_ptr<Stoppable> ServeWsForward(Context& context, std::shared_ptr<WebSocket> socket, const Request& request,
                                          const std::string& protocol);

}  // namespace wherry::streaming

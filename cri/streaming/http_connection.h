#pragma once

#include <functional>
#include <memory>

#include "cri/streaming/context.h"
#include "cri/streaming/tokens.h"
#include "cri/streaming/transport.h"

namespace wherry::streaming {

// What a new connection does before it is a session: one request head of at most 16 KiB, within 30 s, and its answer.
struct HttpEvents {
  std::function<void(std::shared_ptr<Stoppable>)> on_session;
  std::function<void()> on_end;  // once, when the connection has become a session, or nothing
};
void ServeHttp(Context& context, Tokens& tokens, std::unique_ptr<Transport> transport, HttpEvents events);

}  // namespace wherry::streaming

#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cri/streaming/tokens.h"

// What an HTTP request is answered with, before any connection: pure functions.
namespace wherry::streaming {

// The head of a request, as far as it matters. Several headers of a name are joined by commas, as RFC 9110 5.3 allows.
struct Head {
  std::string method{}, target{};
  std::string connection{}, upgrade{}, stream_protocols{}, socket_protocols{};
};

// A refusal, or how to go on.
struct Answer {
  enum class How { kRefuse, kSpdy, kWebSocket, kTunnel } how = How::kRefuse;
  std::string protocol{};  // agreed on; for a WebSocket "" when the client named none
  int code = 400;          // of a refusal
  std::string text{};      // its body
  std::string headers{};   // and more headers, each with its CRLF
};

// The kind and token that a target names. False when it names none.
bool ParseTarget(absl::string_view target, Kind* kind, std::string* token);
// How the upgrade that `head` asks for goes on.
Answer Negotiate(Kind kind, const Head& head);
// A whole response for a refusal.
std::string Render(const Answer& answer);

}  // namespace wherry::streaming

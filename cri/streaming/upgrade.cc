#include "cri/streaming/upgrade.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace wherry::streaming {
namespace {

constexpr absl::string_view kTunnel = "SPDY/3.1+portforward.k8s.io";

std::vector<std::string> List(absl::string_view text) {
  std::vector<std::string> out;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (!part.empty()) out.emplace_back(part);
  }
  return out;
}

// The first of the client's that we know; "" for none.
std::string Choose(const std::vector<std::string>& theirs, const std::vector<std::string>& ours) {
  for (const std::string& name : theirs)
    if (std::find(ours.begin(), ours.end(), name) != ours.end()) return name;
  return "";
}

const std::vector<std::string>& SpdyProtocols(Kind kind) {
  static const std::vector<std::string> remote = {"v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io",
                                                  "channel.k8s.io"};
  static const std::vector<std::string> forward = {"portforward.k8s.io"};
  return kind == Kind::kPortForward ? forward : remote;
}

const std::vector<std::string>& SocketProtocols(Kind kind) {
  static const std::vector<std::string> remote = {"v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io",
                                                  "channel.k8s.io", "base64.channel.k8s.io"};
  static const std::vector<std::string> forward = {std::string(kTunnel), "v4.channel.k8s.io",
                                                   "v4.base64.channel.k8s.io", "portforward.k8s.io"};
  return kind == Kind::kPortForward ? forward : remote;
}

Answer Refuse(int code, std::string text, std::string headers = "") {
  return {Answer::How::kRefuse, "", code, std::move(text), std::move(headers)};
}

Answer NegotiateSpdy(Kind kind, const Head& head) {
  const std::vector<std::string> theirs = List(head.stream_protocols);
  if (theirs.empty()) return Refuse(400, "unable to upgrade: the request has no X-Stream-Protocol-Version");
  const std::string protocol = Choose(theirs, SpdyProtocols(kind));
  if (protocol.empty()) {
    std::string accepted;
    for (const std::string& name : SpdyProtocols(kind))
      absl::StrAppend(&accepted, "X-Accepted-Stream-Protocol-Versions: ", name, "\r\n");
    return Refuse(403,
                  absl::StrCat("unable to upgrade: no common protocol; server accepts ",
                               absl::StrJoin(SpdyProtocols(kind), ", ")),
                  accepted);
  }
  if (!absl::StrContains(absl::AsciiStrToLower(head.connection), "upgrade") ||
      !absl::StrContains(absl::AsciiStrToLower(head.upgrade), "spdy/3.1"))
    return Refuse(400, "unable to upgrade: Connection: Upgrade and Upgrade: SPDY/3.1 or websocket are needed");
  return {Answer::How::kSpdy, protocol, 101, "", ""};
}

}  // namespace

bool ParseTarget(absl::string_view target, Kind* kind, std::string* token) {
  target = target.substr(0, target.find('?'));
  const std::vector<absl::string_view> parts = absl::StrSplit(target, '/');
  if (parts.size() != 3 || !parts[0].empty() || parts[2].empty()) return false;
  if (parts[1] == "exec") {
    *kind = Kind::kExec;
  } else if (parts[1] == "attach") {
    *kind = Kind::kAttach;
  } else if (parts[1] == "portforward") {
    *kind = Kind::kPortForward;
  } else {
    return false;
  }
  *token = std::string(parts[2]);
  return true;
}

Answer Negotiate(Kind kind, const Head& head) {
  if (!absl::EqualsIgnoreCase(head.upgrade, "websocket") ||
      !absl::StrContains(absl::AsciiStrToLower(head.connection), "upgrade"))
    return NegotiateSpdy(kind, head);
  const std::vector<std::string> theirs = List(head.socket_protocols);
  const std::string protocol = Choose(theirs, SocketProtocols(kind));
  if (protocol.empty() && !theirs.empty())
    return Refuse(403, absl::StrCat("unable to upgrade: no common protocol; server accepts ",
                                    absl::StrJoin(SocketProtocols(kind), ", ")));
  return {protocol == kTunnel ? Answer::How::kTunnel : Answer::How::kWebSocket, protocol, 101, "", ""};
}

std::string Render(const Answer& answer) {
  const char* reason = answer.code == 400   ? "Bad Request"
                       : answer.code == 403 ? "Forbidden"
                       : answer.code == 404 ? "Not Found"
                       : answer.code == 405 ? "Method Not Allowed"
                                            : "Error";
  return absl::StrCat("HTTP/1.1 ", answer.code, " ", reason, "\r\nContent-Type: text/plain; charset=utf-8\r\n",
                      answer.headers, "Content-Length: ", answer.text.size() + 1, "\r\nConnection: close\r\n\r\n",
                      answer.text, "\n");
}

}  // namespace wherry::streaming

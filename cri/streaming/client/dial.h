#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cri/streaming/spdy_link.h"

namespace wherry::streaming {

// What a remote command's and a port-forward's client asks for.
inline constexpr char kRemoteProtocol[] = "v4.channel.k8s.io";
inline constexpr char kForwardProtocol[] = "portforward.k8s.io";

// Connects to a URL of Exec, Attach or PortForward, http or https, and upgrades to SPDY/3.1 with `protocol`; `ca_file` is a PEM file
// of whom to trust, "" for the host's own. Blocks for up to 30 s, in which `io` runs. Unavailable when nobody answers; else what the
// server said when it refused.
absl::StatusOr<std::shared_ptr<SpdyLink>> Dial(asio::io_context& io, const std::string& url,
                                               const std::string& protocol, const std::string& ca_file);

}  // namespace wherry::streaming

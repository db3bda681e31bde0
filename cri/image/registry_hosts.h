#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/http_transport.h"

// Which hosts serve a registry's images, in order, as containerd's `config_path` directories say: `hosts.toml` is what installers
// write, and so the format, the search order and the defaults are containerd's (docs/hosts.md, core/remotes/docker/config). One
// difference: a file that cannot be understood is an error here and not passed over, since it may hold the only safe route.
namespace wherry::image {

struct RegistryHost {
  std::string scheme, host, path;  // "https", "mirror:5000", "/v2"
  bool resolve = true, pull = true;
  std::vector<std::string> headers;  // "Name: value"; can be secret
  std::shared_ptr<const TlsOptions> tls;
  absl::Duration dial_timeout = absl::Seconds(30);
  bool is_proxy = false;                            // not the registry itself: asked with ?ns=
  std::string source;                               // the file that says so, or "default"; for people
  std::vector<std::string> ca_files, client_files;  // whose contents are in `tls`; for people

  std::string Base() const { return scheme + "://" + host + path; }
};

// `config_path` is a list of directories separated by colons; `domain` a reference's ("docker.io", "localhost:5000"). The first
// directory that has <domain>, or _default, wins. InvalidArgument names file and key.
absl::StatusOr<std::vector<RegistryHost>> RegistryHosts(const std::string& config_path, const std::string& domain);

// The host that serves `domain` when nothing else is said: "registry-1.docker.io" for docker.io.
std::string DefaultHost(const std::string& domain);

}  // namespace wherry::image

// wherry image explain: what a pull would do, from the same files and by the same code as wherry-pull, but on this side of the socket:
// it tells an operator why an image comes from a mirror, or does not, on a node where wherryd does not even run. Secrets are the
// values of headers and the contents of key files; neither is printed. Credentials are not in any file of wherry's: the kubelet
// sends them with each pull, so that only the hosts which would get them can be named.

#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cri/cli/commands.h"
#include "cri/config/config.h"
#include "cri/image/reference.h"
#include "cri/image/registry_hosts.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

using image::RegistryHost;

std::vector<std::string> Capabilities(const RegistryHost& host) {
  std::vector<std::string> out;
  if (host.resolve) out.emplace_back("resolve");
  if (host.pull) out.emplace_back("pull");
  return out;
}

// What it is asked for in a pull of this reference: a tag is resolved, all else is had by digest.
std::string Use(const RegistryHost& host, const image::Reference& reference) {
  if (reference.digest.empty() && !host.resolve) return host.pull ? "what has a digest, not the tag" : "nothing";
  if (!host.pull) return reference.digest.empty() ? "the tag only" : "nothing";
  return "all";
}

std::vector<std::string> HeaderNames(const RegistryHost& host) {
  std::vector<std::string> names;
  for (const std::string& line : host.headers) names.push_back(line.substr(0, line.find(':')));
  return names;
}

std::string Server(const RegistryHost& host) {
  if (host.scheme == "http") return "none (plain HTTP)";
  if (host.tls != nullptr && host.tls->skip_verify) return "not verified (skip_verify)";
  if (host.ca_files.empty()) return "verified by the system's roots";
  return absl::StrCat("verified by the system's roots and ", absl::StrJoin(host.ca_files, ", "));
}

std::string OrNone(const std::vector<std::string>& items) {
  return items.empty() ? "none" : absl::StrJoin(items, ", ");
}

std::string Text(const image::Reference& reference, const std::vector<RegistryHost>& hosts) {
  std::string out = absl::StrCat(reference.digest.empty() ? reference.Tagged() : reference.Digested(),
                                 " is asked for at, in order:\n");
  for (size_t i = 0; i < hosts.size(); ++i) {
    const RegistryHost& h = hosts[i];
    absl::StrAppend(&out, i + 1, ". ", h.Base(), "\n");
    const auto line = [&](absl::string_view key, absl::string_view value) {
      absl::StrAppend(&out, "   ", key, std::string(20 - key.size(), ' '), value, "\n");
    };
    line("said by", h.source);
    line("role", h.is_proxy ? absl::StrCat("mirror, told ?ns=", reference.domain) : "the registry itself");
    line("asked for", Use(h, reference));
    line("capabilities", OrNone(Capabilities(h)));
    line("credentials", h.is_proxy ? "never" : "those that come with the pull");
    line("server certificate", Server(h));
    line("client certificate", OrNone(h.client_files));
    line("headers", h.headers.empty() ? "none" : absl::StrCat(OrNone(HeaderNames(h)), " (values not shown)"));
    line("time to connect", absl::FormatDuration(h.dial_timeout));
  }
  return out;
}

nlohmann::json Json(const image::Reference& reference, const std::vector<RegistryHost>& hosts) {
  auto list = nlohmann::json::array();
  for (const RegistryHost& h : hosts)
    list.push_back({{"url", h.Base()},
                    {"source", h.source},
                    {"mirror", h.is_proxy},
                    {"capabilities", Capabilities(h)},
                    {"credentials", !h.is_proxy},
                    {"caFiles", h.ca_files},
                    {"clientFiles", h.client_files},
                    {"skipVerify", h.tls != nullptr && h.tls->skip_verify},
                    {"headers", HeaderNames(h)},
                    {"dialTimeout", absl::FormatDuration(h.dial_timeout)}});
  return {{"reference", reference.digest.empty() ? reference.Tagged() : reference.Digested()}, {"hosts", list}};
}

}  // namespace

absl::StatusOr<int> ExplainImage(const std::string& image, const std::string& config_file, Output output) {
  config::Config config;
  if (::access(config_file.c_str(), F_OK) == 0) {
    ASSIGN_OR_RETURN(config, config::Load(config_file));
  }
  ASSIGN_OR_RETURN(image::Reference reference, image::ParseReference(image));
  ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts,
                   image::RegistryHosts(config.registry.config_path, reference.domain));
  if (output == Output::kJson)
    std::cout << Json(reference, hosts).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  else
    std::cout << Text(reference, hosts);
  return 0;
}

}  // namespace wherry::cli

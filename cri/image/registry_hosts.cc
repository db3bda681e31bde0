#include "cri/image/registry_hosts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr char kSystemRoots[] = "/etc/ssl/certs/ca-certificates.crt";

bool IsDirectory(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

absl::StatusOr<std::string> ReadText(const std::string& path) { return sys::ReadFileAt(AT_FDCWD, path); }

bool IsLocalhost(absl::string_view domain) {
  absl::string_view name = domain;
  if (const size_t close = name.find(']'); close != absl::string_view::npos)
    name = name.substr(1, close - 1);
  else
    name = name.substr(0, name.find(':'));
  return name == "localhost" || name == "::1" || absl::StartsWith(name, "127.");
}

// The names of a host's directory, in the order of search; a port is also written "host_5000_".
std::vector<std::string> DirectoryNames(const std::string& domain) {
  std::vector<std::string> names;
  if (const size_t colon = domain.rfind(':'); colon != std::string::npos && colon > 0)
    names.push_back(absl::StrCat(domain.substr(0, colon), "_", domain.substr(colon + 1), "_"));
  names.push_back(domain);
  names.push_back("_default");
  return names;
}

std::string FindDirectory(const std::string& config_path, const std::string& domain) {
  for (absl::string_view root : absl::StrSplit(config_path, ':', absl::SkipEmpty()))
    for (const std::string& name : DirectoryNames(domain))
      if (std::string path = absl::StrCat(root, "/", name); IsDirectory(path)) return path;
  return "";
}

// What one [host] section, or the top of the file, says.
class Section {
 public:
  Section(const toml::table& table, std::string dir, std::string file)
      : table_(table), dir_(std::move(dir)), file_(std::move(file)) {}

  absl::StatusOr<RegistryHost> Read(const std::string& server) {
    RegistryHost host;
    host.source = file_;
    RETURN_IF_ERROR(CheckKeys());
    ASSIGN_OR_RETURN(const bool override_path, Bool("override_path"));
    if (!server.empty()) RETURN_IF_ERROR(SetServer(server, override_path, host));
    RETURN_IF_ERROR(SetCapabilities(host));
    RETURN_IF_ERROR(SetHeaders(host));
    RETURN_IF_ERROR(SetTimeout(host));
    RETURN_IF_ERROR(SetTls(host));
    return host;
  }

 private:
  absl::Status Bad(absl::string_view key, absl::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat(file_, ": ", key, ": ", why));
  }

  absl::Status CheckKeys() const {
    static constexpr const char* kKnown[] = {"capabilities",  "ca",           "client", "skip_verify", "header",
                                             "override_path", "dial_timeout", "server", "host"};
    for (const auto& [key, value] : table_)
      if (std::find(std::begin(kKnown), std::end(kKnown), key.str()) == std::end(kKnown))
        return Bad(std::string(key.str()), "unknown key");
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Bool(const char* key) const {
    if (!table_.contains(key)) return false;
    if (std::optional<bool> value = table_[key].value_exact<bool>()) return *value;
    return Bad(key, "must be true or false");
  }

  // A string or a list of strings.
  absl::StatusOr<std::vector<std::string>> Strings(const char* key, const toml::node& node) const {
    std::vector<std::string> out;
    if (const auto* text = node.as_string()) return std::vector<std::string>{text->get()};
    if (const auto* list = node.as_array()) {
      for (const toml::node& item : *list) {
        if (!item.is_string()) return Bad(key, "must hold strings");
        out.push_back(item.as_string()->get());
      }
      return out;
    }
    return Bad(key, "must be a string or a list of strings");
  }

  absl::Status SetServer(const std::string& server, bool override_path, RegistryHost& host) const {
    const std::string url = absl::StartsWith(server, "http") ? server : absl::StrCat("https://", server);
    const size_t scheme = url.find("://");
    if (scheme == std::string::npos) return Bad("server", absl::StrCat("\"", server, "\" is no URL"));
    host.scheme = url.substr(0, scheme);
    if (host.scheme != "http" && host.scheme != "https")
      return Bad("server", absl::StrCat("\"", server, "\" is neither http nor https"));
    const size_t slash = std::min(url.find('/', scheme + 3), url.size());
    host.host = url.substr(scheme + 3, slash - scheme - 3);
    if (host.host.empty() || host.host.find_first_of("@?#\\ ") != std::string::npos)
      return Bad("server", "its host is malformed");
    host.path = std::string(absl::StripSuffix(url.substr(slash), "/"));
    if (!override_path && !absl::EndsWith(host.path, "/v2")) host.path += "/v2";
    return absl::OkStatus();
  }

  absl::Status SetCapabilities(RegistryHost& host) const {
    const toml::node* node = table_.get("capabilities");
    if (node == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::vector<std::string> names, Strings("capabilities", *node));
    if (names.empty()) return absl::OkStatus();
    host.resolve = host.pull = false;
    for (const std::string& raw : names) {
      const std::string name = absl::AsciiStrToLower(raw);
      if (name == "pull")
        host.pull = true;
      else if (name == "resolve")
        host.resolve = true;
      else if (name != "push" && name != "referrers")
        return Bad("capabilities", absl::StrCat("\"", raw, "\" is none of pull, resolve, push"));
    }
    return absl::OkStatus();
  }

  absl::Status SetHeaders(RegistryHost& host) const {
    if (!table_.contains("header")) return absl::OkStatus();
    const toml::table* headers = table_["header"].as_table();
    if (headers == nullptr) return Bad("header", "must be a table");
    for (const auto& [key, node] : *headers) {
      ASSIGN_OR_RETURN(std::vector<std::string> values, Strings("header", node));
      for (const std::string& value : values) {
        const std::string line = absl::StrCat(std::string(key.str()), ": ", value);
        if (line.find_first_of("\r\n") != std::string::npos) return Bad("header", "contains a line break");
        host.headers.push_back(line);
      }
    }
    return absl::OkStatus();
  }

  absl::Status SetTimeout(RegistryHost& host) const {
    if (!table_.contains("dial_timeout")) return absl::OkStatus();
    const auto* text = table_["dial_timeout"].as_string();
    if (text == nullptr || !absl::ParseDuration(text->get(), &host.dial_timeout) ||
        host.dial_timeout <= absl::ZeroDuration())
      return Bad("dial_timeout", "must be a duration like \"5s\"");
    return absl::OkStatus();
  }

  std::string Path(const std::string& path) const {
    return absl::StartsWith(path, "/") ? path : absl::StrCat(dir_, "/", path);
  }

  absl::Status AddRoots(RegistryHost& host, TlsOptions& tls) const {
    const toml::node* node = table_.get("ca");
    if (node == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::vector<std::string> files, Strings("ca", *node));
    if (absl::StatusOr<std::string> system = ReadText(kSystemRoots); system.ok()) tls.roots_pem = *system;
    for (const std::string& file : files) {
      ASSIGN_OR_RETURN_CTX(std::string pem, ReadText(Path(file)), absl::StrCat(file_, ": ca"));
      absl::StrAppend(&tls.roots_pem, "\n", pem);
      host.ca_files.push_back(Path(file));
    }
    return absl::OkStatus();
  }

  // "both.pem", ["both.pem"], or [["cert.pem", "key.pem"]].
  absl::Status AddClient(RegistryHost& host, TlsOptions& tls) const {
    const toml::node* node = table_.get("client");
    if (node == nullptr) return absl::OkStatus();
    std::vector<std::string> pair;
    const toml::array* list = node->as_array();
    if (list != nullptr && list->size() > 1)
      return absl::UnimplementedError(absl::StrCat(file_, ": client: more than one certificate for one host"));
    if (list != nullptr && !list->empty() && list->get(0)->is_array()) {
      ASSIGN_OR_RETURN(pair, Strings("client", *list->get(0)));
    } else {
      ASSIGN_OR_RETURN(pair, Strings("client", *node));
    }
    if (pair.size() > 2) return Bad("client", "must be a certificate, or a certificate and a key");
    for (const std::string& file : pair) {
      ASSIGN_OR_RETURN_CTX(std::string pem, ReadText(Path(file)), absl::StrCat(file_, ": client"));
      (tls.cert_pem.empty() ? tls.cert_pem : tls.key_pem) = pem;
      host.client_files.push_back(Path(file));
    }
    return absl::OkStatus();
  }

  absl::Status SetTls(RegistryHost& host) const {
    auto tls = std::make_shared<TlsOptions>();
    ASSIGN_OR_RETURN(tls->skip_verify, Bool("skip_verify"));
    RETURN_IF_ERROR(AddRoots(host, *tls));
    RETURN_IF_ERROR(AddClient(host, *tls));
    if (tls->skip_verify || !host.ca_files.empty() || !host.client_files.empty()) host.tls = std::move(tls);
    return absl::OkStatus();
  }

  const toml::table& table_;
  const std::string dir_, file_;
};

// The sections in the order of the file: a TOML table by itself has none, but its nodes know where they stood.
absl::StatusOr<std::vector<std::pair<std::string, const toml::table*>>> SortedHosts(const toml::table& root,
                                                                                    const std::string& file) {
  std::vector<std::pair<std::string, const toml::table*>> hosts;
  if (!root.contains("host")) return hosts;
  const toml::table* sections = root["host"].as_table();
  if (sections == nullptr) return absl::InvalidArgumentError(absl::StrCat(file, ": host: must be a table"));
  for (const auto& [key, node] : *sections) {
    if (!node.is_table())
      return absl::InvalidArgumentError(absl::StrCat(file, ": host \"", std::string(key.str()), "\": must be a table"));
    hosts.emplace_back(std::string(key.str()), node.as_table());
  }
  std::stable_sort(hosts.begin(), hosts.end(), [](const auto& a, const auto& b) {
    const toml::source_position at_a = a.second->source().begin, at_b = b.second->source().begin;
    return std::tie(at_a.line, at_a.column) < std::tie(at_b.line, at_b.column);
  });
  return hosts;
}

absl::StatusOr<std::vector<RegistryHost>> ParseHosts(const std::string& dir, const std::string& text) {
  const std::string file = dir + "/hosts.toml";
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", e.source().begin.line, ": ", std::string(e.description())));
  }
  std::vector<RegistryHost> hosts;
  ASSIGN_OR_RETURN(auto sections, SortedHosts(root, file));
  for (const auto& [server, table] : sections) {
    ASSIGN_OR_RETURN_CTX(RegistryHost host, Section(*table, dir, file).Read(server),
                         absl::StrCat("host \"", server, "\""));
    hosts.push_back(std::move(host));
  }
  if (root.contains("server") && !root["server"].is_string())
    return absl::InvalidArgumentError(absl::StrCat(file, ": server: must be a string"));
  ASSIGN_OR_RETURN(RegistryHost last, Section(root, dir, file).Read(root["server"].value_or(std::string())));
  hosts.push_back(std::move(last));
  return hosts;
}

// Docker's layout, without a hosts.toml: *.crt are roots, *.cert with the *.key of the same name the client's.
absl::StatusOr<std::vector<RegistryHost>> FromCertificateFiles(const std::string& dir) {
  RegistryHost host;
  host.source = dir;
  auto tls = std::make_shared<TlsOptions>();
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator at(dir, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename());
  if (error) return sys::Errno(absl::StrCat("read of \"", dir, "\""), error.value());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(dir, "/", name);
    if (absl::EndsWith(name, ".crt")) {
      ASSIGN_OR_RETURN(std::string pem, ReadText(path));
      if (tls->roots_pem.empty())
        if (absl::StatusOr<std::string> system = ReadText(kSystemRoots); system.ok()) tls->roots_pem = *system;
      absl::StrAppend(&tls->roots_pem, "\n", pem);
      host.ca_files.push_back(path);
    } else if (absl::EndsWith(name, ".cert")) {
      if (!tls->cert_pem.empty())
        return absl::UnimplementedError(absl::StrCat(dir, ": more than one client certificate"));
      ASSIGN_OR_RETURN(tls->cert_pem, ReadText(path));
      const std::string key = absl::StrCat(path.substr(0, path.size() - 5), ".key");
      if (!Exists(key)) return absl::NotFoundError(absl::StrCat(path, " has no \".key\" beside it"));
      ASSIGN_OR_RETURN(tls->key_pem, ReadText(key));
      host.client_files.push_back(path);
      host.client_files.push_back(key);
    }
  }
  if (!host.ca_files.empty() || !host.client_files.empty()) host.tls = std::move(tls);
  return std::vector<RegistryHost>{std::move(host)};
}

absl::StatusOr<std::vector<RegistryHost>> Configured(const std::string& dir) {
  if (dir.empty()) {
    RegistryHost host;
    host.source = "default";
    return std::vector<RegistryHost>{std::move(host)};
  }
  const std::string file = dir + "/hosts.toml";
  if (!Exists(file)) return FromCertificateFiles(dir);
  ASSIGN_OR_RETURN(std::string text, ReadText(file));
  if (text.empty()) return FromCertificateFiles(dir);
  return ParseHosts(dir, text);
}

}  // namespace

std::string DefaultHost(const std::string& domain) { return domain == "docker.io" ? "registry-1.docker.io" : domain; }

absl::StatusOr<std::vector<RegistryHost>> RegistryHosts(const std::string& config_path, const std::string& domain) {
  ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts, Configured(FindDirectory(config_path, domain)));
  if (!hosts.empty() && hosts.back().host.empty()) {
    RegistryHost& last = hosts.back();
    last.host = DefaultHost(domain);
    // Plain HTTP for what never leaves this machine; a certificate in its directory says otherwise.
    last.scheme = IsLocalhost(domain) && last.tls == nullptr ? "http" : "https";
    last.path = "/v2";
    last.resolve = last.pull = true;
  }
  for (RegistryHost& host : hosts) host.is_proxy = host.host != DefaultHost(domain) && host.host != domain;
  return hosts;
}

}  // namespace wherry::image

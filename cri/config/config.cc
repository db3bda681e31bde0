#include "cri/config/config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/un.h>
#include <toml++/toml.h>

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"

// Each section is read by naming its keys; what has not been named at the end is unknown and refused. So there is no
// second list of keys that could fall behind, and each complaint carries the line it is about.
namespace wherry::config {
namespace {

bool IsCleanAbsolute(const std::string& path) {
  if (path.empty() || path[0] != '/') return false;
  for (absl::string_view part : absl::StrSplit(path, '/'))
    if (part == "." || part == "..") return false;
  return path.find('\0') == std::string::npos;
}

class Section {
 public:
  // `prefix` is "" or "name.". `table` is null for a section that the file leaves out.
  Section(const toml::table* table, const std::string& file, std::string prefix)
      : table_(table), file_(file), prefix_(std::move(prefix)) {}

  absl::Status String(const char* key, std::string* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return absl::OkStatus();
    const auto* value = node->as_string();
    if (value == nullptr) return Error(*node, key, "must be a string");
    *out = value->get();
    return absl::OkStatus();
  }

  absl::Status Path(const char* key, std::string* out) {
    RETURN_IF_ERROR(String(key, out));
    if (IsCleanAbsolute(*out)) return absl::OkStatus();
    return Error(*Take(key), key, "must be an absolute path without \"..\"");
  }

  absl::Status PathOrNone(const char* key, std::string* out) {
    RETURN_IF_ERROR(String(key, out));
    return out->empty() ? absl::OkStatus() : Path(key, out);
  }

  // A literal of IPv4 or IPv6: a name could come to mean another host.
  absl::Status Address(const char* key, std::string* out) {
    RETURN_IF_ERROR(String(key, out));
    in6_addr ignored;
    if (::inet_pton(AF_INET, out->c_str(), &ignored) == 1 || ::inet_pton(AF_INET6, out->c_str(), &ignored) == 1)
      return absl::OkStatus();
    return Error(*Take(key), key, "must be an IP address");
  }

  absl::Status Paths(const char* key, std::vector<std::string>* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return absl::OkStatus();
    const toml::array* array = node->as_array();
    if (array == nullptr || array->empty()) return Error(*node, key, "must be a list of paths");
    out->clear();
    for (const toml::node& item : *array) {
      const auto* value = item.as_string();
      if (value == nullptr || !IsCleanAbsolute(value->get()))
        return Error(item, key, "must hold absolute paths without \"..\"");
      out->push_back(value->get());
    }
    return absl::OkStatus();
  }

  absl::Status Strings(const char* key, std::vector<std::string>* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return absl::OkStatus();
    const toml::array* array = node->as_array();
    if (array == nullptr) return Error(*node, key, "must be a list of strings");
    out->clear();
    for (const toml::node& item : *array) {
      const auto* value = item.as_string();
      if (value == nullptr || value->get().empty()) return Error(item, key, "must hold strings");
      out->push_back(value->get());
    }
    return absl::OkStatus();
  }

  template <class Number>
  absl::Status Integer(const char* key, int64_t low, int64_t high, Number* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return absl::OkStatus();
    const auto* value = node->as_integer();
    if (value == nullptr || value->get() < low || value->get() > high)
      return Error(*node, key, absl::StrCat("must be a whole number from ", low, " to ", high));
    *out = static_cast<Number>(value->get());
    return absl::OkStatus();
  }

  absl::Status OneOf(const char* key, const std::vector<std::string>& allowed, std::string* out) {
    RETURN_IF_ERROR(String(key, out));
    if (std::find(allowed.begin(), allowed.end(), *out) != allowed.end()) return absl::OkStatus();
    return Error(*Take(key), key, absl::StrCat("must be one of ", absl::StrJoin(allowed, ", ")));
  }

  // The table `key`; when the file has none, a section that leaves everything as it is.
  absl::StatusOr<Section> Table(const char* key) {
    const toml::node* node = Take(key);
    if (node != nullptr && !node->is_table()) return Error(*node, key, "must be a table");
    return Section(node == nullptr ? nullptr : node->as_table(), file_, absl::StrCat(prefix_, key, "."));
  }

  absl::Status Boolean(const char* key, bool* out) {
    const toml::node* node = Take(key);
    if (node == nullptr) return absl::OkStatus();
    const auto* value = node->as_boolean();
    if (value == nullptr) return Error(*node, key, "must be true or false");
    *out = value->get();
    return absl::OkStatus();
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    if (table_ == nullptr) return names;
    for (const auto& [key, node] : *table_) names.emplace_back(key.str());
    return names;
  }

  // About the table itself.
  absl::Status Complaint(absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(file_, ": table [", prefix_.substr(0, prefix_.size() - 1), "]: ", what));
  }

  absl::Status Finish() const {
    if (table_ == nullptr) return absl::OkStatus();
    for (const auto& [key, node] : *table_)
      if (taken_.count(std::string(key.str())) == 0) return Error(node, std::string(key.str()), "is unknown");
    return absl::OkStatus();
  }

 private:
  const toml::node* Take(const char* key) {
    taken_.insert(key);
    return table_ == nullptr ? nullptr : table_->get(key);
  }

  absl::Status Error(const toml::node& node, const std::string& key, absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(file_, ":", node.source().begin.line, ": key \"", prefix_, key, "\" ", what));
  }

  const toml::table* table_;
  const std::string& file_;
  std::string prefix_;
  std::set<std::string> taken_;
};

absl::Status ReadCni(Section cni, Config* config) {
  RETURN_IF_ERROR(cni.Path("conf_dir", &config->cni.conf_dir));
  RETURN_IF_ERROR(cni.Paths("bin_dirs", &config->cni.bin_dirs));
  RETURN_IF_ERROR(cni.Path("cache_dir", &config->cni.cache_dir));
  RETURN_IF_ERROR(cni.Integer("timeout_seconds", 1, 3600, &config->cni.timeout_seconds));
  RETURN_IF_ERROR(cni.Integer("max_networks", 1, 16, &config->cni.max_networks));
  return cni.Finish();
}

absl::Status ReadVerifier(Section verifier, Config* config) {
  RETURN_IF_ERROR(verifier.PathOrNone("bin_dir", &config->image_verifier.bin_dir));
  RETURN_IF_ERROR(verifier.Integer("max_verifiers", -1, 1000, &config->image_verifier.max_verifiers));
  RETURN_IF_ERROR(
      verifier.Integer("per_verifier_timeout_seconds", 1, 3600, &config->image_verifier.per_verifier_timeout_seconds));
  return verifier.Finish();
}

absl::Status ReadStreaming(Section streaming, Config* config) {
  std::string& address = config->streaming.address;
  RETURN_IF_ERROR(streaming.Address("address", &address));
  RETURN_IF_ERROR(streaming.Integer("port", 0, 65535, &config->streaming.port));
  RETURN_IF_ERROR(streaming.PathOrNone("tls_cert_file", &config->streaming.tls_cert_file));
  RETURN_IF_ERROR(streaming.PathOrNone("tls_key_file", &config->streaming.tls_key_file));
  if (config->streaming.tls_cert_file.empty() != config->streaming.tls_key_file.empty())
    return streaming.Complaint("tls_cert_file and tls_key_file go together: set both, or none");
  return streaming.Finish();
}

absl::Status ReadRegistry(Section registry, Config* config) {
  RETURN_IF_ERROR(registry.Path("config_path", &config->registry.config_path));
  RETURN_IF_ERROR(registry.Integer("max_parallel_pulls", 1, 1000, &config->registry.max_parallel_pulls));
  RETURN_IF_ERROR(registry.Integer("max_parallel_layers", 1, 64, &config->registry.max_parallel_layers));
  RETURN_IF_ERROR(registry.Integer("progress_timeout_seconds", 1, 86400, &config->registry.progress_timeout_seconds));
  return registry.Finish();
}

bool IsHandlerName(const std::string& name) {
  if (name.empty() || name.size() > 63 || name.front() == '-' || name.back() == '-') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isdigit(c) || absl::ascii_islower(c) || c == '-'; });
}

absl::Status ReadHandlers(Section handlers, Config* config) {
  for (const std::string& name : handlers.Names()) {
    ASSIGN_OR_RETURN(Section section, handlers.Table(name.c_str()));
    if (!IsHandlerName(name)) return section.Complaint("a handler's name is a DNS label");
    Handler& handler = config->handlers[name];
    RETURN_IF_ERROR(section.Boolean("privileged_without_host_devices", &handler.privileged_without_host_devices));
    RETURN_IF_ERROR(section.Integer("pids_limit", 0, int64_t{1} << 22, &handler.pids_limit));
    RETURN_IF_ERROR(section.Integer("memory_limit_bytes", 0, int64_t{1} << 60, &handler.memory_limit_bytes));
    RETURN_IF_ERROR(section.Finish());
  }
  return handlers.Finish();
}

absl::Status ReadSections(Section& top, Config* config) {
  ASSIGN_OR_RETURN(Section cni, top.Table("cni"));
  RETURN_IF_ERROR(ReadCni(std::move(cni), config));
  ASSIGN_OR_RETURN(Section registry, top.Table("registry"));
  RETURN_IF_ERROR(ReadRegistry(std::move(registry), config));
  ASSIGN_OR_RETURN(Section images, top.Table("images"));
  RETURN_IF_ERROR(images.Strings("pinned", &config->images.pinned));
  RETURN_IF_ERROR(images.Finish());
  ASSIGN_OR_RETURN(Section verifier, top.Table("image_verifier"));
  RETURN_IF_ERROR(ReadVerifier(std::move(verifier), config));
  ASSIGN_OR_RETURN(Section streaming, top.Table("streaming"));
  RETURN_IF_ERROR(ReadStreaming(std::move(streaming), config));
  ASSIGN_OR_RETURN(Section cdi, top.Table("cdi"));
  RETURN_IF_ERROR(cdi.Paths("spec_dirs", &config->cdi.spec_dirs));
  RETURN_IF_ERROR(cdi.Finish());
  ASSIGN_OR_RETURN(Section selinux, top.Table("selinux"));
  RETURN_IF_ERROR(selinux.Boolean("enabled", &config->selinux.enabled));
  RETURN_IF_ERROR(selinux.Integer("category_range", 2, 1024, &config->selinux.category_range));
  RETURN_IF_ERROR(selinux.Finish());
  ASSIGN_OR_RETURN(Section handlers, top.Table("handlers"));
  RETURN_IF_ERROR(ReadHandlers(std::move(handlers), config));
  ASSIGN_OR_RETURN(Section log, top.Table("log"));
  RETURN_IF_ERROR(log.OneOf("level", {"trace", "debug", "info", "warn", "error"}, &config->log.level));
  return log.Finish();
}

absl::StatusOr<Config> Read(const toml::table& table, const std::string& file) {
  Config config;
  Section top(&table, file, "");
  RETURN_IF_ERROR(top.Path("root", &config.root));
  RETURN_IF_ERROR(top.Path("state", &config.state));
  RETURN_IF_ERROR(top.Path("socket", &config.socket));
  std::string driver = "auto";
  RETURN_IF_ERROR(top.OneOf("cgroup_driver", {"auto", "systemd", "cgroupfs"}, &driver));
  config.cgroup_driver = driver == "systemd"    ? CgroupDriver::kSystemd
                         : driver == "cgroupfs" ? CgroupDriver::kCgroupfs
                                                : CgroupDriver::kAuto;
  RETURN_IF_ERROR(top.Path("cgroup_parent", &config.cgroup_parent));
  RETURN_IF_ERROR(top.PathOrNone("libexec_dir", &config.libexec_dir));
  RETURN_IF_ERROR(ReadSections(top, &config));
  RETURN_IF_ERROR(top.Finish());
  if (config.socket.size() >= sizeof(sockaddr_un::sun_path))
    return absl::InvalidArgumentError(absl::StrCat(file, ": key \"socket\" is longer than the ",
                                                   sizeof(sockaddr_un::sun_path) - 1, " bytes that unix(7) allows"));
  return config;
}

}  // namespace

absl::StatusOr<Handler> FindHandler(const Config& config, const std::string& name) {
  if (name.empty()) return Handler{};
  auto it = config.handlers.find(name);
  if (it == config.handlers.end())
    return absl::NotFoundError(absl::StrCat("runtime handler \"", name, "\" is not configured"));
  return it->second;
}

absl::StatusOr<Config> Load(const std::string& path) {
  ASSIGN_OR_RETURN_CTX(std::string text, sys::ReadFileAt(AT_FDCWD, path), "configuration");
  try {
    return Read(toml::parse(text, path), path);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", error.source().begin.line, ": ", std::string(error.description())));
  }
}

}  // namespace wherry::config

// The directories are read anew for each container that asks for a device: few do, the files are few, and what a driver has
// just written is seen without a watch that could miss it.
#include "cri/container/cdi.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kAnnotation = "cdi.k8s.io/";
constexpr size_t kMaxFiles = 1000;
constexpr size_t kMaxDevices = 1000;

struct File {
  std::string path;
  cdi::Spec spec;
};

// Where one directory's files have a device; `conflict` names a second file that has it, too.
struct Place {
  size_t file = 0, device = 0;
  std::string conflict;
};

absl::StatusOr<cdi::Spec> Load(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, path, cdi::kMaxSpecBytes));
  return absl::EndsWith(path, ".json") ? cdi::ParseJson(text) : cdi::ParseYaml(text);
}

class Registry {
 public:
  void ReadDirectory(const std::string& directory) {
    std::vector<std::string> paths;
    std::error_code ec;
    for (fs::directory_iterator it(directory, ec), end; !ec && it != end && paths.size() < kMaxFiles;
         it.increment(ec)) {
      const std::string path = it->path();
      if (absl::EndsWith(path, ".json") || absl::EndsWith(path, ".yaml")) paths.push_back(path);
    }
    std::sort(paths.begin(), paths.end());
    std::map<std::string, Place> devices;
    for (const std::string& path : paths) ReadFile(path, devices);
    for (auto& [name, place] : devices) devices_[name] = std::move(place);
  }

  // Each device's file and place in it.
  absl::StatusOr<const Place*> Find(const std::string& name) const {
    auto it = devices_.find(name);
    if (it == devices_.end())
      return absl::NotFoundError(absl::StrCat("CDI device \"", name, "\" is in no specification", complaints_));
    if (!it->second.conflict.empty())
      return absl::FailedPreconditionError(absl::StrCat("CDI device \"", name,
                                                        "\" is in two specifications of one directory, ",
                                                        files_[it->second.file].path, " and ", it->second.conflict));
    return &it->second;
  }
  const cdi::Spec& spec(const Place& place) const { return files_[place.file].spec; }

 private:
  // A wrong file costs its own devices only.
  void ReadFile(const std::string& path, std::map<std::string, Place>& devices) {
    absl::StatusOr<cdi::Spec> spec = Load(path);
    if (!spec.ok()) {
      absl::StrAppend(&complaints_, "; ", path, ": ", spec.status().message());
      return;
    }
    for (size_t i = 0; i < spec->devices.size(); ++i) {
      auto [it, is_new] =
          devices.try_emplace(absl::StrCat(spec->kind, "=", spec->devices[i].name), Place{files_.size(), i, ""});
      if (!is_new) it->second.conflict = path;
    }
    files_.push_back({path, *std::move(spec)});
  }

  std::vector<File> files_;
  std::map<std::string, Place> devices_;
  std::string complaints_;
};

template <typename T>
void Append(const std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

void Merge(const cdi::Edits& from, cdi::Edits& to) {
  Append(from.env, to.env);
  Append(from.device_nodes, to.device_nodes);
  Append(from.mounts, to.mounts);
  Append(from.hooks, to.hooks);
  Append(from.additional_gids, to.additional_gids);
  to.intel_rdt = to.intel_rdt || from.intel_rdt;
  to.net_devices = to.net_devices || from.net_devices;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CdiNames(const ::runtime::v1::ContainerConfig& config) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  auto add = [&](absl::string_view name) -> absl::Status {
    RETURN_IF_ERROR(cdi::ParseQualifiedName(name).status());
    if (seen.insert(std::string(name)).second) names.emplace_back(name);
    if (names.size() <= kMaxDevices) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxDevices, " devices"));
  };
  for (const auto& device : config.cdi_devices()) RETURN_IF_ERROR_CTX(add(device.name()), "CDI_devices");
  const std::map<std::string, std::string> annotations(config.annotations().begin(), config.annotations().end());
  for (const auto& [key, value] : annotations) {
    if (!absl::StartsWith(key, kAnnotation)) continue;
    for (absl::string_view name : absl::StrSplit(value, ',')) RETURN_IF_ERROR_CTX(add(name), "annotation " + key);
  }
  return names;
}

absl::StatusOr<cdi::Edits> ResolveCdi(const std::vector<std::string>& directories,
                                      const std::vector<std::string>& names) {
  Registry registry;
  for (const std::string& directory : directories) registry.ReadDirectory(directory);
  cdi::Edits edits;
  std::set<size_t> files;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const Place* place, registry.Find(name));
    const cdi::Spec& spec = registry.spec(*place);
    if (files.insert(place->file).second) Merge(spec.edits, edits);
    Merge(spec.devices[place->device].edits, edits);
  }
  return edits;
}

}  // namespace wherry::container

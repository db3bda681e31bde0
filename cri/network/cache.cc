#include "cri/network/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

using Json = nlohmann::json;

constexpr char kKind[] = "cniCacheV1";

std::string Text(const Json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

absl::StatusOr<CacheEntry> Read(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, path, 8 << 20));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  CacheEntry entry;
  if (!json.is_object() || Text(json, "kind") != kKind || !absl::Base64Unescape(Text(json, "config"), &entry.config))
    return absl::DataLossError(absl::StrCat("\"", path, "\" is no result cache of CNI"));
  entry.network = Text(json, "networkName");
  entry.container_id = Text(json, "containerId");
  for (const Json& pair : json.value("cniArgs", Json::array()))
    if (pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string())
      absl::StrAppend(&entry.args, entry.args.empty() ? "" : ";", pair[0].get<std::string>(), "=",
                      pair[1].get<std::string>());
  Json config = Json::parse(entry.config, nullptr, false);
  entry.single = config.is_object() && !config.contains("plugins");
  if (auto result = json.find("result"); result != json.end() && result->is_object()) entry.result = result->dump();
  return entry;
}

Json ArgsJson(const std::string& args) {
  Json out = Json::array();
  for (size_t at = 0; at < args.size();) {
    size_t end = std::min(args.find(';', at), args.size());
    std::string pair = args.substr(at, end - at);
    size_t equals = pair.find('=');
    if (equals != std::string::npos) out.push_back({pair.substr(0, equals), pair.substr(equals + 1)});
    at = end + 1;
  }
  return out;
}

}  // namespace

std::string ResultCache::PathOf(const CacheEntry& entry) const {
  return absl::StrCat(dir_, "/", entry.network, "-", entry.container_id, "-eth0");
}

absl::Status ResultCache::Put(const CacheEntry& entry) const {
  Json json = {{"kind", kKind},    {"containerId", entry.container_id}, {"config", absl::Base64Escape(entry.config)},
               {"ifName", "eth0"}, {"networkName", entry.network},      {"cniArgs", ArgsJson(entry.args)}};
  if (!entry.result.empty()) json["result"] = Json::parse(entry.result, nullptr, false);
  std::error_code ec;
  std::filesystem::create_directories(dir_, ec);
  const std::string path = PathOf(entry), tmp = path + ".tmp";
  // No fsync: after a power cut every pod is dead, and what is found of its network is taken down from what there is.
  {
    ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenAt(AT_FDCWD, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    RETURN_IF_ERROR_CTX(sys::WriteAll(file.get(), json.dump()), absl::StrCat("\"", tmp, "\""));
  }
  if (::rename(tmp.c_str(), path.c_str()) != 0) return sys::Errno(absl::StrCat("rename \"", tmp, "\""));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CacheEntry>> ResultCache::Find(const std::string& container_id) const {
  std::vector<CacheEntry> out;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(dir_, ec), end; !ec && it != end; it.increment(ec)) {
    if (!absl::EndsWith(it->path().filename().string(), absl::StrCat("-", container_id, "-eth0"))) continue;
    ASSIGN_OR_RETURN(CacheEntry entry, Read(it->path()));
    out.push_back(std::move(entry));
  }
  return out;
}

absl::Status ResultCache::Remove(const CacheEntry& entry) const {
  const std::string path = PathOf(entry);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return sys::Errno(absl::StrCat("unlink \"", path, "\""));
  return absl::OkStatus();
}

}  // namespace wherry::network

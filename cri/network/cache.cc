#include "cri/network/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

using Json = nlohmann::json;

constexpr char kKind[] = "cniCacheV1";
constexpr char kTemporary[] = ".tmp";
constexpr size_t kMaxFile = 8 << 20;

std::string Text(const Json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// The member, or an empty value of the type when it is missing or of another.
Json Member(const Json& object, const char* key, Json::value_t type) {
  auto it = object.find(key);
  return it != object.end() && it->type() == type ? *it : Json(type);
}

absl::StatusOr<Json> ReadDocument(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, path, kMaxFile));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || Text(json, "kind") != kKind)
    return absl::DataLossError(absl::StrCat("\"", path, "\" is no result cache of CNI"));
  return json;
}

std::string ReadArgs(const Json& json) {
  std::string out;
  for (const Json& pair : Member(json, "cniArgs", Json::value_t::array))
    if (pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string())
      absl::StrAppend(&out, out.empty() ? "" : ";", pair[0].get<std::string>(), "=", pair[1].get<std::string>());
  return out;
}

absl::Status Read(const std::string& path, CacheEntry& entry) {
  ASSIGN_OR_RETURN(const Json json, ReadDocument(path));
  if (Text(json, "networkName") != entry.network || Text(json, "containerId") != entry.container_id ||
      Text(json, "ifName") != entry.ifname || !absl::Base64Unescape(Text(json, "config"), &entry.config))
    return absl::DataLossError(absl::StrCat("\"", path, "\" is not what its name says"));
  entry.netns = Text(json, "netns");
  entry.args = ReadArgs(json);
  const Json capabilities = Member(json, "capabilityArgs", Json::value_t::object);
  for (const auto& [capability, value] : capabilities.items()) entry.capabilities[capability] = value.dump();
  Json config = Json::parse(entry.config, nullptr, false);
  entry.single = config.is_object() && !config.contains("plugins");
  if (Json result = Member(json, "result", Json::value_t::object); !result.empty()) entry.result = result.dump();
  return absl::OkStatus();
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

// What the name of a file tells: <network>-<container>-<interface>. Ids and interfaces of ours have no '-'.
struct Named {
  std::string network, container_id, ifname;
};
std::optional<Named> ParseName(absl::string_view name) {
  const size_t last = name.rfind('-');
  if (last == absl::string_view::npos || last == 0) return std::nullopt;
  const size_t middle = name.rfind('-', last - 1);
  if (middle == absl::string_view::npos || middle == 0) return std::nullopt;
  return Named{std::string(name.substr(0, middle)), std::string(name.substr(middle + 1, last - middle - 1)),
               std::string(name.substr(last + 1))};
}

}  // namespace

std::string ResultCache::PathOf(const CacheEntry& entry) const {
  return absl::StrCat(dir_, "/", entry.network, "-", entry.container_id, "-", entry.ifname);
}

absl::Status ResultCache::Put(const CacheEntry& entry) const {
  Json json = {{"kind", kKind},
               {"containerId", entry.container_id},
               {"config", absl::Base64Escape(entry.config)},
               {"ifName", entry.ifname},
               {"networkName", entry.network},
               {"netns", entry.netns},
               {"cniArgs", ArgsJson(entry.args)}};
  for (const auto& [capability, value] : entry.capabilities)
    json["capabilityArgs"][capability] = Json::parse(value, nullptr, false);
  if (!entry.result.empty()) json["result"] = Json::parse(entry.result, nullptr, false);
  std::error_code ec;
  std::filesystem::create_directories(dir_, ec);
  if (ec) return sys::Errno(absl::StrCat("create \"", dir_, "\""), ec.value());
  WHERRY_FAIL_POINT("cni.cache.write");
  const std::string path = PathOf(entry), tmp = path + kTemporary;
  {
    ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenAt(AT_FDCWD, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    RETURN_IF_ERROR_CTX(sys::WriteAll(file.get(), json.dump(-1, ' ', false, Json::error_handler_t::replace)),
                        absl::StrCat("\"", tmp, "\""));
  }
  WHERRY_FAIL_POINT("cni.cache.rename");
  if (::rename(tmp.c_str(), path.c_str()) != 0) return sys::Errno(absl::StrCat("rename \"", tmp, "\""));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CacheEntry>> ResultCache::Find(const std::string& container_id) const {
  std::vector<CacheEntry> out;
  std::error_code ec;
  std::filesystem::directory_iterator it(dir_, ec);
  for (const std::filesystem::directory_iterator end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename();
    const std::optional<Named> named = ParseName(absl::StripSuffix(name, kTemporary));
    if (!named || named->container_id != container_id) continue;
    CacheEntry entry;
    entry.network = named->network;
    entry.container_id = container_id;
    entry.ifname = named->ifname;
    // Written before anything was done, or beside the entry it was to replace.
    if (absl::EndsWith(name, kTemporary)) {
      ::unlink(it->path().c_str());
      continue;
    }
    entry.damaged = !Read(it->path(), entry).ok();
    out.push_back(std::move(entry));
  }
  if (ec && ec != std::errc::no_such_file_or_directory)
    return sys::Errno(absl::StrCat("read directory \"", dir_, "\""), ec.value());
  return out;
}

std::vector<std::string> ResultCache::Containers(const std::string& netns_dir) const {
  std::vector<std::string> out;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(dir_, ec), end; !ec && it != end; it.increment(ec)) {
    const std::optional<Named> named = ParseName(absl::StripSuffix(it->path().filename().string(), kTemporary));
    if (!named) continue;
    const std::string& id = named->container_id;
    auto json = ReadDocument(it->path());
    if (json.ok() && Text(*json, "netns") == absl::StrCat(netns_dir, "/", id)) out.push_back(id);
  }
  std::sort(out.begin(), out.end());  // one may be in several networks
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

absl::StatusOr<std::vector<cni::Attachment>> ResultCache::Attachments(const std::string& network) const {
  std::vector<cni::Attachment> out;
  std::error_code ec;
  std::filesystem::directory_iterator it(dir_, ec);
  for (const std::filesystem::directory_iterator end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename();
    if (!absl::StartsWith(name, network + "-") || absl::EndsWith(name, kTemporary)) continue;
    ASSIGN_OR_RETURN(const Json json, ReadDocument(it->path()));
    if (Text(json, "networkName") == network) out.push_back({Text(json, "containerId"), Text(json, "ifName")});
  }
  if (ec && ec != std::errc::no_such_file_or_directory)
    return sys::Errno(absl::StrCat("read directory \"", dir_, "\""), ec.value());
  return out;
}

absl::Status ResultCache::Remove(const CacheEntry& entry) const {
  const std::string path = PathOf(entry);
  WHERRY_FAIL_POINT("cni.cache.remove");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return sys::Errno(absl::StrCat("unlink \"", path, "\""));
  return absl::OkStatus();
}

}  // namespace wherry::network

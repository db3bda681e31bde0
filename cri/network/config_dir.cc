#include "cri/network/config_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

constexpr char kPluginFile[] = ".conf";

struct Listing {
  // Name → inode, size and times, of files that count as configurations, and of plugins' files one folder below.
  std::map<std::string, std::string> files, plugin_files;
  // False when a file is so new that it may change once more without its times showing it.
  bool settled = true;
};

bool IsConfiguration(const std::string& name) {
  return absl::EndsWith(name, ".conflist") || absl::EndsWith(name, ".conf") || absl::EndsWith(name, ".json");
}

void Note(const std::string& path, const std::string& name, std::map<std::string, std::string>* files, bool* settled) {
  constexpr time_t kClockGrain = 2;  // seconds; the coarsest of file systems in use
  struct stat st;
  if (::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  (*files)[name] = absl::StrCat(st.st_ino, " ", st.st_size, " ", st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec, " ",
                                st.st_ctim.tv_sec, ".", st.st_ctim.tv_nsec);
  if (st.st_ctim.tv_sec + kClockGrain >= ::time(nullptr)) *settled = false;
}

Listing List(const std::string& path) {
  Listing out;
  std::error_code ec, none;
  for (std::filesystem::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename();
    if (IsConfiguration(name)) Note(it->path(), name, &out.files, &out.settled);
    if (!it->is_directory(none)) continue;
    for (std::filesystem::directory_iterator in(it->path(), none); !none && in != end; in.increment(none)) {
      const std::string file = in->path().filename();
      if (absl::EndsWith(file, kPluginFile))
        Note(in->path(), absl::StrCat(name, "/", file), &out.plugin_files, &out.settled);
    }
  }
  return out;
}

// The text with the plugins of the network's folder in it, so that the result cache keeps all that ADD used.
absl::StatusOr<std::string> Complete(const std::string& path, const std::string& text, const Listing& listing) {
  ASSIGN_OR_RETURN(const std::string folder, cni::PluginFolder(text));
  std::vector<std::string> plugins;
  for (const auto& [name, stamp] : listing.plugin_files) {
    if (folder.empty() || !absl::StartsWith(name, folder + "/")) continue;
    ASSIGN_OR_RETURN(plugins.emplace_back(), sys::ReadFileAt(AT_FDCWD, absl::StrCat(path, "/", name)));
  }
  if (plugins.empty()) return text;
  return cni::WithPlugins(text, plugins);
}

absl::StatusOr<std::shared_ptr<const Loaded>> ReadOne(const std::string& path, const std::string& name,
                                                      Listing& listing) {
  auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(path, "/", name));
  if (!text.ok()) listing.settled = false;  // out of descriptors, say: not the file's fault
  RETURN_IF_ERROR(text.status());
  const bool single = !absl::EndsWith(name, ".conflist");
  if (!single) {
    ASSIGN_OR_RETURN(*text, Complete(path, *text, listing));
  }
  return ParseConfig(*text, single);
}

absl::StatusOr<ConfigDir::Networks> ReadFirst(const std::string& path, size_t most, Listing& listing) {
  std::string complaints;
  ConfigDir::Networks out;
  for (const auto& [name, stamp] : listing.files) {
    if (out.size() == most) break;
    auto loaded = ReadOne(path, name, listing);
    if (!loaded.ok()) {
      absl::StrAppend(&complaints, complaints.empty() ? ": " : "; ", name, ": ", loaded.status().message());
      continue;
    }
    const auto same = [&](const auto& known) { return known->list.name == (*loaded)->list.name; };
    if (std::none_of(out.begin(), out.end(), same)) out.push_back(*std::move(loaded));
  }
  if (!out.empty()) return out;
  return absl::FailedPreconditionError(
      absl::StrCat("no valid CNI network configuration in \"", path, "\"", complaints));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Loaded>> ParseConfig(const std::string& text, bool single) {
  auto loaded = std::make_shared<Loaded>();
  ASSIGN_OR_RETURN(loaded->list, single ? cni::ParseSingleConfig(text) : cni::ParseConfigList(text));
  loaded->text = text;
  loaded->single = single;
  return std::shared_ptr<const Loaded>(std::move(loaded));
}

absl::StatusOr<std::shared_ptr<const Loaded>> ConfigDir::Current() {
  ASSIGN_OR_RETURN(Networks all, All());
  return all.front();
}

absl::StatusOr<ConfigDir::Networks> ConfigDir::All() {
  Listing listing = List(path_);
  std::string text = "v1\n";
  for (const auto* files : {&listing.files, &listing.plugin_files})
    for (const auto& [name, stamp] : *files) absl::StrAppend(&text, name, " ", stamp, "\n");
  {
    absl::MutexLock lock(&mutex_);
    if (text == listing_) return current_;
  }
  auto read = ReadFirst(path_, most_, listing);
  absl::MutexLock lock(&mutex_);
  listing_ = listing.settled ? std::move(text) : std::string();
  current_ = read;
  return read;
}

}  // namespace wherry::network

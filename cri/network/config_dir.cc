#include "cri/network/config_dir.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

// Name → size and times, of files that count as configurations.
std::map<std::string, std::string> List(const std::string& path) {
  std::map<std::string, std::string> out;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    std::string name = it->path().filename();
    struct stat st;
    if (!absl::EndsWith(name, ".conflist") && !absl::EndsWith(name, ".conf") && !absl::EndsWith(name, ".json"))
      continue;
    if (::stat(it->path().c_str(), &st) != 0) continue;
    out[name] = absl::StrCat(st.st_ino, " ", st.st_size, " ", st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec, " ",
                             st.st_ctim.tv_sec, ".", st.st_ctim.tv_nsec);
  }
  return out;
}

absl::StatusOr<std::shared_ptr<const Loaded>> ReadFirst(const std::string& path,
                                                        const std::map<std::string, std::string>& files) {
  std::string complaints;
  for (const auto& [name, stamp] : files) {
    auto text = sys::ReadFileAt(AT_FDCWD, path + "/" + name);
    absl::Status status = text.status();
    if (text.ok()) {
      auto loaded = ParseConfig(*text, !absl::EndsWith(name, ".conflist"));
      if (loaded.ok()) return loaded;
      status = loaded.status();
    }
    absl::StrAppend(&complaints, complaints.empty() ? ": " : "; ", name, ": ", status.message());
  }
  return absl::FailedPreconditionError(
      absl::StrCat("no valid CNI network configuration in \"", path, "\"", complaints));
}

bool IsPlainName(const std::string& type) {
  return !type.empty() && type != "." && type != ".." && type.find('/') == std::string::npos &&
         type.find('\0') == std::string::npos;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Loaded>> ParseConfig(const std::string& text, bool single) {
  auto loaded = std::make_shared<Loaded>();
  ASSIGN_OR_RETURN(loaded->list, single ? cni::ParseSingleConfig(text) : cni::ParseConfigList(text));
  for (const auto& plugin : loaded->list.plugins)
    if (!IsPlainName(plugin.type))
      return absl::InvalidArgumentError(absl::StrCat("plugin type \"", plugin.type, "\" is not a file name"));
  loaded->text = text;
  loaded->single = single;
  return std::shared_ptr<const Loaded>(std::move(loaded));
}

absl::StatusOr<std::shared_ptr<const Loaded>> ConfigDir::Current() {
  const std::map<std::string, std::string> files = List(path_);
  std::string listing = "v1\n";
  for (const auto& [name, stamp] : files) absl::StrAppend(&listing, name, " ", stamp, "\n");
  {
    absl::MutexLock lock(&mutex_);
    if (listing == listing_) return current_;
  }
  auto read = ReadFirst(path_, files);
  absl::MutexLock lock(&mutex_);
  listing_ = std::move(listing);
  current_ = read;
  return read;
}

}  // namespace wherry::network

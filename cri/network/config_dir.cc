#include "cri/network/config_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

struct Listing {
  // Name → inode, size and times, of files that count as configurations.
  std::map<std::string, std::string> files;
  // False when a file is so new that it may change once more without its times showing it.
  bool settled = true;
};

Listing List(const std::string& path) {
  constexpr time_t kClockGrain = 2;  // seconds; the coarsest of file systems in use
  const time_t now = ::time(nullptr);
  Listing out;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    std::string name = it->path().filename();
    struct stat st;
    if (!absl::EndsWith(name, ".conflist") && !absl::EndsWith(name, ".conf") && !absl::EndsWith(name, ".json"))
      continue;
    if (::stat(it->path().c_str(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
    out.files[name] = absl::StrCat(st.st_ino, " ", st.st_size, " ", st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec, " ",
                                   st.st_ctim.tv_sec, ".", st.st_ctim.tv_nsec);
    if (st.st_ctim.tv_sec + kClockGrain >= now) out.settled = false;
  }
  return out;
}

absl::StatusOr<std::shared_ptr<const Loaded>> ReadFirst(const std::string& path, Listing& listing) {
  std::string complaints;
  for (const auto& [name, stamp] : listing.files) {
    auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(path, "/", name));
    absl::Status status = text.status();
    if (text.ok()) {
      auto loaded = ParseConfig(*text, !absl::EndsWith(name, ".conflist"));
      if (loaded.ok()) return loaded;
      status = loaded.status();
    } else {
      listing.settled = false;  // out of descriptors, say: not the file's fault
    }
    absl::StrAppend(&complaints, complaints.empty() ? ": " : "; ", name, ": ", status.message());
  }
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
  Listing listing = List(path_);
  std::string text = "v1\n";
  for (const auto& [name, stamp] : listing.files) absl::StrAppend(&text, name, " ", stamp, "\n");
  {
    absl::MutexLock lock(&mutex_);
    if (text == listing_) return current_;
  }
  auto read = ReadFirst(path_, listing);
  absl::MutexLock lock(&mutex_);
  listing_ = listing.settled ? std::move(text) : std::string();
  current_ = read;
  return read;
}

}  // namespace wherry::network

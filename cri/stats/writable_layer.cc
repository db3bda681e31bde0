#include "cri/stats/writable_layer.h"

#include <fts.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "runtime/sys/status.h"

namespace wherry::stats {
namespace {

constexpr absl::Duration kPause = absl::Seconds(10);

struct CloseFts {
  void operator()(FTS* fts) const { fts_close(fts); }
};

}  // namespace

absl::StatusOr<DiskUse> Walk(const std::string& directory, uint64_t most) {
  char* const paths[] = {const_cast<char*>(directory.c_str()), nullptr};
  std::unique_ptr<FTS, CloseFts> fts(fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr));
  if (fts == nullptr) return sys::Errno(absl::StrCat("fts_open \"", directory, "\""));
  DiskUse use;
  std::set<ino_t> linked;
  while (FTSENT* entry = fts_read(fts.get())) {
    if (entry->fts_info == FTS_DP) continue;
    if (entry->fts_level == 0 && (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR))
      return sys::Errno(absl::StrCat("walk \"", directory, "\""), entry->fts_errno);
    if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR) continue;  // removed while we walk
    const struct stat& st = *entry->fts_statp;
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !linked.insert(st.st_ino).second) continue;
    use.bytes += static_cast<uint64_t>(st.st_blocks) * 512;
    if (++use.inodes > most)
      return absl::ResourceExhaustedError(absl::StrCat("\"", directory, "\" holds more than ", most, " files"));
  }
  use.at_ns = absl::GetCurrentTimeNanos();
  return use;
}

WritableLayers::WritableLayers(List list) : list_(std::move(list)), thread_([this] { Run(); }) {}

WritableLayers::~WritableLayers() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

std::optional<DiskUse> WritableLayers::Get(const std::string& container) const {
  absl::MutexLock lock(&mutex_);
  auto it = known_.find(container);
  if (it == known_.end()) return std::nullopt;
  return it->second;
}

void WritableLayers::Run() {
  // On Linux these two act on the calling thread alone.
  setpriority(PRIO_PROCESS, 0, 19);
  constexpr int kWhoProcess = 1, kIdleClass = 3 << 13;  // ioprio_set(2)
  syscall(SYS_ioprio_set, kWhoProcess, 0, kIdleClass);
  auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_; };
  while (true) {
    std::map<std::string, DiskUse> found;
    for (const auto& [id, directory] : list_()) {
      if (auto use = Walk(directory); use.ok()) found[id] = *use;
      absl::MutexLock lock(&mutex_);
      if (stop_) return;
      if (auto it = found.find(id); it != found.end()) known_[id] = it->second;
    }
    absl::MutexLock lock(&mutex_);
    known_ = std::move(found);
    if (changed_.WaitUntil(mutex_, sys::Deadline(kPause), stopping)) return;
  }
}

}  // namespace wherry::stats

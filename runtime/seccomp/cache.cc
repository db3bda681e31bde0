#include "runtime/seccomp/cache.h"

#include <algorithm>

#include "runtime/seccomp/compile.h"
#include "runtime/seccomp/profile.h"
#include "runtime/sys/status.h"

namespace wherry::seccomp {
namespace {
constexpr size_t kMaxEntries = 64;
}

bool Cache::Find(const Key& key, std::string& bpf) {
  absl::MutexLock lock(&mutex_);
  auto it = entries_.find(key);
  if (it == entries_.end()) return false;
  bpf = it->second.bpf;
  return true;
}

void Cache::Keep(const Key& key, const std::string& bpf) {
  absl::MutexLock lock(&mutex_);
  if (entries_.size() >= kMaxEntries)
    entries_.erase(std::min_element(entries_.begin(), entries_.end(),
                                    [](auto& a, auto& b) { return a.second.age < b.second.age; }));
  entries_[key] = {bpf, next_age_++};
}

absl::StatusOr<std::string> Cache::Default(uint64_t capabilities) {
  const Key key = {"", capabilities};
  std::string bpf;
  if (Find(key, bpf)) return bpf;
  ASSIGN_OR_RETURN(bpf, Compile(DefaultProfile(), capabilities));
  Keep(key, bpf);
  return bpf;
}

absl::StatusOr<std::string> Cache::Json(absl::string_view json, uint64_t capabilities) {
  const Key key = {std::string(json), capabilities};
  std::string bpf;
  if (Find(key, bpf)) return bpf;
  ASSIGN_OR_RETURN(Profile profile, Parse(json));
  ASSIGN_OR_RETURN(bpf, Compile(profile, capabilities));
  Keep(key, bpf);
  return bpf;
}

}  // namespace wherry::seccomp

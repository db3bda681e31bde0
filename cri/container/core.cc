#include "cri/container/core.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/sys/status.h"

namespace wherry::container {

Core::Core(const Dependencies& d)
    : store(d.store),
      images(d.images),
      cgroups(d.cgroups),
      hub(d.hub),
      inbox(d.inbox),
      config(d.config),
      paths(d.config),
      host(d.host),
      tidiers(4),
      workers(4) {
  for (const auto& record : store.Containers()) last_now_ = std::max(last_now_, record->created_at_ns());
  for (const auto& record : store.Pods()) last_now_ = std::max(last_now_, record->created_at_ns());
}

int64_t Core::Now() {
  int64_t now = absl::GetCurrentTimeNanos();
  absl::MutexLock lock(&clock_mutex_);
  return last_now_ = std::max(now, last_now_ + 1);
}

absl::StatusOr<store::Container> Find(const Core& core, const std::string& id) {
  if (id.empty()) return absl::InvalidArgumentError("container id is empty");
  auto record = core.store.FindContainer(id);
  if (record.ok() && (*record)->state() == store::CREATING) {
    return absl::NotFoundError(absl::StrCat("container \"", id, "\" is still being created"));
  }
  return record;
}

}  // namespace wherry::container

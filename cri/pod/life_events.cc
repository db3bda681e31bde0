#include "cri/pod/life_events.h"

#include "absl/strings/str_cat.h"
#include "cri/container/view.h"
#include "cri/pod/view.h"

namespace wherry::pod {
namespace {

namespace cri = ::runtime::v1;

constexpr size_t kMaxSubscribers = 64;
// A pod's life has some ten events: a kubelet that starts 100 pods at once is far from it. Who falls behind further loses the
// stream rather than single events, and lists when it comes back.
constexpr size_t kMaxWaiting = 8192;

using Types = std::vector<cri::ContainerEventType>;

bool Visible(const store::Pod& pod) { return pod != nullptr && pod->state() != store::POD_CREATING; }
bool Visible(const store::Container& container) {
  return container != nullptr && container->state() != store::CREATING;
}
bool Started(const store::Container& c) { return c != nullptr && c->started_at_ns() != 0; }
bool Ended(const store::Container& c) {
  return c != nullptr && (c->state() == store::EXITED || c->state() == store::REMOVING);
}

Types OfPod(const store::Pod& before, const store::Pod& after) {
  Types types;
  if (!Visible(before) && Visible(after)) {
    types.push_back(cri::CONTAINER_CREATED_EVENT);
    if (after->state() == store::POD_READY) types.push_back(cri::CONTAINER_STARTED_EVENT);
  }
  if (before != nullptr && before->state() == store::POD_READY &&
      (after == nullptr || after->state() != store::POD_READY))
    types.push_back(cri::CONTAINER_STOPPED_EVENT);
  if (Visible(before) && after == nullptr) types.push_back(cri::CONTAINER_DELETED_EVENT);
  return types;
}

Types OfContainer(const store::Container& before, const store::Container& after) {
  Types types;
  if (!Visible(before) && Visible(after)) types.push_back(cri::CONTAINER_CREATED_EVENT);
  if (!Started(before) && Started(after)) types.push_back(cri::CONTAINER_STARTED_EVENT);
  if (Visible(before) && !Ended(before) && Ended(after) && after->state() == store::EXITED)
    types.push_back(cri::CONTAINER_STOPPED_EVENT);
  if (Visible(before) && after == nullptr) types.push_back(cri::CONTAINER_DELETED_EVENT);
  return types;
}

}  // namespace

class LifeEvents::Queue final : public Subscription {
 public:
  explicit Queue(LifeEvents& owner) : owner_(owner) {}
  ~Queue() override {
    absl::MutexLock lock(&owner_.mutex_);
    owner_.queues_.erase(this);
  }

  absl::StatusOr<Event> Next(absl::Duration timeout) override {
    absl::MutexLock lock(&owner_.mutex_);
    auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(owner_.mutex_) {
      return !events_.empty() || behind_ || owner_.closed_;
    };
    (void)owner_.changed_.WaitUntil(owner_.mutex_, sys::Deadline(timeout), ready);
    if (behind_)
      return absl::ResourceExhaustedError(
          absl::StrCat("the stream ends: more than ", kMaxWaiting, " events were waiting to be read; list again"));
    if (owner_.closed_) return absl::UnavailableError("wherryd is stopping");
    if (events_.empty()) return Event();
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

  void Push(const Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(owner_.mutex_) {
    if (events_.size() >= kMaxWaiting) {
      behind_ = true;
      events_.clear();
    }
    if (!behind_) events_.push_back(event);
    owner_.changed_.NotifyAll();
  }

 private:
  LifeEvents& owner_;
  std::deque<Event> events_ ABSL_GUARDED_BY(owner_.mutex_);
  bool behind_ ABSL_GUARDED_BY(owner_.mutex_) = false;
};

absl::StatusOr<std::unique_ptr<Subscription>> LifeEvents::Subscribe() {
  auto queue = std::make_unique<Queue>(*this);
  absl::MutexLock lock(&mutex_);
  if (queues_.size() >= kMaxSubscribers)
    return absl::ResourceExhaustedError(absl::StrCat(kMaxSubscribers, " clients follow the events already"));
  queues_.insert(queue.get());
  return queue;
}

void LifeEvents::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  changed_.NotifyAll();
}

void LifeEvents::Heard(const store::Changed& change) {
  {
    absl::MutexLock lock(&mutex_);
    if (queues_.empty()) return;
  }
  for (auto type : OfPod(change.pod_before, change.pod_after)) Announce(change, type);
  for (auto type : OfContainer(change.container_before, change.container_after)) Announce(change, type);
}

Subscription::Event LifeEvents::Build(const store::Changed& change, cri::ContainerEventType type) {
  auto event = std::make_shared<cri::ContainerEventResponse>();
  event->set_container_event_type(type);
  event->set_created_at(core_.Now());
  store::Pod pod = change.pod_after != nullptr ? change.pod_after : change.pod_before;
  store::Container container = change.container_after != nullptr ? change.container_after : change.container_before;
  if (container != nullptr) {
    event->set_container_id(container->id());
    if (auto found = core_.store.FindPod(container->pod_id()); found.ok()) pod = *found;
  } else {
    event->set_container_id(pod->id());
  }
  if (pod == nullptr) return event;
  *event->mutable_pod_sandbox_status() = StatusOf(*pod);
  // A pod whose record is gone says READY no more, whatever it said last.
  if (change.pod_before != nullptr && change.pod_after == nullptr)
    event->mutable_pod_sandbox_status()->set_state(cri::SANDBOX_NOTREADY);
  for (cri::ContainerStatus& status : container::StatusesOf(core_, pod->id()))
    *event->add_containers_statuses() = std::move(status);
  return event;
}

void LifeEvents::Announce(const store::Changed& change, cri::ContainerEventType type) {
  const Subscription::Event event = Build(change, type);
  absl::MutexLock lock(&mutex_);
  for (Queue* queue : queues_) queue->Push(event);
}

}  // namespace wherry::pod

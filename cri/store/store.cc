#include "cri/store/store.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cri/store/database.h"
#include "cri/store/index.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

// Group commit without a thread of its own: the first caller to find nobody writing commits for everybody who has
// gathered meanwhile; the others sleep until theirs is done. A lone writer thus pays no hand-over to another thread, and
// eight pods that start at once share a transaction. Two locks: `queue_` for writers, `published_` for readers; neither is
// held while SQLite works, so a list is never slower than a copy of pointers.
namespace wherry::store {
namespace {

struct Write {
  Change change;
  Pod pod;  // what readers will see; both unset for a deletion
  Container container;
  absl::Status result;
  bool done = false;
};

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  absl::Status Load() ABSL_LOCKS_EXCLUDED(published_) {
    absl::MutexLock lock(&published_);
    RETURN_IF_ERROR(LoadKind(Kind::kPod, pods_));
    return LoadKind(Kind::kContainer, containers_);
  }

  absl::Status Put(PodRecord record) override {
    Write write{{Kind::kPod, record.id(), record.SerializeAsString()}, nullptr, nullptr, {}, false};
    write.pod = std::make_shared<const PodRecord>(std::move(record));
    return Submit(write);
  }
  absl::Status Put(ContainerRecord record) override {
    Write write{{Kind::kContainer, record.id(), record.SerializeAsString()}, nullptr, nullptr, {}, false};
    write.container = std::make_shared<const ContainerRecord>(std::move(record));
    return Submit(write);
  }
  absl::Status DeletePod(const std::string& id) override {
    Write write{{Kind::kPod, id, {}}, nullptr, nullptr, {}, false};
    return Submit(write);
  }
  absl::Status DeleteContainer(const std::string& id) override {
    Write write{{Kind::kContainer, id, {}}, nullptr, nullptr, {}, false};
    return Submit(write);
  }

  void Observe(std::function<void(const Changed&)> observer) override {
    absl::MutexLock lock(&queue_);
    auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(queue_) { return !busy_; };
    queue_.Await(absl::Condition(&idle));
    observer_ = std::move(observer);
  }

  absl::StatusOr<Pod> FindPod(const std::string& id) const override {
    absl::ReaderMutexLock lock(&published_);
    return pods_.Find(id);
  }
  absl::StatusOr<Container> FindContainer(const std::string& id) const override {
    absl::ReaderMutexLock lock(&published_);
    return containers_.Find(id);
  }
  std::vector<Pod> Pods() const override {
    absl::ReaderMutexLock lock(&published_);
    return pods_.ByAge();
  }
  std::vector<Container> Containers() const override {
    absl::ReaderMutexLock lock(&published_);
    return containers_.ByAge();
  }
  std::vector<Container> ContainersOf(const std::string& pod_id) const override {
    std::vector<Container> all = Containers(), out;
    for (Container& container : all)
      if (container->pod_id() == pod_id) out.push_back(std::move(container));
    return out;
  }

 private:
  template <class Record>
  absl::Status LoadKind(Kind kind, Index<Record>& index) {
    return database_->ForEach(kind, [&](absl::string_view id, absl::string_view data) {
      auto record = std::make_shared<Record>();
      if (!record->ParseFromArray(data.data(), static_cast<int>(data.size())) || record->id() != id)
        return absl::DataLossError(absl::StrCat("record \"", id, "\" cannot be read"));
      index.Put(std::move(record));
      return absl::OkStatus();
    });
  }

  absl::Status Submit(Write& write) ABSL_LOCKS_EXCLUDED(queue_) {
    std::vector<Write*> batch;
    {
      absl::MutexLock lock(&queue_);
      waiting_.push_back(&write);
      auto my_turn = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(queue_) { return write.done || !busy_; };
      queue_.Await(absl::Condition(&my_turn));
      if (write.done) return write.result;
      busy_ = true;
      batch.swap(waiting_);
    }
    absl::Status result = CommitAndPublish(batch);
    absl::MutexLock lock(&queue_);
    busy_ = false;
    for (Write* each : batch) {
      each->result = result;
      each->done = true;
    }
    return result;
  }

  absl::Status CommitAndPublish(const std::vector<Write*>& batch) ABSL_LOCKS_EXCLUDED(published_) {
    std::vector<const Change*> changes;
    changes.reserve(batch.size());
    for (const Write* write : batch) changes.push_back(&write->change);
    WHERRY_FAIL_POINT("store.commit");
    RETURN_IF_ERROR(database_->Commit(changes));
    WHERRY_CRASH_POINT("store.committed");
    const std::vector<Changed> changed = Publish(batch);
    for (const Changed& change : changed)
      if (observer_) observer_(change);
    return absl::OkStatus();
  }

  std::vector<Changed> Publish(const std::vector<Write*>& batch) ABSL_LOCKS_EXCLUDED(published_) {
    std::vector<Changed> changed(batch.size());
    absl::MutexLock lock(&published_);
    for (size_t i = 0; i < batch.size(); ++i) {
      Write& write = *batch[i];
      changed[i].pod_after = write.pod;
      changed[i].container_after = write.container;
      if (write.change.kind == Kind::kPod)
        changed[i].pod_before = write.pod ? pods_.Put(std::move(write.pod)) : pods_.Erase(write.change.id);
      else
        changed[i].container_before =
            write.container ? containers_.Put(std::move(write.container)) : containers_.Erase(write.change.id);
    }
    return changed;
  }

  const std::unique_ptr<Database> database_;      // whoever has set busy_ may use it
  std::function<void(const Changed&)> observer_;  // the same
  absl::Mutex queue_;
  bool busy_ ABSL_GUARDED_BY(queue_) = false;
  std::vector<Write*> waiting_ ABSL_GUARDED_BY(queue_);

  mutable absl::Mutex published_;
  Index<PodRecord> pods_ ABSL_GUARDED_BY(published_){"pod"};
  Index<ContainerRecord> containers_ ABSL_GUARDED_BY(published_){"container"};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(path));
  auto store = std::make_unique<SqliteStore>(std::move(database));
  RETURN_IF_ERROR(store->Load());
  return store;
}

}  // namespace wherry::store

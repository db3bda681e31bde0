#include "cri/image/layer_work.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "cri/image/layer_name.h"
#include "cri/image/records.h"
#include "cri/image/unpack.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

pb::PullMessage PlanMessage(const std::vector<PlannedImage>& images) {
  pb::PullMessage message;
  for (const PlannedImage& image : images) {
    pb::PlannedImage* to = message.mutable_plan()->add_images();
    to->set_id(image.id);
    to->mutable_tags()->Assign(image.tags.begin(), image.tags.end());
    to->set_target_digest(image.target_digest);
    to->set_target_media_type(image.target_media_type);
    to->set_target_size(image.target_size);
    to->set_config_bytes(image.config_bytes);
    to->set_config_text(image.config_text);
    ToProto(image.config, to->mutable_config());
  }
  return message;
}

// The layers asked for, each once, largest first: the last thread to finish should have a small one.
absl::StatusOr<std::vector<PlannedLayer>> Choose(const std::vector<PlannedImage>& images,
                                                 const pb::PullMessage::Need& need) {
  std::map<std::string, PlannedLayer> known;
  for (const PlannedImage& image : images)
    for (const PlannedLayer& layer : image.layers) known.emplace(layer.diff_id, layer);
  std::vector<PlannedLayer> chosen;
  for (const std::string& diff_id : std::set<std::string>(need.diff_ids().begin(), need.diff_ids().end())) {
    auto it = known.find(diff_id);
    if (it == known.end()) return absl::InvalidArgumentError(absl::StrCat("asked for the unknown layer ", diff_id));
    chosen.push_back(it->second);
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const auto& a, const auto& b) { return a.where.size > b.where.size; });
  return chosen;
}

// Takes layers off a common list until it is empty or one has failed.
class Unpacker {
 public:
  Unpacker(const LayerWork& work, const BlobOrigin& origin, std::vector<PlannedLayer> layers)
      : work_(work), origin_(origin), layers_(std::move(layers)) {}

  absl::StatusOr<pb::PullMessage> Run() {
    std::vector<std::thread> threads;
    for (size_t i = 1; i < std::min(work_.threads, layers_.size()); ++i) threads.emplace_back([this] { Work(); });
    Work();
    for (std::thread& t : threads) t.join();
    RETURN_IF_ERROR(status_);
    return std::move(done_);
  }

 private:
  void Work() {
    for (size_t i = next_++; i < layers_.size() && !failed_; i = next_++) {
      absl::StatusOr<UnpackedLayer> unpacked = One(layers_[i]);
      std::lock_guard<std::mutex> lock(mutex_);
      if (unpacked.ok()) {
        Note(layers_[i].diff_id, *unpacked);
      } else if (status_.ok()) {
        status_ = unpacked.status();
        failed_ = true;
      }
    }
  }

  void Note(const std::string& diff_id, const UnpackedLayer& layer) {
    pb::LayerRecord* record = done_.mutable_done()->add_layers();
    record->set_diff_id(diff_id);
    record->set_bytes(layer.usage.bytes);
    record->set_inodes(layer.usage.inodes);
    record->set_index_digest(layer.index_digest);
    record->set_tar_bytes(layer.tar_bytes);
    record->set_rebuildable(layer.rebuildable);
    record->set_root_mtime_ns(layer.root_mtime_ns);
  }

  absl::StatusOr<UnpackedLayer> One(const PlannedLayer& layer) {
    const std::string name = LayerDirName(layer.diff_id);
    if (::mkdirat(work_.staging, name.c_str(), 0755) != 0) return sys::Errno(absl::StrCat("mkdir \"", name, "\""));
    WHERRY_FAIL_POINT("pull.layer_made");
    LayerOutput into;
    ASSIGN_OR_RETURN(into.tree, sys::OpenAt(work_.staging, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    ASSIGN_OR_RETURN(into.index, sys::OpenAt(work_.staging, absl::StrCat(name, kIndexSuffix),
                                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    return UnpackLayer(origin_, layer, std::move(into), LayerLimits{}, work_.budget);
  }

  const LayerWork& work_;
  const BlobOrigin& origin_;
  const std::vector<PlannedLayer> layers_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  absl::Status status_;
  pb::PullMessage done_;
};

// Tells wherryd ten times a second what has moved, and nothing when nothing has. The one sender while it lives.
class Reporter {
 public:
  explicit Reporter(const LayerWork& work) : work_(work), begin_(work.budget.left()) {
    if (work_.progress) thread_ = std::thread([this] { Loop(); });
  }
  ~Reporter() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

 private:
  void Loop() {
    constexpr std::chrono::milliseconds kEvery{100};
    std::string last;
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stop_) {
      pb::PullMessage message = work_.progress();
      message.mutable_progress()->set_written(static_cast<uint64_t>(begin_ - work_.budget.left()));
      // A wherryd that has gone is noticed elsewhere.
      if (std::string now = message.SerializeAsString(); now != last && Send(work_.control, message).ok())
        last = std::move(now);
      wake_.wait_for(lock, kEvery);
    }
  }

  const LayerWork& work_;
  const int64_t begin_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<uint64_t> FreeBytes(int dir) {
  struct statvfs st {};
  if (::fstatvfs(dir, &st) != 0) return sys::Errno("fstatvfs of the staging directory");
  const uint64_t unit = st.f_frsize, reserve = st.f_blocks / 20;
  return st.f_bavail > reserve ? (st.f_bavail - reserve) * unit : 0;
}

absl::StatusOr<pb::PullMessage> UnpackImages(const LayerWork& work, const BlobOrigin& origin,
                                             const std::vector<PlannedImage>& images) {
  RETURN_IF_ERROR(Send(work.control, PlanMessage(images)));
  ASSIGN_OR_RETURN(pb::PullMessage answer, Receive(work.control));
  if (!answer.has_need()) return absl::InternalError("wherryd answered the plan with something else than Need");
  ASSIGN_OR_RETURN(std::vector<PlannedLayer> layers, Choose(images, answer.need()));
  WHERRY_FAIL_POINT("pull.needed");
  pb::PullMessage done;
  done.mutable_done();
  if (layers.empty()) return done;
  Unpacker unpacker(work, origin, std::move(layers));
  {
    Reporter reporter(work);
    ASSIGN_OR_RETURN(done, unpacker.Run());
  }
  if (work.progress) {
    pb::PullMessage last = work.progress();
    last.mutable_progress()->set_syncing(true);
    RETURN_IF_ERROR(Send(work.control, last));
  }
  WHERRY_FAIL_POINT("pull.sync");
  if (::syncfs(work.staging) != 0) return sys::Errno("syncfs of the staging directory");
  WHERRY_FAIL_POINT("pull.synced");
  return done;
}

}  // namespace wherry::image

// The store in wherryd: it starts wherry-pull, publishes what that made, and keeps the records.
//
//   import,  staging/<id> made → wherry-pull (fetches and) unpacks and syncs → [rename layers, fsync, commit records, memory]
//   pull:
//   remove:  record gone or marked → memory → layer directories renamed into staging/ → deleted in the background
//
// What is in brackets, and every other change, runs as one task on one thread, in order. A crash between any two steps leaves
// either directories without a record or things in staging/; Open() removes both.
#include "cri/image/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/oci/digest.h"
#include "cri/image/catalog.h"
#include "cri/image/channel.h"
#include "cri/image/layer_name.h"
#include "cri/image/plan_check.h"
#include "cri/image/pull_flights.h"
#include "cri/image/pull_process.h"
#include "cri/image/reference.h"
#include "cri/image/remove_tree.h"
#include "cri/image/store_checks.h"
#include "cri/image/store_dirs.h"
#include "cri/image/task_queue.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

using Images = std::vector<std::shared_ptr<const Image>>;

pb::PullMessage RequestFor(const Reference& reference, const PullAuth& auth, const ImageStore::Options& options) {
  pb::PullMessage message;
  pb::PullRequest& pull = *message.mutable_pull();
  pull.set_reference(reference.digest.empty() ? reference.Tagged() : reference.Digested());
  pull.set_config_path(options.registry_config);
  pull.set_parallel_layers(options.parallel_layers);
  pull.mutable_auth()->set_username(auth.username);
  pull.mutable_auth()->set_password(auth.password);
  pull.mutable_auth()->set_auth(auth.auth);
  pull.mutable_auth()->set_server_address(auth.server_address);
  pull.mutable_auth()->set_identity_token(auth.identity_token);
  pull.mutable_auth()->set_registry_token(auth.registry_token);
  return message;
}

std::vector<LayerProgress> FromProto(const pb::PullMessage::Progress& progress) {
  std::vector<LayerProgress> out;
  for (const pb::LayerProgress& layer : progress.layers()) out.push_back({layer.digest(), layer.size(), layer.done()});
  return out;
}

class Store final : public ImageStore {
 public:
  Store(const Options& options, PinnedNames pinned, StoreDirs dirs, std::unique_ptr<Database> database)
      : options_(options),
        dirs_(std::move(dirs)),
        database_(std::move(database)),
        catalog_(std::move(pinned)),
        verifiers_(options.verifiers),
        flights_(options.max_pulls) {}

  absl::Status Load() {
    ASSIGN_OR_RETURN(std::vector<pb::ImageRecord> images, database_->LoadImages());
    ASSIGN_OR_RETURN(std::vector<pb::LayerRecord> layers, database_->LoadLayers());
    ASSIGN_OR_RETURN(std::set<std::string> directories, dirs_.LayerNames());
    RETURN_IF_ERROR(DropIncomplete(images, layers, directories));
    catalog_.Load(std::move(images), std::move(layers));
    for (const std::string& name : directories) RETURN_IF_ERROR(Discard(name));
    ASSIGN_OR_RETURN(directories, dirs_.LayerNames());
    ASSIGN_OR_RETURN(std::set<std::string> indexes, dirs_.IndexNames());
    for (const std::string& name : indexes)
      if (directories.count(name) == 0) dirs_.RemoveIndex(name);
    return absl::OkStatus();
  }

  Images List() const override { return catalog_.List(); }
  absl::StatusOr<std::shared_ptr<const Image>> Find(const std::string& ref) const override {
    return catalog_.Find(ref);
  }
  absl::StatusOr<Images> Import(const std::string& archive, const ImportOptions& options) override;
  absl::StatusOr<std::shared_ptr<const Image>> Pull(const std::string& ref, const PullAuth& auth,
                                                    const std::function<bool()>& cancelled,
                                                    const Watch& watch) override;
  absl::StatusOr<std::string> Tag(const std::string& ref, const std::string& tag, bool force) override;
  absl::Status Untag(const std::string& name) override;
  absl::StatusOr<std::vector<LayerFindings>> Verify(const std::vector<std::string>& refs) override {
    auto checked = checks_.Verify(refs);
    CollectLater();  // as in StageInto
    return checked;
  }
  absl::Status Export(const std::string& ref, const Sink& sink) override {
    absl::Status status = checks_.Export(ref, sink);
    CollectLater();
    return status;
  }
  absl::Status Remove(const std::string& ref) override;

  absl::StatusOr<FsUsage> Usage() const override {
    const pb::LayerRecord sum = catalog_.Total();
    return FsUsage{dirs_.path(), sum.bytes(), sum.inodes()};
  }

  absl::StatusOr<std::vector<std::string>> Hold(const std::string& image_id, const std::string& holder) override {
    ASSIGN_OR_RETURN(std::vector<std::string> diff_ids, catalog_.Hold(image_id, holder));
    std::vector<std::string> paths;
    for (auto it = diff_ids.rbegin(); it != diff_ids.rend(); ++it) {
      ASSIGN_OR_RETURN(pb::LayerRecord layer, catalog_.Layer(*it));
      paths.push_back(dirs_.LayerPath(LayerDirName(*it, layer.generation())));
      RETURN_IF_ERROR(checks_.CheckAtUse(layer, paths.back()));
    }
    return paths;
  }

  void Release(const std::string& holder) override {
    if (catalog_.Release(holder)) CollectLater();
  }

  void HoldsRestored() override {
    holds_restored_ = true;
    CollectLater();
  }

 private:
  struct Outcome {
    pb::PullMessage::Plan plan;
    std::vector<pb::LayerRecord> layers;  // unpacked and synced, in the staging directory
  };

  absl::Status DropIncomplete(std::vector<pb::ImageRecord>& images, std::vector<pb::LayerRecord>& layers,
                              std::set<std::string>& directories);
  struct Talk {
    std::function<absl::Status(pb::PullMessage::Plan&)> name;             // what the plan's images are to be called
    std::function<void(const pb::PullMessage::Progress&)> progress = {};  // null: none is told, and none waited for
  };
  // Starts wherry-pull over a staging directory and talks to it until it has delivered.
  using Work = std::function<absl::StatusOr<Outcome>(int staging, std::set<std::string>& pinned)>;

  absl::StatusOr<Outcome> Converse(PullProcess& pull, const Talk& talk, std::set<std::string>& pinned);
  absl::StatusOr<Outcome> Finish(PullProcess& pull, const Talk& talk, std::set<std::string>& pinned);
  absl::StatusOr<pb::PullMessage> AwaitLayers(PullProcess& pull, const Talk& talk);
  absl::StatusOr<Images> Stage(const Work& work);
  absl::StatusOr<Images> StageInto(const std::string& name, const Work& work);
  absl::StatusOr<Images> PullOnce(const Reference& reference, const PullAuth& auth, PullFlights::Flight& flight);
  absl::Status Verify(const Reference& reference, const pb::PlannedImage& image, int control);
  absl::StatusOr<std::vector<pb::LayerRecord>> PublishLayers(const Outcome& outcome, int staging);
  absl::Status Publish(const Outcome& outcome, int staging);
  Change ImageChange(const pb::PullMessage::Plan& plan) const;
  absl::Status AddTag(const std::string& id, const std::string& tag, bool force);
  absl::Status TakeName(const std::string& id, const Reference& name);
  absl::Status Record(const Change& change);
  absl::Status MarkRemoved(const std::string& id);
  void Collect();
  void CollectLater() {
    writer_.Post([this] { Collect(); });
  }
  // Takes a directory out of layers/ and deletes it in the background.
  absl::Status Discard(const std::string& layer_name);
  // What cannot be deleted is tried again, by the next start too.
  void DeleteLater(const std::string& staging_name) {
    sweeper_.PostUntilDone([this, staging_name] { return RemoveTree(dirs_.staging(), staging_name).ok(); });
  }

  const Options options_;
  StoreDirs dirs_;
  std::unique_ptr<Database> database_;  // of the writer's thread, once it runs
  Catalog catalog_;
  std::atomic<bool> holds_restored_{false};
  Verifiers verifiers_;
  TaskQueue sweeper_;  // deletes trees; outlives the writer, which feeds it
  TaskQueue writer_;
  StoreChecks checks_{{catalog_, *database_, dirs_, writer_, options_.pull_program}};
  PullFlights flights_;
};

// After a power cut, records and directories may disagree: keeps what has both, and leaves in `directories` those without a record.
absl::Status Store::DropIncomplete(std::vector<pb::ImageRecord>& images, std::vector<pb::LayerRecord>& layers,
                                   std::set<std::string>& directories) {
  Change change;
  std::set<std::string> whole, used;
  for (const pb::LayerRecord& layer : layers)
    if (directories.count(LayerDirName(layer.diff_id(), layer.generation())) != 0) whole.insert(layer.diff_id());
  auto complete = [&](const pb::ImageRecord& image) {
    return std::all_of(image.config().diff_ids().begin(), image.config().diff_ids().end(),
                       [&](const std::string& diff_id) { return whole.count(diff_id) != 0; });
  };
  auto lost = std::stable_partition(images.begin(), images.end(), complete);
  for (auto it = lost; it != images.end(); ++it) change.delete_images.push_back(it->id());
  images.erase(lost, images.end());
  for (const pb::ImageRecord& image : images)
    used.insert(image.config().diff_ids().begin(), image.config().diff_ids().end());
  auto useless = std::stable_partition(layers.begin(), layers.end(),
                                       [&](const pb::LayerRecord& layer) { return used.count(layer.diff_id()) != 0; });
  for (auto it = useless; it != layers.end(); ++it) change.delete_layers.push_back(it->diff_id());
  layers.erase(useless, layers.end());
  for (const pb::LayerRecord& layer : layers) {
    directories.erase(LayerDirName(layer.diff_id(), layer.generation()));
    for (uint32_t generation : layer.old_generations()) directories.erase(LayerDirName(layer.diff_id(), generation));
  }
  if (change.delete_images.empty() && change.delete_layers.empty()) return absl::OkStatus();
  return database_->Commit(change);
}

absl::StatusOr<Images> Store::Import(const std::string& archive, const ImportOptions& options) {
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenAt(AT_FDCWD, archive, O_RDONLY | O_NOCTTY | O_NONBLOCK));
  absl::StatusOr<Images> images = Stage([&](int staging, std::set<std::string>& pinned) -> absl::StatusOr<Outcome> {
    ASSIGN_OR_RETURN(PullProcess pull,
                     PullProcess::Start(options_.pull_program, {file.get(), staging, dirs_.pull_lock()}));
    return Finish(pull, {[&](pb::PullMessage::Plan& plan) { return NameWith(options, plan); }}, pinned);
  });
  if (!images.ok()) return sys::Annotate(images.status(), absl::StrCat("import of \"", archive, "\""));
  return images;
}

absl::StatusOr<std::shared_ptr<const Image>> Store::Pull(const std::string& ref, const PullAuth& auth,
                                                         const std::function<bool()>& cancelled, const Watch& watch) {
  ASSIGN_OR_RETURN(Reference reference, ParseReference(ref));
  // Whoever has other credentials must not be served by these.
  const std::string key = absl::StrCat(RequestFor(reference, auth, options_).SerializeAsString());
  return flights_.Join(key, {cancelled, watch}, [=, this](PullFlights::Flight& flight) -> PullFlights::Result {
    absl::StatusOr<Images> pulled = PullOnce(reference, auth, flight);
    if (absl::IsDeadlineExceeded(pulled.status()))
      return sys::Annotate(pulled.status(), absl::StrCat("pull of \"", ref, "\""));
    ASSIGN_OR_RETURN(Images images, std::move(pulled));
    if (images.size() != 1) return absl::InternalError(absl::StrCat("a pull made ", images.size(), " images"));
    return images.front();
  });
}

absl::StatusOr<Images> Store::PullOnce(const Reference& reference, const PullAuth& auth, PullFlights::Flight& flight) {
  return Stage([&](int staging, std::set<std::string>& pinned) -> absl::StatusOr<Outcome> {
    ASSIGN_OR_RETURN(PullProcess pull, PullProcess::Start(options_.pull_program, {-1, staging, dirs_.pull_lock()}));
    RETURN_IF_ERROR(flight.SetControl(pull.control()));
    absl::StatusOr<Outcome> outcome = absl::InternalError("");
    if (absl::Status sent = Send(pull.control(), RequestFor(reference, auth, options_)); !sent.ok())
      outcome = sent;
    else
      outcome = Finish(pull,
                       {[&](pb::PullMessage::Plan& plan) -> absl::Status {
                          RETURN_IF_ERROR(NameAs(reference, plan));
                          return Verify(reference, plan.images(0), pull.control());
                        },
                        [&](const pb::PullMessage::Progress& progress) { flight.SetProgress(FromProto(progress)); }},
                       pinned);
    (void)flight.SetControl(-1).ok();  // it was not too late to finish
    return outcome;
  });
}

// Before any layer is fetched. The kubelet makes a reason of its own of the first word, when the code is Unknown.
absl::Status Store::Verify(const Reference& reference, const pb::PlannedImage& image, int control) {
  const std::string name = reference.digest.empty() ? reference.Tagged() : reference.Digested();
  absl::Status verdict =
      verifiers_.Ask({name, image.target_digest(), image.target_media_type(), image.target_size()}, control);
  if (verdict.ok() || absl::IsCancelled(verdict)) return verdict;
  return absl::UnknownError(
      absl::StrCat("SignatureValidationFailed: pull of \"", name, "\": ", std::string(verdict.message())));
}

absl::StatusOr<Images> Store::Stage(const Work& work) {
  WHERRY_FAIL_POINT("image.stage");
  const std::string name = RandomName();
  if (::mkdirat(dirs_.staging(), name.c_str(), 0700) != 0) return sys::Errno("mkdir of the staging directory");
  absl::StatusOr<Images> images = StageInto(name, work);
  DeleteLater(name);
  return images;
}

absl::StatusOr<Images> Store::StageInto(const std::string& name, const Work& work) {
  WHERRY_FAIL_POINT("image.staged");
  ASSIGN_OR_RETURN(sys::UniqueFd staging, sys::OpenAt(dirs_.staging(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::set<std::string> pinned;
  absl::StatusOr<Outcome> outcome = work(staging.get(), pinned);
  absl::Status status = outcome.status();
  if (status.ok()) writer_.Run([&] { status = Publish(*outcome, staging.get()); });
  catalog_.Unpin(pinned);
  CollectLater();  // layers may have lost their last other need while they were pinned
  RETURN_IF_ERROR(status);
  Images images;
  for (const pb::PlannedImage& image : outcome->plan.images())
    if (auto found = catalog_.Find(image.id()); found.ok()) images.push_back(*found);
  return images;
}

absl::StatusOr<Store::Outcome> Store::Finish(PullProcess& pull, const Talk& talk, std::set<std::string>& pinned) {
  absl::StatusOr<Outcome> outcome = Converse(pull, talk, pinned);
  // A process that vanished in mid-sentence says more by the way it ended.
  if (absl::IsUnavailable(outcome.status())) RETURN_IF_ERROR(pull.Wait());
  return outcome;
}

// What comes after the unpacking. With progress to be told, silence ends it: nothing moves any more, neither from the network nor to
// the disk. (Before the layers there is no progress, but each request has its own limits.)
absl::StatusOr<pb::PullMessage> Store::AwaitLayers(PullProcess& pull, const Talk& talk) {
  absl::Duration patience = talk.progress ? options_.progress_timeout : absl::InfiniteDuration();
  while (true) {
    absl::StatusOr<pb::PullMessage> message = Receive(pull.control(), patience);
    if (absl::IsDeadlineExceeded(message.status()))
      return absl::DeadlineExceededError(
          absl::StrCat("no progress for ", absl::FormatDuration(patience), ", given up"));
    if (!message.ok() || !message->has_progress()) return message;
    if (talk.progress) talk.progress(message->progress());
    if (message->progress().syncing()) patience = absl::InfiniteDuration();
  }
}

absl::StatusOr<Store::Outcome> Store::Converse(PullProcess& pull, const Talk& talk, std::set<std::string>& pinned) {
  Outcome outcome;
  WHERRY_FAIL_POINT("image.pull_started");
  ASSIGN_OR_RETURN(pb::PullMessage message, Receive(pull.control()));
  if (message.has_failure()) return FailureStatus(message.failure());
  RETURN_IF_ERROR(CheckPlan(message.plan()));
  outcome.plan = std::move(*message.mutable_plan());
  RETURN_IF_ERROR(talk.name(outcome.plan));
  for (const pb::PlannedImage& image : outcome.plan.images())
    pinned.insert(image.config().diff_ids().begin(), image.config().diff_ids().end());
  const std::vector<std::string> missing = catalog_.Pin(pinned);
  pb::PullMessage need;
  need.mutable_need()->mutable_diff_ids()->Assign(missing.begin(), missing.end());
  RETURN_IF_ERROR(Send(pull.control(), need));
  WHERRY_FAIL_POINT("image.need_sent");
  ASSIGN_OR_RETURN(message, AwaitLayers(pull, talk));
  if (message.has_failure()) return FailureStatus(message.failure());
  std::set<std::string> due(missing.begin(), missing.end());
  for (const pb::LayerRecord& layer : message.done().layers()) {
    if (due.erase(layer.diff_id()) == 0)
      return absl::InternalError("wherry-pull delivered a layer that was not asked for");
    outcome.layers.push_back(layer);
  }
  if (!message.has_done() || !due.empty()) return absl::InternalError("wherry-pull did not deliver all layers");
  WHERRY_FAIL_POINT("image.delivered");
  RETURN_IF_ERROR(pull.Wait());
  return outcome;
}

absl::StatusOr<std::vector<pb::LayerRecord>> Store::PublishLayers(const Outcome& outcome, int staging) {
  std::vector<pb::LayerRecord> published;
  for (pb::LayerRecord layer : outcome.layers) {
    if (catalog_.HasLayer(layer.diff_id())) continue;  // another import was first: ours goes with the staging directory
    if (auto damaged = catalog_.Layer(layer.diff_id()); damaged.ok()) {
      *layer.mutable_old_generations() = damaged->old_generations();
      layer.add_old_generations(damaged->generation());
      layer.set_generation(damaged->generation() + 1);
    }
    const std::string name = LayerDirName(layer.diff_id()), to = LayerDirName(layer.diff_id(), layer.generation());
    WHERRY_FAIL_POINT("image.publish");
    absl::Status moved = dirs_.Publish(staging, name, to);
    if (sys::IsErrno(moved, EEXIST)) {  // of an import whose records could not be committed
      RETURN_IF_ERROR(Discard(to));
      moved = dirs_.Publish(staging, name, to);
    }
    RETURN_IF_ERROR(moved);
    published.push_back(layer);
  }
  WHERRY_FAIL_POINT("image.sync");
  if (!published.empty()) RETURN_IF_ERROR(dirs_.SyncLayers());
  return published;
}

absl::Status Store::Publish(const Outcome& outcome, int staging) {
  ASSIGN_OR_RETURN(std::vector<pb::LayerRecord> layers, PublishLayers(outcome, staging));
  Change change = ImageChange(outcome.plan);
  change.put_layers = std::move(layers);
  for (const pb::PlannedImage& image : outcome.plan.images())
    if (!image.config_text().empty()) change.put_configs.emplace_back(image.id(), image.config_text());
  if (change.put_images.empty() && change.put_layers.empty()) return absl::OkStatus();
  WHERRY_CRASH_POINT("image.commit");
  absl::Status status = database_->Commit(change);
  if (status.ok()) {
    WHERRY_CRASH_POINT("image.committed");
    catalog_.Apply(change);
    return status;
  }
  for (const pb::LayerRecord& layer : change.put_layers)
    (void)Discard(LayerDirName(layer.diff_id(), layer.generation()));
  return status;
}

// The records that the plan's images need: new ones, and those of images that lose a tag to them. Empty when all is as planned.
Change Store::ImageChange(const pb::PullMessage::Plan& plan) const {
  std::map<std::string, pb::ImageRecord> before, after;
  for (pb::ImageRecord& record : catalog_.Records()) before[record.id()] = record;
  after = before;
  for (const pb::PlannedImage& image : plan.images()) {
    for (const std::string& tag : image.tags()) {
      for (auto& [id, record] : after) {
        auto* tags = record.mutable_tags();
        if (id != image.id()) tags->erase(std::remove(tags->begin(), tags->end(), tag), tags->end());
      }
    }
    pb::ImageRecord& record = after[image.id()];
    if (record.removed()) {
      record.clear_tags();
      record.clear_digests();
      record.clear_removed();
      record.clear_pinned();
    }
    record.set_id(image.id());
    if (image.pinned()) record.set_pinned(true);
    *record.mutable_config() = image.config();
    record.set_config_bytes(image.config_bytes());
    for (const std::string& tag : image.tags()) {
      AddUnique(record.mutable_tags(), tag);
      absl::StatusOr<Reference> ref = ParseReference(tag);
      if (image.target_digest().empty() || !ref.ok()) continue;
      AddUnique(record.mutable_digests(), absl::StrCat(ref->Repository(), "@", image.target_digest()));
    }
    for (const std::string& digest : image.digests()) AddUnique(record.mutable_digests(), digest);
  }
  Change change;
  for (const auto& [id, record] : after) {
    auto old = before.find(id);
    if (old == before.end() || old->second.SerializeAsString() != record.SerializeAsString())
      change.put_images.push_back(record);
  }
  return change;
}

absl::StatusOr<std::string> Store::Tag(const std::string& ref, const std::string& tag, bool force) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Image> image, catalog_.Find(ref));
  ASSIGN_OR_RETURN(Reference name, ParseReference(tag));
  if (name.tag.empty()) return absl::InvalidArgumentError(absl::StrCat("\"", tag, "\" has no tag"));
  absl::Status status;
  writer_.Run([&] { status = AddTag(image->id, name.Tagged(), force); });
  if (!status.ok()) return sys::Annotate(status, absl::StrCat("tag \"", tag, "\""));
  return name.Tagged();
}

absl::Status Store::AddTag(const std::string& id, const std::string& tag, bool force) {
  ASSIGN_OR_RETURN(pb::ImageRecord record, catalog_.Record(id));
  if (record.removed()) return absl::NotFoundError(absl::StrCat("image ", id, " was removed meanwhile"));
  const auto taken = catalog_.Find(tag);
  if (!force && taken.ok() && (*taken)->id != id)
    return absl::AlreadyExistsError(absl::StrCat("image ", (*taken)->id, " has this name"));
  pb::PullMessage::Plan plan;
  pb::PlannedImage& image = *plan.add_images();
  image.set_id(id);
  *image.mutable_config() = record.config();
  image.set_config_bytes(record.config_bytes());
  image.add_tags(tag);
  return Record(ImageChange(plan));
}

absl::Status Store::Untag(const std::string& name) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Image> image, catalog_.Find(name));
  ASSIGN_OR_RETURN(Reference reference, ParseReference(name));
  absl::Status status;
  writer_.Run([&] { status = TakeName(image->id, reference); });
  return sys::Annotate(status, absl::StrCat("removal of the name \"", name, "\""));
}

// The digest of a repository goes with the repository's last tag: it was noted with it.
absl::Status Store::TakeName(const std::string& id, const Reference& name) {
  ASSIGN_OR_RETURN(pb::ImageRecord record, catalog_.Record(id));
  auto* tags = record.mutable_tags();
  auto* digests = record.mutable_digests();
  const std::string wanted = name.digest.empty() ? name.Tagged() : name.Digested();
  auto& from = name.digest.empty() ? *tags : *digests;
  const auto end = std::remove(from.begin(), from.end(), wanted);
  if (record.removed() || end == from.end()) return absl::NotFoundError("no image is called so");
  from.erase(end, from.end());
  const auto same_repository = [&](char mark) {
    return [prefix = absl::StrCat(name.Repository(), absl::string_view(&mark, 1))](const std::string& other) {
      return absl::StartsWith(other, prefix);
    };
  };
  if (std::none_of(tags->begin(), tags->end(), same_repository(':')))
    digests->erase(std::remove_if(digests->begin(), digests->end(), same_repository('@')), digests->end());
  if (tags->empty() && digests->empty()) return MarkRemoved(id);
  Change change;
  change.put_images.push_back(std::move(record));
  return Record(change);
}

// Makes a change of records alone; on the writer's thread.
absl::Status Store::Record(const Change& change) {
  if (change.put_images.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(database_->Commit(change));
  catalog_.Apply(change);
  return absl::OkStatus();
}

absl::Status Store::Remove(const std::string& ref) {
  absl::StatusOr<std::shared_ptr<const Image>> image = catalog_.Find(ref);
  if (absl::IsNotFound(image.status())) return absl::OkStatus();
  RETURN_IF_ERROR(image.status());
  holds_restored_ = true;  // who removes images serves already, and holds are taken again before that
  absl::Status status;
  writer_.Run([&] { status = MarkRemoved((*image)->id); });
  return sys::Annotate(status, absl::StrCat("removal of image \"", ref, "\""));
}

absl::Status Store::MarkRemoved(const std::string& id) {
  absl::StatusOr<pb::ImageRecord> record = catalog_.Record(id);
  if (!record.ok() || record->removed()) return absl::OkStatus();
  record->set_removed(true);
  Change change;
  change.put_images.push_back(*record);
  WHERRY_FAIL_POINT("image.mark_removed");
  RETURN_IF_ERROR(database_->Commit(change));
  WHERRY_CRASH_POINT("image.marked_removed");
  catalog_.Apply(change);
  Collect();
  return absl::OkStatus();
}

void Store::Collect() {
  if (!holds_restored_) return;
  const Catalog::Garbage garbage = catalog_.TakeGarbage();
  if (garbage.change.delete_images.empty() && garbage.directories.empty()) return;
  // When the records cannot be deleted now, the next start finds them without their directories, and drops them.
  WHERRY_CRASH_POINT("image.collect");
  (void)database_->Commit(garbage.change);
  WHERRY_CRASH_POINT("image.collected");
  for (const std::string& name : garbage.directories) (void)Discard(name);
}

absl::Status Store::Discard(const std::string& layer_name) {
  WHERRY_CRASH_POINT("image.discard");  // a failure leaves the directory to the next start
  dirs_.RemoveIndex(layer_name);
  ASSIGN_OR_RETURN(std::string name, dirs_.Retire(layer_name));
  WHERRY_CRASH_POINT("image.discarded");
  DeleteLater(name);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImageStore>> ImageStore::Open(const Options& options) {
  ASSIGN_OR_RETURN_CTX(PinnedNames pinned, PinnedNames::Parse(options.pinned), "image store");
  ASSIGN_OR_RETURN_CTX(StoreDirs dirs, StoreDirs::Open(options.root), "image store");
  ASSIGN_OR_RETURN_CTX(std::unique_ptr<Database> database, Database::Open(dirs.DatabasePath()), "image store");
  auto store = std::make_unique<Store>(options, std::move(pinned), std::move(dirs), std::move(database));
  RETURN_IF_ERROR_CTX(store->Load(), "image store");
  return std::unique_ptr<ImageStore>(std::move(store));
}

}  // namespace wherry::image

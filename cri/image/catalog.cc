#include "cri/image/catalog.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cri/image/layer_name.h"
#include "cri/image/records.h"
#include "cri/image/reference.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMinPrefix = 4;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

absl::Status NoImage(absl::string_view ref) { return absl::NotFoundError(absl::StrCat("no image \"", ref, "\"")); }

}  // namespace

void Catalog::Load(std::vector<pb::ImageRecord> images, std::vector<pb::LayerRecord> layers) {
  Change all;
  all.put_images = std::move(images);
  all.put_layers = std::move(layers);
  Apply(all);
}

// The caller holds the lock.
std::shared_ptr<const Image> Catalog::Build(const pb::ImageRecord& record) const {
  auto image = std::make_shared<Image>();
  image->id = record.id();
  image->repo_tags.assign(record.tags().begin(), record.tags().end());
  image->repo_digests.assign(record.digests().begin(), record.digests().end());
  image->config = FromProto(record.config());
  image->diff_ids = image->config.diff_ids;
  const auto matches = [this](const std::string& name) { return pinned_.Match(name); };
  image->pinned = record.pinned() || matches(record.id()) ||
                  std::any_of(record.tags().begin(), record.tags().end(), matches) ||
                  std::any_of(record.digests().begin(), record.digests().end(), matches);
  image->size = std::max<uint64_t>(1, record.config_bytes());
  for (const std::string& diff_id : std::set<std::string>(image->diff_ids.begin(), image->diff_ids.end())) {
    auto it = layers_.find(diff_id);
    if (it == layers_.end()) continue;
    image->size += it->second.bytes();
    image->damaged = image->damaged || it->second.damaged();
  }
  return image;
}

// The caller holds the lock.
std::set<std::string> Catalog::HoldersOf(const std::string& diff_id) const {
  std::set<std::string> out;
  for (const auto& [holder, ids] : holders_) {
    for (const std::string& id : ids) {
      auto image = images_.find(id);
      if (image == images_.end()) continue;
      const std::vector<std::string>& layers = image->second.image->diff_ids;
      if (std::find(layers.begin(), layers.end(), diff_id) != layers.end()) out.insert(holder);
    }
  }
  return out;
}

// The caller holds the lock.
void Catalog::Replace(const pb::LayerRecord& layer) {
  auto known = layers_.find(layer.diff_id());
  if (known == layers_.end()) {
    for (uint32_t generation : layer.old_generations()) old_.push_back({layer.diff_id(), generation, false, {}});
  } else if (known->second.generation() != layer.generation()) {
    old_.push_back({layer.diff_id(), known->second.generation(), true, HoldersOf(layer.diff_id())});
  }
  layers_[layer.diff_id()] = layer;
  for (auto& [id, entry] : images_) {
    const std::vector<std::string>& layers = entry.image->diff_ids;
    if (std::find(layers.begin(), layers.end(), layer.diff_id()) != layers.end()) entry.image = Build(entry.record);
  }
}

void Catalog::Apply(const Change& change) {
  std::unique_lock lock(mutex_);
  for (const pb::LayerRecord& layer : change.put_layers) Replace(layer);
  auto forget_names = [this](const std::string& id) {
    for (auto it = names_.begin(); it != names_.end();) it = it->second == id ? names_.erase(it) : std::next(it);
  };
  for (const pb::ImageRecord& record : change.put_images) forget_names(record.id());
  for (const pb::ImageRecord& record : change.put_images) {
    images_[record.id()] = Entry{Build(record), record};
    if (record.removed()) continue;
    for (const std::string& tag : record.tags()) names_[tag] = record.id();
    for (const std::string& digest : record.digests()) names_[digest] = record.id();
  }
  for (const std::string& id : change.delete_images) {
    forget_names(id);
    images_.erase(id);
  }
  for (const std::string& diff_id : change.delete_layers) layers_.erase(diff_id);
}

std::vector<std::shared_ptr<const Image>> Catalog::List() const {
  std::shared_lock lock(mutex_);
  std::vector<std::shared_ptr<const Image>> out;
  for (const auto& [id, entry] : images_)
    if (!entry.record.removed()) out.push_back(entry.image);
  return out;
}

std::shared_ptr<const Image> Catalog::Visible(const std::string& id) const {
  auto it = images_.find(id);
  return it == images_.end() || it->second.record.removed() ? nullptr : it->second.image;
}

absl::StatusOr<std::shared_ptr<const Image>> Catalog::FindByPrefix(const std::string& hex) const {
  const std::string prefix = absl::StrCat("sha256:", hex);
  std::shared_ptr<const Image> found;
  for (auto it = images_.lower_bound(prefix); it != images_.end() && absl::StartsWith(it->first, prefix); ++it) {
    if (it->second.record.removed()) continue;
    if (found != nullptr)
      return absl::InvalidArgumentError(absl::StrCat("several images have an id that begins with ", hex));
    found = it->second.image;
  }
  if (found == nullptr) return NoImage(hex);
  return found;
}

absl::StatusOr<std::shared_ptr<const Image>> Catalog::Find(const std::string& ref) const {
  std::shared_lock lock(mutex_);
  if (absl::StartsWith(ref, "sha256:")) {
    const std::string hex = ref.substr(7);
    if (hex.size() < kMinPrefix || hex.size() > 64 || !IsHex(hex))
      return absl::InvalidArgumentError(absl::StrCat("\"", ref.substr(0, 100), "\" is no image id"));
    return FindByPrefix(hex);
  }
  absl::StatusOr<Reference> parsed = ParseReference(ref);
  if (parsed.ok()) {
    // With both, the digest decides: the tag only says where it was seen.
    auto it = names_.find(parsed->digest.empty() ? parsed->Tagged() : parsed->Digested());
    if (it != names_.end())
      if (auto image = Visible(it->second)) return image;
  }
  if (ref.size() >= kMinPrefix && ref.size() <= 64 && IsHex(ref)) return FindByPrefix(ref);
  if (!parsed.ok()) return parsed.status();
  return NoImage(ref);
}

absl::StatusOr<pb::ImageRecord> Catalog::Record(const std::string& id) const {
  std::shared_lock lock(mutex_);
  auto it = images_.find(id);
  if (it == images_.end()) return NoImage(id);
  return it->second.record;
}

std::vector<pb::ImageRecord> Catalog::Records() const {
  std::shared_lock lock(mutex_);
  std::vector<pb::ImageRecord> out;
  for (const auto& [id, entry] : images_) out.push_back(entry.record);
  return out;
}

bool Catalog::HasLayer(const std::string& diff_id) const {
  std::shared_lock lock(mutex_);
  auto it = layers_.find(diff_id);
  return it != layers_.end() && !it->second.damaged();
}

absl::StatusOr<pb::LayerRecord> Catalog::Layer(const std::string& diff_id) const {
  std::shared_lock lock(mutex_);
  auto it = layers_.find(diff_id);
  if (it == layers_.end()) return absl::NotFoundError(absl::StrCat("no layer ", diff_id));
  return it->second;
}

pb::LayerRecord Catalog::Total() const {
  std::shared_lock lock(mutex_);
  pb::LayerRecord sum;
  for (const auto& [id, layer] : layers_) {
    sum.set_bytes(sum.bytes() + layer.bytes());
    sum.set_inodes(sum.inodes() + layer.inodes());
  }
  return sum;
}

std::vector<std::string> Catalog::Pin(const std::set<std::string>& diff_ids) {
  std::unique_lock lock(mutex_);
  std::vector<std::string> missing;
  for (const std::string& diff_id : diff_ids) {
    ++pins_[diff_id];
    auto it = layers_.find(diff_id);
    if (it == layers_.end() || it->second.damaged()) missing.push_back(diff_id);
  }
  return missing;
}

void Catalog::Unpin(const std::set<std::string>& diff_ids) {
  std::unique_lock lock(mutex_);
  for (const std::string& diff_id : diff_ids)
    if (auto it = pins_.find(diff_id); it != pins_.end() && --it->second == 0) pins_.erase(it);
}

absl::StatusOr<std::vector<std::string>> Catalog::Hold(const std::string& id, const std::string& holder) {
  std::unique_lock lock(mutex_);
  auto it = images_.find(id);
  if (it == images_.end()) return NoImage(id);
  holders_[holder].insert(id);
  return it->second.image->diff_ids;
}

bool Catalog::Release(const std::string& holder) {
  std::unique_lock lock(mutex_);
  auto it = holders_.find(holder);
  if (it == holders_.end()) return false;
  bool freed = std::any_of(it->second.begin(), it->second.end(), [this](const std::string& id) {
    auto image = images_.find(id);
    return image != images_.end() && image->second.record.removed();
  });
  freed = freed || std::any_of(old_.begin(), old_.end(),
                               [&](const OldDirectory& old) { return old.holders.count(holder) != 0; });
  holders_.erase(it);
  return freed;
}

// The caller holds the lock.
void Catalog::TakeOldDirectories(Garbage& garbage) {
  for (auto it = old_.begin(); it != old_.end();) {
    if (!std::exchange(it->known, true)) it->holders = HoldersOf(it->diff_id);
    auto layer = layers_.find(it->diff_id);
    const bool held = layer != layers_.end() && std::any_of(it->holders.begin(), it->holders.end(),
                                                            [&](const auto& h) { return holders_.count(h) != 0; });
    if (held) {
      ++it;
      continue;
    }
    garbage.directories.push_back(LayerDirName(it->diff_id, it->generation));
    if (layer != layers_.end()) {
      auto* old = layer->second.mutable_old_generations();
      old->erase(std::remove(old->begin(), old->end(), it->generation), old->end());
      garbage.change.put_layers.push_back(layer->second);
    }
    it = old_.erase(it);
  }
}

Catalog::Garbage Catalog::TakeGarbage() {
  std::unique_lock lock(mutex_);
  std::set<std::string> held, used;
  for (const auto& [holder, ids] : holders_) held.insert(ids.begin(), ids.end());
  Garbage garbage;
  Change& change = garbage.change;
  for (const auto& [id, entry] : images_) {
    if (entry.record.removed() && held.count(id) == 0)
      change.delete_images.push_back(id);
    else
      used.insert(entry.image->diff_ids.begin(), entry.image->diff_ids.end());
  }
  for (const auto& [diff_id, layer] : layers_)
    if (used.count(diff_id) == 0 && pins_.count(diff_id) == 0) change.delete_layers.push_back(diff_id);
  for (const std::string& id : change.delete_images) images_.erase(id);
  for (const std::string& diff_id : change.delete_layers) {
    garbage.directories.push_back(LayerDirName(diff_id, layers_[diff_id].generation()));
    layers_.erase(diff_id);
  }
  TakeOldDirectories(garbage);
  return garbage;
}

}  // namespace wherry::image

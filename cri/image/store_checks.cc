#include "cri/image/store_checks.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cri/image/inspect.h"
#include "cri/image/reference.h"
#include "runtime/sys/status.h"

namespace wherry::image {

// As cheap as it can be: a layer that is gone, emptied or copied back without its times shows at its top.
absl::Status StoreChecks::CheckAtUse(const pb::LayerRecord& layer, const std::string& path) {
  const auto damaged = [&](absl::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("layer ", layer.diff_id(), " of the image is damaged (", why, "): pull the image again"));
  };
  if (layer.damaged()) return damaged("it was found so");
  struct stat st {};
  const bool there = ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
  const int64_t mtime = st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec;
  if (there && (layer.index_digest().empty() || mtime == layer.root_mtime_ns())) return absl::OkStatus();
  absl::Status marked;
  parts_.writer.Run([&] { marked = MarkDamaged({{layer.diff_id(), {}, 1}}); });
  RETURN_IF_ERROR(marked);
  return damaged(there ? "its directory was changed" : "it is gone");
}

// On the writer's thread. Takes marks away too.
absl::Status StoreChecks::MarkDamaged(const std::vector<LayerFindings>& checked) {
  Change change;
  for (const LayerFindings& layer : checked) {
    absl::StatusOr<pb::LayerRecord> record = parts_.catalog.Layer(layer.diff_id);
    if (!record.ok() || record->damaged() == (layer.count != 0)) continue;
    record->set_damaged(layer.count != 0);
    change.put_layers.push_back(*std::move(record));
  }
  if (change.put_layers.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(parts_.database.Commit(change));
  parts_.catalog.Apply(change);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<pb::LayerRecord>> StoreChecks::RecordsOf(const std::set<std::string>& diff_ids) const {
  std::vector<pb::LayerRecord> records;
  for (const std::string& diff_id : diff_ids) {
    ASSIGN_OR_RETURN(pb::LayerRecord record, parts_.catalog.Layer(diff_id));
    records.push_back(std::move(record));
  }
  return records;
}

absl::StatusOr<std::vector<LayerFindings>> StoreChecks::Verify(const std::vector<std::string>& refs) {
  std::set<std::string> diff_ids;
  for (const std::string& ref : refs) {
    ASSIGN_OR_RETURN(const auto image, parts_.catalog.Find(ref));
    diff_ids.insert(image->diff_ids.begin(), image->diff_ids.end());
  }
  if (refs.empty())
    for (const auto& image : parts_.catalog.List()) diff_ids.insert(image->diff_ids.begin(), image->diff_ids.end());
  parts_.catalog.Pin(diff_ids);
  absl::StatusOr<std::vector<LayerFindings>> checked = std::vector<LayerFindings>();
  absl::StatusOr<std::vector<pb::LayerRecord>> before = RecordsOf(diff_ids);
  absl::Status status = before.status();
  if (status.ok()) {
    pb::CheckRequest request;
    for (const pb::LayerRecord& record : *before) *request.add_layers() = StoredLayerOf(record);
    checked = AskForCheck(parts_.pull_program, parts_.dirs, request);
    status = checked.status();
  }
  if (status.ok())
    parts_.writer.Run([&] {
      // What was unpacked anew meanwhile is another directory than the one that was looked at.
      std::vector<LayerFindings> current;
      for (size_t i = 0; i < before->size(); ++i)
        if (auto now = parts_.catalog.Layer((*before)[i].diff_id());
            now.ok() && now->generation() == (*before)[i].generation())
          current.push_back((*checked)[i]);
      status = MarkDamaged(current);
    });
  parts_.catalog.Unpin(diff_ids);
  if (!status.ok()) return sys::Annotate(status, "verification of images");
  return checked;
}

absl::Status StoreChecks::Export(const std::string& ref, const ImageStore::Sink& sink) {
  ASSIGN_OR_RETURN(const auto image, parts_.catalog.Find(ref));
  const std::set<std::string> diff_ids(image->diff_ids.begin(), image->diff_ids.end());
  parts_.catalog.Pin(diff_ids);
  absl::Status status = ExportPinned(*image, ref, sink);
  parts_.catalog.Unpin(diff_ids);
  return sys::Annotate(status, absl::StrCat("export of \"", ref, "\""));
}

absl::Status StoreChecks::ExportPinned(const Image& image, const std::string& ref, const ImageStore::Sink& sink) {
  pb::ExportRequest request;
  request.set_id(image.id);
  absl::StatusOr<std::string> config;
  parts_.writer.Run([&] { config = parts_.database.LoadConfig(image.id); });
  RETURN_IF_ERROR(config.status());
  request.set_config(*std::move(config));
  for (const std::string& diff_id : image.diff_ids) {
    ASSIGN_OR_RETURN(pb::LayerRecord record, parts_.catalog.Layer(diff_id));
    *request.add_layers() = StoredLayerOf(record);
  }
  absl::StatusOr<Reference> name = ParseReference(ref);
  const auto& tags = image.repo_tags;
  if (name.ok() && std::find(tags.begin(), tags.end(), name->Tagged()) != tags.end())
    request.add_names(name->Tagged());
  else
    request.mutable_names()->Assign(tags.begin(), tags.end());
  return AskForExport(parts_.pull_program, parts_.dirs, request, sink);
}

}  // namespace wherry::image

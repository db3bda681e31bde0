#include "cri/image/unpack.h"

#include "cri/image/decompress.h"
#include "cri/image/sha256.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

// After a tar stream's end mark only padding may follow; writers fill up to a block of 10 KiB, some to more.
constexpr uint64_t kMaxPadding = 64 << 20;

absl::Status WriteEntries(ByteSource& stream, const LayerLimits& limits, LayerTree& tree) {
  ASSIGN_OR_RETURN(std::unique_ptr<LayerReader> reader, ReadLayer(stream, limits));
  while (true) {
    ASSIGN_OR_RETURN(const LayerEntry* entry, reader->Next());
    if (entry == nullptr) return absl::OkStatus();
    RETURN_IF_ERROR(tree.Add(*entry, *reader));
  }
}

absl::Status Drain(ByteSource& stream) {
  for (uint64_t seen = 0;;) {
    ASSIGN_OR_RETURN(absl::string_view chunk, stream.Next());
    if (chunk.empty()) return absl::OkStatus();
    seen += chunk.size();
    if (seen > kMaxPadding)
      return absl::InvalidArgumentError("there is more than padding after the end of the tar stream");
  }
}

absl::StatusOr<LayerUsage> Run(const BlobOrigin& origin, const PlannedLayer& layer, sys::UniqueFd into,
                               const LayerLimits& limits, DiskBudget& budget) {
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> file, origin.Open(layer));
  HashingSource blob(*file);
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> plain, Decompress(blob, limits.max_bytes));
  HashingSource diff(*plain);
  ASSIGN_OR_RETURN(std::unique_ptr<LayerTree> tree, LayerTree::Open(std::move(into), budget));
  RETURN_IF_ERROR(WriteEntries(diff, limits, *tree));
  RETURN_IF_ERROR(Drain(diff));
  RETURN_IF_ERROR(Drain(blob));
  if (std::string is = blob.Digest(); !layer.blob_digest.empty() && is != layer.blob_digest)
    return absl::DataLossError(absl::StrCat("its contents have the digest ", is));
  if (std::string is = diff.Digest(); is != layer.diff_id)
    return absl::DataLossError(
        absl::StrCat("its decompressed contents have the digest ", is, ", the configuration says ", layer.diff_id));
  return tree->Finish();
}

}  // namespace

absl::StatusOr<LayerUsage> UnpackLayer(const BlobOrigin& origin, const PlannedLayer& layer, sys::UniqueFd into,
                                       const LayerLimits& limits, DiskBudget& budget) {
  absl::StatusOr<LayerUsage> usage = Run(origin, layer, std::move(into), limits, budget);
  if (!usage.ok())
    return sys::Annotate(usage.status(),
                         absl::StrCat("layer ", layer.blob_digest.empty() ? layer.diff_id : layer.blob_digest));
  return usage;
}

}  // namespace wherry::image

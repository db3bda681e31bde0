#include "cri/image/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <limits>

#include "cri/image/decompress.h"
#include "cri/image/layer_walk.h"
#include "cri/image/sha256.h"
#include "cri/image/tar_recorder.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

// After a tar stream's end mark only padding may follow; writers fill up to a block of 10 KiB, some to more.
constexpr uint64_t kMaxPadding = 64 << 20;

absl::Status WriteEntries(TarRecorder& stream, const LayerLimits& limits, LayerTree& tree) {
  ASSIGN_OR_RETURN(std::unique_ptr<LayerReader> reader, ReadLayer(stream, limits));
  while (true) {
    ASSIGN_OR_RETURN(const LayerEntry* entry, reader->Next());
    if (entry == nullptr) break;
    WHERRY_FAIL_POINT("pull.entry");
    RETURN_IF_ERROR(tree.Add(*entry, *reader));
  }
  stream.Consumed(std::numeric_limits<uint64_t>::max());
  return absl::OkStatus();
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

// The end of the index: the tree as it is now.
absl::Status WriteNodes(int root, const TarRecorder& recorder, IndexWriter& index, UnpackedLayer& out) {
  size_t found = 0;
  RETURN_IF_ERROR(WalkLayer(root, out.usage.xattrs, [&](const pb::IndexNode& node) {
    if (node.path().empty()) out.root_mtime_ns = node.mtime_s() * 1'000'000'000 + node.mtime_ns();
    pb::IndexRecord record;
    *record.mutable_node() = node;
    if (auto it = recorder.contents().find(node.path()); it != recorder.contents().end() && S_ISREG(node.mode())) {
      record.mutable_node()->set_has_sum(true);
      record.mutable_node()->set_sum(it->second.sum);
      ++found;
    }
    return index.Add(record);
  }));
  out.rebuildable = !recorder.lost() && found == recorder.contents().size();
  return absl::OkStatus();
}

absl::StatusOr<UnpackedLayer> Run(const BlobOrigin& origin, const PlannedLayer& layer, LayerOutput into,
                                  const LayerLimits& limits, DiskBudget& budget) {
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> file, origin.Open(layer));
  HashingSource blob(*file);
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> plain, Decompress(blob, limits.max_bytes));
  HashingSource diff(*plain);
  ASSIGN_OR_RETURN(std::unique_ptr<IndexWriter> index, IndexWriter::Open(std::move(into.index)));
  TarRecorder recorder(diff, *index);
  ASSIGN_OR_RETURN(sys::UniqueFd root, sys::OpenAt(into.tree.get(), ".", O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(std::unique_ptr<LayerTree> tree, LayerTree::Open(std::move(into.tree), budget));
  RETURN_IF_ERROR(WriteEntries(recorder, limits, *tree));
  RETURN_IF_ERROR(Drain(recorder));
  RETURN_IF_ERROR(Drain(blob));
  if (std::string is = blob.Digest(); !layer.blob_digest.empty() && is != layer.blob_digest)
    return absl::DataLossError(absl::StrCat("its contents have the digest ", is));
  if (std::string is = diff.Digest(); is != layer.diff_id)
    return absl::DataLossError(
        absl::StrCat("its decompressed contents have the digest ", is, ", the configuration says ", layer.diff_id));
  UnpackedLayer out;
  ASSIGN_OR_RETURN(out.usage, tree->Finish());
  WHERRY_FAIL_POINT("pull.unpacked");
  RETURN_IF_ERROR(recorder.Finish());
  RETURN_IF_ERROR(WriteNodes(root.get(), recorder, *index, out));
  ASSIGN_OR_RETURN(out.index_digest, index->Finish());
  out.tar_bytes = recorder.bytes();
  return out;
}

}  // namespace

absl::StatusOr<UnpackedLayer> UnpackLayer(const BlobOrigin& origin, const PlannedLayer& layer, LayerOutput into,
                                          const LayerLimits& limits, DiskBudget& budget) {
  absl::StatusOr<UnpackedLayer> unpacked = Run(origin, layer, std::move(into), limits, budget);
  if (!unpacked.ok())
    return sys::Annotate(unpacked.status(),
                         absl::StrCat("layer ", layer.blob_digest.empty() ? layer.diff_id : layer.blob_digest));
  return unpacked;
}

}  // namespace wherry::image

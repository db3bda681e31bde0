// An exported image is an OCI image layout (github.com/opencontainers/image-spec, image-layout.md) in a tar file: the layers' tar
// streams as they were, put together from tree and index; the configuration as it came, so that the image keeps its id; and a manifest
// of its own, because the one that it came with speaks of compressed blobs. Everything is streamed: a layer's size and digest are
// known from when it was unpacked, and its digest is checked while it is written.
#include "cri/image/export_worker.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "cri/image/channel.h"
#include "cri/image/layer_check.h"
#include "cri/image/reference.h"
#include "cri/image/sha256.h"
#include "cri/image/stored_layer.h"
#include "cri/image/tar_rebuild.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxOctal = uint64_t{1} << 33;  // eleven octal digits
constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";

// ustar, with sizes of 8 GiB and more as GNU tar writes them (the first bit set, then a big-endian number).
void PutSize(char* field, uint64_t size) {
  if (size < kMaxOctal) {
    for (int i = 10; i >= 0; --i, size >>= 3) field[i] = static_cast<char>('0' + (size & 7));
    return;
  }
  field[0] = static_cast<char>(0x80);
  for (int i = 11; i > 3; --i, size >>= 8) field[i] = static_cast<char>(size & 0xff);
}

std::string Header(const std::string& name, uint64_t size) {
  std::string h(kBlock, '\0');
  std::memcpy(h.data(), name.data(), std::min<size_t>(name.size(), 100));
  std::memcpy(h.data() + 100, "0000644", 7);
  std::memcpy(h.data() + 108, "0000000", 7);
  std::memcpy(h.data() + 116, "0000000", 7);
  PutSize(h.data() + 124, size);
  std::memcpy(h.data() + 136, "00000000000", 11);
  h[156] = '0';
  std::memcpy(h.data() + 257, "ustar\00000", 8);
  std::memset(h.data() + 148, ' ', 8);
  unsigned sum = 0;
  for (const char c : h) sum += static_cast<unsigned char>(c);
  for (int i = 5; i >= 0; --i, sum >>= 3) h[148 + static_cast<size_t>(i)] = static_cast<char>('0' + (sum & 7));
  h[154] = '\0';
  return h;
}

class Archive {
 public:
  explicit Archive(int out) : out_(out) {}

  absl::Status Begin(const std::string& name, uint64_t size) {
    left_ = size;
    padding_ = (kBlock - size % kBlock) % kBlock;
    return sys::WriteAll(out_, Header(name, size));
  }
  absl::Status Put(absl::string_view bytes) {
    if (bytes.size() > left_) return absl::DataLossError("has more bytes than it had");
    left_ -= bytes.size();
    return sys::WriteAll(out_, bytes);
  }
  absl::Status End() {
    if (left_ != 0) return absl::DataLossError("has fewer bytes than it had");
    return sys::WriteAll(out_, std::string(padding_, '\0'));
  }
  absl::Status Member(const std::string& name, const std::string& text) {
    RETURN_IF_ERROR(Begin(name, text.size()));
    RETURN_IF_ERROR(Put(text));
    return End();
  }
  absl::Status Finish() { return sys::WriteAll(out_, std::string(2 * kBlock, '\0')); }

 private:
  const int out_;
  uint64_t left_ = 0;
  size_t padding_ = 0;
};

std::string BlobName(const std::string& digest) { return absl::StrCat("blobs/sha256/", digest.substr(7)); }

nlohmann::json Descriptor(const char* type, const std::string& digest, uint64_t size) {
  return {{"mediaType", type}, {"digest", digest}, {"size", size}};
}

absl::Status WriteLayer(int store, const pb::StoredLayer& layer, Archive& archive) {
  ASSIGN_OR_RETURN(OpenedLayer opened, OpenLayer(store, layer));
  RETURN_IF_ERROR(archive.Begin(BlobName(layer.diff_id()), layer.tar_bytes()));
  Sha256 hash;
  Rebuild to;
  to.bytes = [&](absl::string_view bytes) {
    hash.Update(bytes);
    return archive.Put(bytes);
  };
  to.broken = [](const std::string& path, const absl::Status& why) {
    return absl::DataLossError(absl::StrCat("/", path, ": ", std::string(why.message())));
  };
  RETURN_IF_ERROR(RebuildTar(opened.tree.get(), *opened.index, to).status());
  if (hash.Digest() != layer.diff_id()) return absl::DataLossError("its contents have changed");
  return archive.End();
}

absl::Status Write(const pb::ExportRequest& request, int store, Archive& archive) {
  for (const pb::StoredLayer& layer : request.layers())
    if (!layer.rebuildable())
      return absl::FailedPreconditionError(
          absl::StrCat("layer ", layer.diff_id(),
                       " has several entries of one name, of which only the last was kept: it cannot be rebuilt"));
  if (Sha256Of(request.config()) != request.id())
    return absl::DataLossError("the configuration that was kept is damaged");
  nlohmann::json manifest = {{"schemaVersion", 2}, {"mediaType", kManifestType}, {"layers", nlohmann::json::array()}};
  manifest["config"] = Descriptor("application/vnd.oci.image.config.v1+json", request.id(), request.config().size());
  RETURN_IF_ERROR(archive.Member("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  RETURN_IF_ERROR(archive.Member(BlobName(request.id()), request.config()));
  std::set<std::string> written;
  for (const pb::StoredLayer& layer : request.layers()) {
    manifest["layers"].push_back(
        Descriptor("application/vnd.oci.image.layer.v1.tar", layer.diff_id(), layer.tar_bytes()));
    if (written.insert(layer.diff_id()).second)
      RETURN_IF_ERROR_CTX(WriteLayer(store, layer, archive), absl::StrCat("layer ", layer.diff_id()));
  }
  const std::string text = manifest.dump();
  RETURN_IF_ERROR(archive.Member(BlobName(Sha256Of(text)), text));
  nlohmann::json index = {{"schemaVersion", 2}, {"manifests", nlohmann::json::array()}};
  const nlohmann::json target = Descriptor(kManifestType, Sha256Of(text), text.size());
  for (const std::string& name : request.names()) {
    ASSIGN_OR_RETURN(const Reference reference, ParseReference(name));
    nlohmann::json named = target;
    named["annotations"] = {{"io.containerd.image.name", name}, {"org.opencontainers.image.ref.name", reference.tag}};
    index["manifests"].push_back(std::move(named));
  }
  if (request.names().empty()) index["manifests"].push_back(target);
  RETURN_IF_ERROR(archive.Member("index.json", index.dump()));
  return archive.Finish();
}

}  // namespace

absl::Status RunCheck(int control, sys::UniqueFd store) {
  ASSIGN_OR_RETURN(pb::PullMessage message, Receive(control));
  if (!message.has_check()) return absl::InternalError("wherryd did not begin with a request");
  pb::PullMessage answer;
  answer.mutable_checked();
  for (const pb::StoredLayer& layer : message.check().layers()) {
    absl::StatusOr<pb::LayerFindings> findings = CheckLayer(store.get(), layer);
    if (!findings.ok()) return Send(control, FailureMessage(findings.status()));
    *answer.mutable_checked()->add_layers() = *std::move(findings);
  }
  return Send(control, answer);
}

absl::Status RunExport(int control, sys::UniqueFd pipe, sys::UniqueFd store) {
  ASSIGN_OR_RETURN(pb::PullMessage message, Receive(control));
  if (!message.has_archive()) return absl::InternalError("wherryd did not begin with a request");
  Archive archive(pipe.get());
  absl::Status status = Write(message.archive(), store.get(), archive);
  pipe.reset();
  pb::PullMessage done;
  done.mutable_done();
  return Send(control, status.ok() ? done : FailureMessage(status));
}

}  // namespace wherry::image

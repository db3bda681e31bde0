#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cri/image/blob_origin.h"
#include "cri/image/records.pb.h"
#include "runtime/sys/unique_fd.h"

// The registry as the sandboxed half of wherry-pull sees it: documents and blobs come out of pipes that the fetching half fills. It
// is not trusted with anything; what comes is verified here.
namespace wherry::image {

class FetchClient final : public BlobOrigin {
 public:
  // `socket` is a SOCK_SEQPACKET to RunFetcher.
  explicit FetchClient(sys::UniqueFd socket) : socket_(std::move(socket)) {}

  absl::StatusOr<std::string> Manifest(const std::string& tag_or_digest, size_t max) const;
  absl::StatusOr<std::string> Read(Document kind, const oci::Descriptor& d, size_t max) const override;
  absl::StatusOr<ArchiveFile::Extent> Locate(const oci::Descriptor& d) const override {
    return ArchiveFile::Extent{0, d.size};
  }
  absl::StatusOr<std::unique_ptr<ByteSource>> Open(const PlannedLayer& layer) const override;
  // How far the layers are.
  pb::PullMessage Progress() const;

 private:
  absl::StatusOr<std::unique_ptr<ByteSource>> Ask(const pb::FetchRequest& request,
                                                  std::shared_ptr<std::atomic<uint64_t>> count) const;

  const sys::UniqueFd socket_;
  struct Layer {
    uint64_t size;
    std::shared_ptr<std::atomic<uint64_t>> done;
  };
  mutable std::mutex mutex_;
  mutable std::map<std::string, Layer> layers_;
};

}  // namespace wherry::image

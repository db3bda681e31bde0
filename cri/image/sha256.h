#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "cri/image/byte_source.h"

struct evp_md_ctx_st;

// SHA-256 by OpenSSL, which uses the processor's SHA instructions: about 1.5 GB/s a core, so that hashing a layer twice
// (compressed and not) costs less than inflating it.
namespace wherry::image {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Update(absl::string_view data);
  // "sha256:…"; ends the computation.
  std::string Digest();

 private:
  evp_md_ctx_st* ctx_;
};

// "sha256:…" of `data`.
std::string Sha256Of(absl::string_view data);

// Hashes and counts what passes through.
class HashingSource final : public ByteSource {
 public:
  explicit HashingSource(ByteSource& from) : from_(from) {}
  absl::StatusOr<absl::string_view> Next() override;
  uint64_t bytes() const { return bytes_; }
  std::string Digest() { return hash_.Digest(); }

 private:
  ByteSource& from_;
  Sha256 hash_;
  uint64_t bytes_ = 0;
};

}  // namespace wherry::image

#include "cri/image/sha256.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::image {

Sha256::Sha256() : ctx_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(ctx_, EVP_sha256(), nullptr); }
Sha256::~Sha256() { EVP_MD_CTX_free(ctx_); }
void Sha256::Update(absl::string_view data) { EVP_DigestUpdate(ctx_, data.data(), data.size()); }

std::string Sha256::Digest() {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(ctx_, raw, &size);
  return absl::StrCat("sha256:", absl::BytesToHexString({reinterpret_cast<const char*>(raw), size}));
}

std::string Sha256Of(absl::string_view data) {
  Sha256 hash;
  hash.Update(data);
  return hash.Digest();
}

absl::StatusOr<absl::string_view> HashingSource::Next() {
  ASSIGN_OR_RETURN(absl::string_view chunk, from_.Next());
  hash_.Update(chunk);
  bytes_ += chunk.size();
  return chunk;
}

}  // namespace wherry::image

// The low-level functions are marked as deprecated, but EVP would link half of OpenSSL into a program that lives for
// milliseconds, to hash two names.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "cni/nft/label.h"

#include <openssl/sha.h>

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace wherry::nft {
namespace {

constexpr size_t kMaxComment = 128;

}  // namespace

std::string Hash(const std::string& text, size_t digits) {
  std::array<unsigned char, SHA512_DIGEST_LENGTH> digest{};
  SHA512_CTX context;
  SHA512_Init(&context);
  SHA512_Update(&context, text.data(), text.size());
  SHA512_Final(digest.data(), &context);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), digits / 2));
}

std::string NetworkLabel(absl::string_view network) { return absl::StrCat(Hash(std::string(network)), "-"); }

std::string AttachmentLabel(absl::string_view network, const cni::Attachment& attachment) {
  return absl::StrCat(NetworkLabel(network), Hash(absl::StrCat(attachment.ifname, ":", attachment.container_id)));
}

std::string Comment(absl::string_view network, const cni::Attachment& attachment) {
  std::string out = absl::StrCat(AttachmentLabel(network, attachment), ", net: ", network, ", if: ", attachment.ifname,
                                 ", id: ", attachment.container_id);
  out.resize(std::min(out.size(), kMaxComment));
  return out;
}

}  // namespace wherry::nft

#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "api/cni/config.h"

// Rules carry the attachment they belong to in their comment. The form is that of the reference plugins' nftables backend
// (1.6 and later), so that either deletes the other's rules: hashes to find a rule by, then words for people.
namespace wherry::nft {

// The first hex digits of the SHA-512 of `text`; `digits` is even.
std::string Hash(const std::string& text, size_t digits = 16);
// "HASH(network)-": begins the comments of all rules of a network.
std::string NetworkLabel(absl::string_view network);
// "HASH(network)-HASH(ifname:container)": begins the comments of the rules of one attachment.
std::string AttachmentLabel(absl::string_view network, const cni::Attachment& attachment);
// The whole comment, at most 128 bytes as nft(8) takes them.
std::string Comment(absl::string_view network, const cni::Attachment& attachment);

}  // namespace wherry::nft

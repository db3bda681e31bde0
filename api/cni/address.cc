#include "api/cni/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace wherry::cni {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

absl::StatusOr<IpAddress> IpAddress::Parse(absl::string_view text) {
  const std::string copy(text);
  std::array<uint8_t, 16> bytes{};
  if (copy.size() == std::strlen(copy.c_str())) {
    if (inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) return FromBytes(bytes.data(), 4);
    if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) return FromBytes(bytes.data(), 16);
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not an IP address"));
}

IpAddress IpAddress::FromBytes(const void* bytes, size_t size) {
  IpAddress out;
  if (size != 4 && size != 16) return out;
  const auto* from = static_cast<const uint8_t*>(bytes);
  if (size == 16 && std::equal(kMapped.begin(), kMapped.end(), from)) from += kMapped.size(), size = 4;
  out.size_ = static_cast<uint8_t>(size);
  std::memcpy(out.bytes_.data(), from, size);
  return out;
}

int IpAddress::family() const {
  if (!valid()) return AF_UNSPEC;
  return is_v4() ? AF_INET : AF_INET6;
}

bool IpAddress::IsLoopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return valid() && bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; });
}

bool IpAddress::IsZero() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](uint8_t b) { return b == 0; });
}

std::string IpAddress::ToString() const {
  if (!valid()) return "";
  std::array<char, INET6_ADDRSTRLEN> text{};
  return inet_ntop(family(), bytes_.data(), text.data(), text.size());
}

IpAddress IpAddress::Next() const {
  IpAddress out = *this;
  for (size_t i = size_; i-- > 0;) {
    if (++out.bytes_[i] != 0) break;
  }
  return out;
}

IpAddress IpAddress::Mask(unsigned length) const {
  IpAddress out = *this;
  for (size_t i = 0; i < size_; ++i) {
    const unsigned keep = length > 8 * i ? std::min(8U, length - static_cast<unsigned>(8 * i)) : 0;
    out.bytes_[i] &= static_cast<uint8_t>(0xff00U >> keep);
  }
  return out;
}

IpAddress IpAddress::Fill(unsigned length) const {
  IpAddress out = *this;
  for (size_t i = 0; i < size_; ++i) {
    const unsigned keep = length > 8 * i ? std::min(8U, length - static_cast<unsigned>(8 * i)) : 0;
    out.bytes_[i] |= static_cast<uint8_t>(~(0xff00U >> keep));
  }
  return out;
}

uint64_t IpAddress::CountTo(const IpAddress& last, uint64_t limit) const {
  if (size_ != last.size_ || last < *this) return 0;
  uint64_t distance = 0;
  for (size_t i = 0; i < size_; ++i) {
    // The bytes compared so far are at least equal, so the running difference never goes below zero for good.
    if (distance > limit) return limit;
    distance = distance * 256 + last.bytes_[i] - bytes_[i];
  }
  return std::min(distance, limit - 1) + 1;
}

absl::StatusOr<IpPrefix> IpPrefix::Parse(absl::string_view text) {
  const size_t slash = text.find('/');
  if (slash != absl::string_view::npos) {
    absl::StatusOr<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
    const absl::string_view digits = text.substr(slash + 1);
    uint32_t length = 0;
    if (address.ok() && digits.size() <= 3 && !digits.empty() && digits.front() != '+' &&
        absl::SimpleAtoi(digits, &length) && length <= 8 * address->size())
      return IpPrefix{*address, static_cast<uint8_t>(length)};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is not an address with a prefix length, as 10.1.0.0/16"));
}

std::string IpPrefix::ToString() const { return absl::StrCat(address.ToString(), "/", static_cast<unsigned>(length)); }

bool IpPrefix::Contains(const IpAddress& other) const {
  return other.size() == address.size() && other.Mask(length) == Network();
}

}  // namespace wherry::cni

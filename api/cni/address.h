#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// IP addresses and prefixes as CNI documents hold them. An IPv4 address mapped into IPv6 (::ffff:a.b.c.d) is the IPv4
// address: the field's other implementations read it so, and one address must have one name on disk.
namespace wherry::cni {

// An IPv4 or IPv6 address in network byte order; a default one is "none".
class IpAddress {
 public:
  IpAddress() = default;
  // InvalidArgument unless `text` is what inet_pton(3) takes.
  static absl::StatusOr<IpAddress> Parse(absl::string_view text);
  // `size` is 4 or 16; anything else gives "none".
  static IpAddress FromBytes(const void* bytes, size_t size);

  bool valid() const { return size_ != 0; }
  bool is_v4() const { return size_ == 4; }
  int family() const;                    // AF_INET, AF_INET6, AF_UNSPEC
  size_t size() const { return size_; }  // bytes
  const uint8_t* data() const { return bytes_.data(); }
  bool IsLoopback() const;
  bool IsZero() const;
  std::string ToString() const;  // "" for none
  // The address one higher; wraps to zero after the highest.
  IpAddress Next() const;
  // Bits below `length` cleared, or set.
  IpAddress Mask(unsigned length) const;
  IpAddress Fill(unsigned length) const;
  // How many addresses lie from this one to `last`, both included; at most `limit`. Same family only.
  uint64_t CountTo(const IpAddress& last, uint64_t limit) const;

  // All IPv4 addresses come before all IPv6 ones.
  std::strong_ordering operator<=>(const IpAddress&) const = default;

 private:
  uint8_t size_ = 0;
  std::array<uint8_t, 16> bytes_{};
};

// An address with the length of its network's prefix; host bits are kept.
struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;

  // "10.1.0.0/16"; InvalidArgument otherwise.
  static absl::StatusOr<IpPrefix> Parse(absl::string_view text);
  std::string ToString() const;
  IpAddress Network() const { return address.Mask(length); }
  bool Contains(const IpAddress& other) const;
  bool operator==(const IpPrefix&) const = default;
};

}  // namespace wherry::cni

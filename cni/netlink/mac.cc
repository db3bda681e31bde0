#include "cni/netlink/mac.h"

#include <sys/random.h>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace wherry::netlink {

MacAddress RandomMac() {
  MacAddress mac{};
  // Never short and never interrupted for so few bytes (getrandom(2)).
  if (getrandom(mac.data(), mac.size(), 0) != static_cast<ssize_t>(mac.size())) mac.fill(0);
  mac[0] = static_cast<uint8_t>((mac[0] & 0xfc) | 0x02);
  return mac;
}

absl::StatusOr<MacAddress> ParseMac(absl::string_view text) {
  MacAddress mac{};
  bool good = text.size() == 17;
  for (size_t i = 0; good && i < mac.size(); ++i) {
    const absl::string_view pair = text.substr(3 * i, 2);
    good = absl::ascii_isxdigit(static_cast<unsigned char>(pair[0])) &&
           absl::ascii_isxdigit(static_cast<unsigned char>(pair[1])) && (i == 5 || text[3 * i + 2] == ':');
    if (good) mac[i] = static_cast<uint8_t>(absl::HexStringToBytes(pair)[0]);
  }
  if (!good || (mac[0] & 1) != 0 || mac == MacAddress{})
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a unicast MAC address"));
  return mac;
}

std::string PrintMac(const MacAddress& mac) {
  std::string out;
  for (uint8_t byte : mac) absl::StrAppend(&out, out.empty() ? "" : ":", absl::Hex(byte, absl::kZeroPad2));
  return out;
}

}  // namespace wherry::netlink

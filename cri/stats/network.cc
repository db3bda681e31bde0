#include "cri/stats/network.h"

#include <fcntl.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::stats {

std::vector<Interface> ParseNetDev(const std::string& text) {
  std::vector<Interface> out;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (halves.second.empty()) continue;  // the two header lines have no colon
    std::vector<absl::string_view> f = absl::StrSplit(halves.second, ' ', absl::SkipEmpty());
    Interface i;
    i.name = std::string(absl::StripAsciiWhitespace(halves.first));
    // bytes packets errs drop fifo frame compressed multicast | bytes packets errs …
    if (f.size() < 16 || i.name == "lo") continue;
    uint64_t* const received[] = {&i.rx_bytes, &i.rx_packets, &i.rx_errors, &i.rx_dropped};
    uint64_t* const sent[] = {&i.tx_bytes, &i.tx_packets, &i.tx_errors, &i.tx_dropped};
    bool numbers = true;
    for (size_t k = 0; k < 4; ++k)
      numbers = numbers && absl::SimpleAtoi(f[k], received[k]) && absl::SimpleAtoi(f[8 + k], sent[k]);
    if (numbers) out.push_back(i);
  }
  return out;
}

absl::StatusOr<std::vector<Interface>> ReadInterfaces(pid_t pid) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, absl::StrCat("/proc/", pid, "/net/dev")));
  return ParseNetDev(text);
}

}  // namespace wherry::stats

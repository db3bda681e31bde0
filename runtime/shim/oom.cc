// The kernel raises oom_kill before it sends the signal, so the count is there when the victim's exit is seen; no event
// has to be waited for, and none can be missed.
#include "runtime/shim/oom.h"

#include <fcntl.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/sys/file.h"

namespace wherry::shim {

std::optional<uint64_t> OomKills(const std::string& memory_dir) {
  if (memory_dir.empty()) return std::nullopt;
  for (const char* name : {"/memory.events", "/memory.oom_control"}) {
    auto text = sys::ReadFileAt(AT_FDCWD, memory_dir + name, 4096);
    if (!text.ok()) continue;
    for (absl::string_view line : absl::StrSplit(*text, '\n')) {
      uint64_t count = 0;
      if (absl::ConsumePrefix(&line, "oom_kill ") && absl::SimpleAtoi(line, &count)) return count;
    }
  }
  return std::nullopt;
}

std::optional<uint64_t> OomKillsOfSlice(const std::string& memory_dir) {
  if (!absl::EndsWith(memory_dir, ".scope")) return std::nullopt;
  return OomKills(memory_dir.substr(0, memory_dir.rfind('/')));
}

}  // namespace wherry::shim

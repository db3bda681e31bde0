#include "runtime/cgroup/pressure.h"

#include <fcntl.h>

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/cgroup/names.h"
#include "runtime/sys/file.h"

namespace wherry::cgroup {
namespace {

// Unset unless all four numbers are there.
std::optional<Stall> ParseStall(const std::vector<absl::string_view>& fields) {
  Stall stall;
  const std::pair<absl::string_view, double*> averages[] = {
      {"avg10", &stall.avg10}, {"avg60", &stall.avg60}, {"avg300", &stall.avg300}};
  size_t found = 0;
  for (absl::string_view field : fields) {
    const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(field, absl::MaxSplits('=', 1));
    for (const auto& [key, number] : averages)
      if (pair.first == key && absl::SimpleAtod(pair.second, number)) ++found;
    if (pair.first == "total" && absl::SimpleAtoi(pair.second, &stall.total_us)) ++found;
  }
  if (found != std::size(averages) + 1) return std::nullopt;
  return stall;
}

std::optional<Pressure> ReadOne(const std::string& dir, const char* file) {
  auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", file), 4096);
  if (!text.ok()) return std::nullopt;
  return ParsePressure(*text);
}

}  // namespace

std::optional<Pressure> ParsePressure(absl::string_view text) {
  Pressure pressure;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (fields.empty()) continue;
    if (fields[0] == "some") pressure.some = ParseStall(fields);
    if (fields[0] == "full") pressure.full = ParseStall(fields);
  }
  if (!pressure.some && !pressure.full) return std::nullopt;
  return pressure;
}

Pressures ReadPressuresOf(const std::string& dir) {
  return {ReadOne(dir, kCpuPressure), ReadOne(dir, kMemoryPressure), ReadOne(dir, kIoPressure)};
}

}  // namespace wherry::cgroup

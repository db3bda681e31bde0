#include "runtime/cgroup/unit.h"

#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/cgroup/limits.h"
#include "runtime/cgroup/names.h"
#include "runtime/cgroup/tree.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

constexpr absl::string_view kSlice = ".slice";
constexpr uint64_t kInfinity = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kSecond = 1000000;  // in microseconds
constexpr uint64_t kPercent = kSecond / 100;

// systemd.unit(5); '@' and '\' are left out, which belong to templates and escapes.
bool IsUnitName(absl::string_view name) {
  if (name.empty() || name.size() > 255) return false;
  for (char c : name)
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && !absl::StrContains(":-_.", c)) return false;
  return true;
}

bool ParseMax(absl::string_view text, uint64_t& number) {
  if (text == "max") return number = kInfinity, true;
  return absl::SimpleAtoi(text, &number);
}

// systemd keeps a quota as a whole number of percents of a CPU in its own files, so that is what is left of it after a daemon-reload: never
// less than what was asked for.
void AddCpuMax(absl::string_view value, std::vector<UnitProperty>& out) {
  const std::vector<absl::string_view> parts = absl::StrSplit(value, ' ', absl::SkipEmpty());
  uint64_t quota = 0, period = 0;
  if (parts.size() != 2 || !ParseMax(parts[0], quota) || !absl::SimpleAtoi(parts[1], &period) || period == 0) return;
  if (quota != kInfinity) {
    quota = quota * kSecond / period;
    quota = (quota + kPercent - 1) / kPercent * kPercent;
  }
  out.push_back({"CPUQuotaPerSecUSec", quota});
  out.push_back({"CPUQuotaPeriodUSec", period});
}

// A bit for each number, the lowest in the first byte.
void AddSet(const char* property, absl::string_view list, std::vector<UnitProperty>& out) {
  auto numbers = ParseList(list);
  if (!numbers.ok()) return;
  std::vector<uint8_t> bits;
  for (int number : *numbers) {
    const size_t byte = static_cast<size_t>(number) / 8;
    if (bits.size() <= byte) bits.resize(byte + 1);
    bits[byte] = static_cast<uint8_t>(bits[byte] | 1U << (number % 8));
  }
  out.push_back({property, std::move(bits)});
}

struct Known {
  const char* file;
  const char* property;
};
constexpr Known kNumbers[] = {{kMemoryMax, "MemoryMax"},         {"memory.high", "MemoryHigh"},
                              {"memory.low", "MemoryLow"},       {"memory.min", "MemoryMin"},
                              {kMemorySwapMax, "MemorySwapMax"}, {kPidsMax, "TasksMax"},
                              {kCpuWeight, "CPUWeight"},         {kIoWeight, "IOWeight"}};

void AddNumber(const Setting& setting, std::vector<UnitProperty>& out) {
  absl::string_view value = setting.value;
  absl::ConsumePrefix(&value, "default ");
  uint64_t number = 0;
  for (const Known& known : kNumbers)
    if (setting.file == known.file && ParseMax(value, number)) out.push_back({known.property, number});
}

}  // namespace

std::string UnitOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }
bool IsScope(absl::string_view path) { return absl::EndsWith(path, ".scope"); }
bool IsSlice(absl::string_view path) { return absl::EndsWith(path, kSlice); }

absl::StatusOr<std::string> ExpandSlice(const std::string& unit) {
  absl::string_view name = unit;
  if (!absl::ConsumeSuffix(&name, kSlice) || !IsUnitName(unit))
    return absl::InvalidArgumentError(absl::StrCat("\"", unit, "\" is not the name of a slice"));
  if (name == "-") return "/";
  std::string path, prefix;
  for (absl::string_view part : absl::StrSplit(name, '-')) {
    if (part.empty()) return absl::InvalidArgumentError(absl::StrCat("\"", unit, "\" has an empty component"));
    absl::StrAppend(&prefix, prefix.empty() ? "" : "-", part);
    absl::StrAppend(&path, "/", prefix, kSlice);
  }
  return path;
}

absl::StatusOr<std::string> SlicePath(const std::string& given) {
  ASSIGN_OR_RETURN(std::string path, ExpandSlice(UnitOf(given)));
  if (absl::StrContains(given, '/') && given != path && given != absl::StrCat("/", UnitOf(given)))
    return absl::InvalidArgumentError(absl::StrCat("\"", given, "\" is not the path of its slice, \"", path, "\""));
  return path;
}

std::vector<UnitProperty> UnitProperties(const std::vector<Setting>& settings) {
  std::vector<UnitProperty> out;
  for (const Setting& setting : settings) {
    if (setting.file == kCpuMax)
      AddCpuMax(setting.value, out);
    else if (setting.file == kCpusetCpus)
      AddSet("AllowedCPUs", setting.value, out);
    else if (setting.file == kCpusetMems)
      AddSet("AllowedMemoryNodes", setting.value, out);
    else
      AddNumber(setting, out);
  }
  return out;
}

}  // namespace wherry::cgroup

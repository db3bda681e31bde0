#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/cgroup/settings.h"

// systemd's units as cgroups: names and properties, without the bus.
namespace wherry::cgroup {

// The last component of a cgroup path.
std::string UnitOf(const std::string& path);
bool IsScope(absl::string_view path);
bool IsSlice(absl::string_view path);

// The cgroup of a slice by its unit's name: "a-b.slice" is "/a.slice/a-b.slice", "-.slice" is "/" (systemd.slice(5)). InvalidArgument for
// what is no name of a slice.
absl::StatusOr<std::string> ExpandSlice(const std::string& unit);

// The cgroup of a slice that is given by name, as a user writes it, or by its whole path, as the kubelet sends it.
absl::StatusOr<std::string> SlicePath(const std::string& given);

// A property of a unit: b, t, s, ay or au on the bus.
struct UnitProperty {
  std::string name;
  std::variant<bool, uint64_t, std::string, std::vector<uint8_t>, std::vector<uint32_t>> value;

  friend bool operator==(const UnitProperty&, const UnitProperty&) = default;
};

// What systemd has to know of limits so that it does not take them back at its next daemon-reload: those settings of v2 files that are
// properties of units. The others (memory.oom.group, hugetlb.*, misc.max …) are files that systemd does not know and leaves alone.
std::vector<UnitProperty> UnitProperties(const std::vector<Setting>& settings);

}  // namespace wherry::cgroup

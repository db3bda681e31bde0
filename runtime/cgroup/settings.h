#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace wherry::cgroup {

// One value for one file of one cgroup, and what to say when the kernel does not take it.
struct Setting {
  std::string dir;      // the cgroup's absolute directory in the hierarchy of the controller
  std::string file;     // e.g. "memory.max"
  std::string value;    // what is written
  std::string field;    // the caller's name for it, e.g. "memory_limit"
  std::string shown{};  // the caller's value
  // Set when the file holds one line for each key (a device): how to undo a key that had no line.
  std::string reset{};
  bool keyed = false;
  // Whether a missing file means that there is nothing to limit.
  bool optional = false;
  // The likely cause of `err`, for the error text; "" = none known.
  std::string (*explain)(const Setting& setting, int err) = nullptr;
};

// Writes all settings in order, or none: when one is refused, those written before get their old values back, last one
// first. A value that is set already is not written again. InvalidArgument names field, value, the kernel's reason and its
// cause; NotFound when the cgroup does not exist.
absl::Status WriteAllOrNone(const std::vector<Setting>& settings);

}  // namespace wherry::cgroup

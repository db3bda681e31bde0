#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// /etc/passwd and /etc/group of an image: files that a stranger wrote. They are read line by line with bounds on file and
// line, only when they are regular files, and lines that are not well-formed are passed over, as libc does
// (CVE-2026-47262, CVE-2025-4437).
namespace wherry::security {

struct Account {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string home;
};

struct Group {
  std::string name;
  uint32_t gid = 0;
  std::vector<std::string> members;
};

// True for a text of digits only (also one that is out of range): never a name.
bool IsNumeric(absl::string_view text);

// A uid or gid: decimal, 0 to 2^32-2 (2^32-1 means "none" to the kernel). InvalidArgument otherwise.
absl::StatusOr<uint32_t> ParseId(absl::string_view text);

// One line of each file; false when it is not well-formed.
bool ParseAccount(absl::string_view line, Account& account);
bool ParseGroup(absl::string_view line, Group& group);

// Calls `visit` with each line of the file at `path` below `root` until it returns false. A file that is missing has no
// lines. FailedPrecondition: not a regular file, over 10 MiB, or a line over 1 MiB.
absl::Status EachLine(int root, const std::string& path, const std::function<bool(absl::string_view)>& visit);

}  // namespace wherry::security

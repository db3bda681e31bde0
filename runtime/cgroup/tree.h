#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Cgroup directories of one hierarchy: making, listing and removing them is the same on v1 and v2.
namespace wherry::cgroup {

// InvalidArgument unless `path` begins with '/' and has only plain components (no "..", "." or "", none over 255 bytes).
absl::Status CheckPath(const std::string& path);

// CheckPath, and InvalidArgument for "/": the root is not ours to kill or remove.
absl::Status CheckBelowRoot(const std::string& path);

// "/a/b" of "/a/b/c"; "" of "/a".
std::string ParentOf(const std::string& path);

// Makes mount + path with missing parents; the directories that were made are added to `made`, outermost first.
absl::Status MakeDirs(const std::string& mount, const std::string& path, std::vector<std::string>& made);

// `dir` and all directories below it, each before its children; empty when `dir` does not exist.
absl::StatusOr<std::vector<std::string>> Subtree(const std::string& dir);

// The processes in `dir` and below, each once, without those of foreign PID namespaces (listed as 0 by the kernel).
absl::StatusOr<std::vector<int>> ProcessesBelow(const std::string& dir);

// Removes `dir` and all below, bottom up. OK when it does not exist. Processes that are on their way out are waited for, at most
// half a second; FailedPrecondition names one that stays.
absl::Status RemoveTree(const std::string& dir);

}  // namespace wherry::cgroup

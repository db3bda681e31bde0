#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace wherry::plugins {

// What has been done and how to take it back, newest first. Each act is followed by a Push; a failure then calls Run.
class Undo {
 public:
  void Push(std::string name, std::function<absl::Status()> act) {
    acts_.emplace_back(std::move(name), std::move(act));
  }
  // Runs all acts, whatever happens, and returns `cause` with the failures among them added to its text.
  absl::Status Run(const absl::Status& cause);

 private:
  std::vector<std::pair<std::string, std::function<absl::Status()>>> acts_;
};

}  // namespace wherry::plugins

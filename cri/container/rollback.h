#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

// The undo list of an operation with several side effects. Each step is pushed right before or after its act, with a name
// for the error text; on failure all run, last first, whatever the others say.
namespace wherry::container {

class Rollback {
 public:
  Rollback() = default;
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;

  void Push(std::string name, std::function<absl::Status()> undo) {
    steps_.push_back({std::move(name), std::move(undo)});
  }
  // The operation has succeeded: nothing is to be undone.
  void Dismiss() { steps_.clear(); }
  // Undoes everything. Returns `cause`, whose message also names the steps that could not be undone.
  absl::Status Undo(const absl::Status& cause);

 private:
  struct Step {
    std::string name;
    std::function<absl::Status()> undo;
  };
  std::vector<Step> steps_;
};

}  // namespace wherry::container

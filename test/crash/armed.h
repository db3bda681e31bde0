#pragma once

#include <string>
#include <vector>

#include "test/crash/control.h"

namespace wherry::crash {

// The test's side of fail points: one file below /mnt, which the programs started meanwhile share.
class Points {
 public:
  Points();
  ~Points();
  Points(const Points&) = delete;
  Points& operator=(const Points&) = delete;

  // The names that are reached from now on, until Recorded() returns them, in order and each time.
  void Record();
  std::vector<std::string> Recorded();

  // `action` at the `time`-th time that `name` is reached, counted from now.
  void Arm(const std::string& name, int time, Action action);
  void Disarm();
  bool fired() const { return control_->fired != 0; }
  std::string fired_in() const { return control_->fired_in; }  // the program

 private:
  Control* control_ = nullptr;
};

}  // namespace wherry::crash

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

// What a test and the programs with fail points share: a file that both have mapped. A mapping outlives everything that the programs do
// to themselves: new namespaces and roots, seccomp filters, dropped capabilities, an empty environment.
namespace wherry::crash {

inline constexpr char kControlPath[] = "/mnt/fail-points";
inline constexpr size_t kNameSize = 48;
inline constexpr size_t kMaxReached = 8192;

enum class Action : uint32_t {
  kNone,
  kCrash,  // the process ends as by SIGKILL
  kFail,   // an error is returned, where one can be
  kHold,   // waits until the action is another one
};

struct Control {
  std::atomic<Action> action;
  std::atomic<int32_t> left;  // the action is the left-th time's that `name` is reached
  char name[kNameSize];
  std::atomic<uint32_t> fired;
  char fired_in[kNameSize];  // the program's name; before `fired`
  std::atomic<uint32_t> recording;
  std::atomic<uint32_t> used;  // of `reached`
  char reached[kMaxReached][kNameSize];
};

}  // namespace wherry::crash

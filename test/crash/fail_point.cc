// The programs' side of fail points; linked into the copies of the programs that have them.
#include "runtime/sys/fail_point.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "test/crash/control.h"

namespace wherry::sys {
namespace {

using crash::Action;
using crash::Control;

Control* Map() {
  const int fd = ::open(crash::kControlPath, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* at = ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<Control*>(at);
}

// Null where no test has made the file: then nothing happens at any point.
Control* Shared() {
  static Control* const control = Map();
  return control;
}

// Before main(): later the program may have left the file system that the file is in.
__attribute__((constructor)) void MapEarly() { (void)Shared(); }

void Record(Control& control, const char* name) {
  const uint32_t index = control.used++;
  if (index < crash::kMaxReached) ::strncpy(control.reached[index], name, crash::kNameSize - 1);
}

}  // namespace

// Also runs in children of the shim's that share nothing but this page with anybody: no allocation, no lock.
absl::Status ReachFailPoint(const char* name, bool may_fail) {
  Control* const shared = Shared();
  if (shared == nullptr) return absl::OkStatus();
  Control& control = *shared;
  if (control.recording != 0) Record(control, name);
  const Action action = control.action;
  if (action == Action::kNone || ::strncmp(control.name, name, crash::kNameSize) != 0) return absl::OkStatus();
  if (action == Action::kFail && !may_fail) return absl::OkStatus();
  if (control.left.fetch_sub(1) != 1) return absl::OkStatus();
  ::strncpy(control.fired_in, WHERRY_PROGRAM, crash::kNameSize - 1);
  control.fired = 1;
  if (action == Action::kFail) return absl::InternalError(absl::StrCat("fail point ", name));
  while (action == Action::kHold && control.action == Action::kHold) ::usleep(1000);
  if (action == Action::kHold) return absl::OkStatus();
  (void)::kill(::getpid(), SIGKILL);
  ::_exit(128 + SIGKILL);  // the first process of a PID namespace cannot kill itself
}

}  // namespace wherry::sys

#include "test/crash/armed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace wherry::crash {

Points::Points() {
  const int fd = ::open(kControlPath, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* at = MAP_FAILED;
  if (fd >= 0 && ::ftruncate(fd, sizeof(Control)) == 0)
    at = ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) {
    std::cerr << kControlPath << ": " << strerror(errno) << "\n";
    std::abort();
  }
  ::close(fd);
  control_ = static_cast<Control*>(at);
}

Points::~Points() {
  Disarm();
  ::munmap(control_, sizeof(Control));
  ::unlink(kControlPath);
}

void Points::Record() {
  const uint32_t used = std::min<uint32_t>(control_->used, kMaxReached);
  std::memset(control_->reached, 0, used * kNameSize);
  control_->used = 0;
  control_->recording = 1;
}

std::vector<std::string> Points::Recorded() {
  control_->recording = 0;
  std::vector<std::string> out;
  for (uint32_t i = 0; i < std::min<uint32_t>(control_->used, kMaxReached); ++i)
    if (control_->reached[i][0] != 0) out.emplace_back(control_->reached[i]);
  return out;
}

void Points::Arm(const std::string& name, int time, Action action) {
  Disarm();
  ::strncpy(control_->name, name.c_str(), kNameSize - 1);
  control_->left = time;
  control_->fired = 0;
  std::memset(control_->fired_in, 0, kNameSize);
  control_->action = action;
}

void Points::Disarm() {
  control_->action = Action::kNone;
  std::memset(control_->name, 0, kNameSize);
}

}  // namespace wherry::crash

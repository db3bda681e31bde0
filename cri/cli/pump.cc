#include "cri/cli/pump.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

constexpr size_t kBytes = 64 << 10;
constexpr char kDetachFirst = 0x10, kDetachSecond = 0x11;  // ctrl-p ctrl-q, as Docker has it

struct Pipe {
  sys::UniqueFd read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  return Pipe{sys::UniqueFd(ends[0]), sys::UniqueFd(ends[1])};
}

absl::StatusOr<sys::UniqueFd> NonBlocking(sys::UniqueFd fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return sys::Errno("fcntl F_SETFL");
  return fd;
}

// What read(2) gives, 0 also for an error.
size_t ReadSome(int fd, char* into, size_t size) {
  ssize_t n = 0;
  do n = ::read(fd, into, size);
  while (n < 0 && errno == EINTR);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

// Takes the keys for detaching out of what is typed.
class DetachKeys {
 public:
  // True when they have been pressed. The first of them is held back until it is known what comes next.
  bool Filter(absl::string_view typed, std::string* out) {
    for (char c : typed) {
      if (std::exchange(held_, false)) {
        if (c == kDetachSecond) return true;
        *out += kDetachFirst;
      }
      held_ = c == kDetachFirst;
      if (!held_) *out += c;
    }
    return false;
  }

 private:
  bool held_ = false;
};

void CopyStdin(const sys::UniqueFd& to, const std::function<void()>& on_detach) {
  std::array<char, kBytes> buffer;
  DetachKeys keys;
  while (const size_t n = ReadSome(STDIN_FILENO, buffer.data(), buffer.size())) {
    std::string text;
    const bool detach = on_detach != nullptr && keys.Filter({buffer.data(), n}, &text);
    if (!sys::WriteAll(to.get(), on_detach == nullptr ? absl::string_view(buffer.data(), n) : text).ok()) return;
    if (detach) return on_detach();
  }
}

}  // namespace

absl::StatusOr<sys::UniqueFd> PumpStdin(std::function<void()> on_detach) {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  std::thread([to = std::move(pipe.write), on_detach = std::move(on_detach)] { CopyStdin(to, on_detach); }).detach();
  return NonBlocking(std::move(pipe.read));
}

absl::StatusOr<sys::UniqueFd> OutputPump::Start() {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  thread_ = std::thread([from = std::move(pipe.read), to = to_] {
    std::array<char, kBytes> buffer;
    while (const size_t n = ReadSome(from.get(), buffer.data(), buffer.size()))
      if (!sys::WriteAll(to, {buffer.data(), n}).ok()) return;
  });
  return NonBlocking(std::move(pipe.write));
}

OutputPump::~OutputPump() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace wherry::cli

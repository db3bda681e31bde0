// A wall clock that is set while a program runs, for that program alone: preloaded into it, this adds to CLOCK_REALTIME what a page shared
// with the test says. Waits for a point of that clock are cut into short ones, as the kernel's own would be woken up and look again.
#include "test/crash/shifted_clock.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kSlice = 20000000;

template <typename Function>
Function Real(const char* name, const char* version = nullptr) {
  void* found = version == nullptr ? ::dlsym(RTLD_NEXT, name) : ::dlvsym(RTLD_NEXT, name, version);
  return reinterpret_cast<Function>(found);
}

const std::atomic<int64_t>* Map() {
  const char* path = std::getenv(wherry::crash::kShiftVariable);
  const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* at = ::mmap(nullptr, sizeof(std::atomic<int64_t>), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<std::atomic<int64_t>*>(at);
}

int64_t Shift() {
  static const std::atomic<int64_t>* const shift = Map();
  return shift == nullptr ? 0 : shift->load();
}

int64_t ToNs(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
timespec FromNs(int64_t ns) { return {ns / kSecond, ns % kSecond}; }

int RealTime(clockid_t clock, timespec* out) {
  static const auto real = Real<int (*)(clockid_t, timespec*)>("clock_gettime");
  return real(clock, out);
}

int64_t RealNow() {
  timespec now{};
  (void)RealTime(CLOCK_REALTIME, &now);
  return ToNs(now);
}

// What to wait for by the true clock, at most a slice of time.
timespec NextLook(const timespec& deadline) {
  return FromNs(std::max<int64_t>(0, std::min(ToNs(deadline) - Shift(), RealNow() + kSlice)));
}
bool IsOver(const timespec& deadline) { return RealNow() + Shift() >= ToNs(deadline); }

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const int result = RealTime(clock, out);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *out = FromNs(ToNs(*out) + Shift());
  return result;
}

int gettimeofday(timeval* __restrict out, void* __restrict) noexcept {
  const timespec now = FromNs(RealNow() + Shift());
  *out = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* out) noexcept {
  const time_t now = (RealNow() + Shift()) / kSecond;
  if (out != nullptr) *out = now;
  return now;
}

// A wait that ends sooner than asked for is allowed here, and one that missed its wake-up between two slices would not be.
int pthread_cond_timedwait(pthread_cond_t* __restrict cond, pthread_mutex_t* __restrict mutex,
                           const timespec* __restrict deadline) {
  static const auto real =
      Real<int (*)(pthread_cond_t*, pthread_mutex_t*, const timespec*)>("pthread_cond_timedwait", "GLIBC_2.3.2");
  const timespec look = NextLook(*deadline);
  const int result = real(cond, mutex, &look);
  return result == ETIMEDOUT && !IsOver(*deadline) ? 0 : result;
}

long syscall(long number, ...) noexcept {
  static const auto real = Real<long (*)(long, ...)>("syscall");
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): numbers are what syscall(2) takes
  const auto* deadline = reinterpret_cast<const timespec*>(a[3]);
  if (number != SYS_futex || (a[1] & FUTEX_CLOCK_REALTIME) == 0 || deadline == nullptr)
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  while (true) {
    const timespec look = NextLook(*deadline);
    const long result = real(number, a[0], a[1], a[2], reinterpret_cast<long>(&look), a[4], a[5]);
    if (result != -1 || errno != ETIMEDOUT || IsOver(*deadline)) return result;
  }
}

}  // extern "C"

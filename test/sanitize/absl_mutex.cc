// Tells ThreadSanitizer of the locks of Abseil, whose library is not instrumented: without this every datum that an absl::Mutex
// guards would be a race. A program defines the library's functions again; the loader prefers these, for gRPC's calls as well, and
// each calls the library's own and says what it did.
// Source: sanitizer/tsan_interface.h (mutex annotations), ld.so(8) and dlsym(3) RTLD_NEXT, absl/synchronization/mutex.h of 2022-06-23.
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>
#include <type_traits>
#include <utility>

namespace {

constexpr unsigned kWriter = __tsan_mutex_not_static;
constexpr unsigned kReader = __tsan_mutex_not_static | __tsan_mutex_read_lock;

// The library's function of this mangled name (as the Itanium C++ ABI has it: a member function takes its object first).
template <typename F>
F* Library(const char* name) {
  void* found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();  // another Abseil than this file was written for
  return reinterpret_cast<F*>(found);
}

// Whether the library is at work on this thread, for one of the functions below: what it calls for that is told of already.
thread_local bool in_library = false;

template <typename F>
bool In(bool library, F call) {
  const bool before = std::exchange(in_library, library);
  bool result = true;
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
  } else {
    result = call();
  }
  in_library = before;
  return result;
}

template <typename F>
bool Locked(absl::Mutex* mutex, unsigned how, F lock) {
  if (in_library) return In(true, lock);
  __tsan_mutex_pre_lock(mutex, how);
  const bool result = In(true, lock);
  __tsan_mutex_post_lock(mutex, how, 0);
  return result;
}

template <typename F>
bool Tried(absl::Mutex* mutex, unsigned how, F lock) {
  if (in_library) return lock();
  __tsan_mutex_pre_lock(mutex, how | __tsan_mutex_try_lock);
  const bool locked = In(true, lock);
  __tsan_mutex_post_lock(mutex, how | (locked ? __tsan_mutex_try_lock : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

void Released(absl::Mutex* mutex, unsigned how) {
  if (in_library) return;
  __tsan_mutex_pre_unlock(mutex, how);
  __tsan_mutex_post_unlock(mutex, how);
}

// A wait with the lock held, which is free meanwhile.
template <typename F>
bool Waited(absl::Mutex* mutex, F wait) {
  Released(mutex, kWriter);
  return Locked(mutex, kWriter, wait);
}

// A condition whose evaluation holds the lock in ThreadSanitizer's eyes, whichever thread does it: the waiting one, or one that unlocks.
class Watched {
 public:
  Watched(absl::Mutex* mutex, const absl::Condition& condition) : mutex_(mutex), condition_(condition) {
    __tsan_release(this);
  }
  // Of a function, which the library itself calls: a method would be called by a template, with a look at the waiter's stack.
  absl::Condition Get() { return absl::Condition(&Watched::Eval, static_cast<void*>(this)); }

 private:
  static bool Eval(void* self) {
    __tsan_acquire(self);
    const auto& watched = *static_cast<const Watched*>(self);
    return In(false, [&watched] {
      Locked(watched.mutex_, kReader, [] {});
      const bool result = watched.condition_.Eval();
      Released(watched.mutex_, kReader);
      return result;
    });
  }
  absl::Mutex* mutex_;
  const absl::Condition& condition_;
};

// The library's `name` with a condition; true if it says that the condition holds. `Limit`: what the function takes besides.
template <typename Result, typename... Limit>
bool Conditional(const char* name, absl::Mutex* mutex, const absl::Condition& condition, Limit... limit) {
  Watched watched(mutex, condition);
  auto* real = Library<Result(absl::Mutex*, const absl::Condition&, Limit...)>(name);
  if constexpr (std::is_void_v<Result>) {
    real(mutex, watched.Get(), limit...);
    return true;
  } else {
    return real(mutex, watched.Get(), limit...);
  }
}

// The flag of a notification, which is behind its lock. It is read in the header and written in the library.
void* FlagOf(const absl::Notification* notification) {
  static_assert(sizeof(absl::Notification) == 2 * sizeof(absl::Mutex));
  return reinterpret_cast<char*>(const_cast<absl::Notification*>(notification)) + sizeof(absl::Mutex);
}

}  // namespace

namespace absl {

Mutex::~Mutex() {
  static auto* const real = Library<void(Mutex*)>("_ZN4absl7debian35MutexD1Ev");
  real(this);
  __tsan_mutex_destroy(this, kWriter);
}

void Mutex::Lock() {
  static auto* const real = Library<void(Mutex*)>("_ZN4absl7debian35Mutex4LockEv");
  Locked(this, kWriter, [this] { real(this); });
}

void Mutex::ReaderLock() {
  static auto* const real = Library<void(Mutex*)>("_ZN4absl7debian35Mutex10ReaderLockEv");
  Locked(this, kReader, [this] { real(this); });
}

bool Mutex::TryLock() {
  static auto* const real = Library<bool(Mutex*)>("_ZN4absl7debian35Mutex7TryLockEv");
  return Tried(this, kWriter, [this] { return real(this); });
}

bool Mutex::ReaderTryLock() {
  static auto* const real = Library<bool(Mutex*)>("_ZN4absl7debian35Mutex13ReaderTryLockEv");
  return Tried(this, kReader, [this] { return real(this); });
}

// Said before the lock is free: afterwards its next holder may have destroyed it.
void Mutex::Unlock() {
  static auto* const real = Library<void(Mutex*)>("_ZN4absl7debian35Mutex6UnlockEv");
  Released(this, kWriter);
  In(true, [this] { real(this); });
}

void Mutex::ReaderUnlock() {
  static auto* const real = Library<void(Mutex*)>("_ZN4absl7debian35Mutex12ReaderUnlockEv");
  Released(this, kReader);
  In(true, [this] { real(this); });
}

void Mutex::LockWhen(const Condition& condition) {
  Locked(this, kWriter,
         [&] { Conditional<void>("_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE", this, condition); });
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  Locked(this, kReader,
         [&] { Conditional<void>("_ZN4absl7debian35Mutex14ReaderLockWhenERKNS0_9ConditionE", this, condition); });
}

// With a limit the lock is held afterwards whether or not the condition came true.
bool Mutex::ReaderLockWhenWithDeadline(const Condition& condition, Time limit) {
  constexpr const char* kName = "_ZN4absl7debian35Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE";
  return Locked(this, kReader, [&] { return Conditional<bool>(kName, this, condition, limit); });
}

void Mutex::Await(const Condition& condition) {
  Waited(this, [&] { return Conditional<void>("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE", this, condition); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration limit) {
  constexpr const char* kName = "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE";
  return Waited(this, [&] { return Conditional<bool>(kName, this, condition, limit); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time limit) {
  constexpr const char* kName = "_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE";
  return Waited(this, [&] { return Conditional<bool>(kName, this, condition, limit); });
}

void CondVar::Wait(Mutex* mutex) {
  static auto* const real = Library<void(CondVar*, Mutex*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  Waited(mutex, [&] { real(this, mutex); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration limit) {
  static auto* const real =
      Library<bool(CondVar*, Mutex*, Duration)>("_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return Waited(mutex, [&] { return real(this, mutex, limit); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time limit) {
  static auto* const real =
      Library<bool(CondVar*, Mutex*, Time)>("_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return Waited(mutex, [&] { return real(this, mutex, limit); });
}

void Notification::Notify() {
  static auto* const real = Library<void(Notification*)>("_ZN4absl7debian312Notification6NotifyEv");
  __tsan_release(FlagOf(this));
  real(this);
}

void Notification::WaitForNotification() const {
  static auto* const real =
      Library<void(const Notification*)>("_ZNK4absl7debian312Notification19WaitForNotificationEv");
  real(this);
  __tsan_acquire(FlagOf(this));
}

bool Notification::WaitForNotificationWithTimeout(Duration limit) const {
  static auto* const real = Library<bool(const Notification*, Duration)>(
      "_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = real(this, limit);
  if (notified) __tsan_acquire(FlagOf(this));
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time limit) const {
  static auto* const real = Library<bool(const Notification*, Time)>(
      "_ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
  const bool notified = real(this, limit);
  if (notified) __tsan_acquire(FlagOf(this));
  return notified;
}

}  // namespace absl

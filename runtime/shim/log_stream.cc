// The hot path of a node that logs. One read(2) takes up to 256 KiB; one clock_gettime stamps the whole batch; each line
// costs a memchr and two memcpys into one contiguous buffer, and one write(2) sends it. (An iovec pair for each line
// costs the kernel more than copying 100 bytes costs us.) Pipes are enlarged to 1 MiB so that a writer seldom waits.
//
// A line that is not finished waits in the stream's own buffer for its end, max_line bytes, or the end of the stream; a
// piece of it carries the tag P. Carriage returns of a tty are content. A final line without newline is written as P, so
// that a reader that joins P pieces sees exactly what was written.
#include "runtime/shim/log_stream.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {
constexpr size_t kOut = 384 << 10;
constexpr int64_t kIdleMs = 2000;
}  // namespace

Pages::~Pages() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

absl::Status Pages::Map(size_t size) {
  void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return sys::Errno("mmap of a log buffer");
  (void)::madvise(p, size, MADV_NOHUGEPAGE);
  data_ = static_cast<char*>(p);
  size_ = size;
  return absl::OkStatus();
}

void Pages::Release() {
  if (data_ != nullptr) (void)::madvise(data_, size_, MADV_DONTNEED);
}

absl::StatusOr<std::unique_ptr<LogArena>> LogArena::Create(Poller& poller) {
  std::unique_ptr<LogArena> arena(new LogArena(poller));
  RETURN_IF_ERROR(arena->in_.Map(kMaxMaxLine + kRead));
  RETURN_IF_ERROR(arena->out_.Map(kOut + kMaxMaxLine + kLogPrefix + 1));
  return arena;
}

LogArena::~LogArena() { poller_.SetTimer(this, -1); }

void LogArena::Use() {
  used_ = true;
  if (armed_) return;
  armed_ = true;
  poller_.SetTimer(this, kIdleMs);
}

void LogArena::OnReady(uint32_t) {
  armed_ = false;
  if (std::exchange(used_, false)) {
    armed_ = true;
    poller_.SetTimer(this, kIdleMs);
    return;
  }
  in_.Release();
  out_.Release();
}

absl::StatusOr<std::unique_ptr<LogStream>> LogStream::Create(Poller& poller, LogArena& arena, LogFile& file,
                                                             sys::UniqueFd source, StreamName name, size_t max_line) {
  std::unique_ptr<LogStream> stream(new LogStream(poller, arena, file, name, max_line));
  RETURN_IF_ERROR(stream->carry_.Map(max_line));
  if (::fcntl(source.get(), F_SETFL, O_NONBLOCK) != 0) return sys::Errno("fcntl O_NONBLOCK of a log source");
  RETURN_IF_ERROR(poller.Add(source.get(), EPOLLIN, stream.get()));
  stream->source_ = std::move(source);
  return stream;
}

LogStream::~LogStream() { Close(); }

void LogStream::Close() {
  EndTaps();
  if (!source_.valid()) return;
  poller_.Remove(source_.get());
  source_.reset();
}

void LogStream::OnReady(uint32_t) { (void)ReadOnce(); }

ssize_t LogStream::ReadOnce() {
  if (!source_.valid()) return 0;
  arena_.Use();
  char* const in = arena_.in().data();
  ssize_t n;
  do n = ::read(source_.get(), in + carry_used_, LogArena::kRead);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return -1;
  if (n <= 0) {  // a pty master says EIO when the last slave is closed
    FlushCarry();
    Close();
    return 0;
  }
  const char* const fresh = in + carry_used_;
  if (carry_used_ > 0) memcpy(in, carry_.data(), carry_used_);
  Consume(carry_used_ + static_cast<size_t>(n));
  for (Tap* tap : taps_) tap->Copy(fresh, static_cast<size_t>(n));
  return n;
}

void LogStream::AddTap(Tap* tap) {
  if (source_.valid()) {
    taps_.push_back(tap);
  } else {
    tap->Finish();
  }
}

void LogStream::RemoveTap(const Tap* tap) { taps_.erase(std::remove(taps_.begin(), taps_.end(), tap), taps_.end()); }

void LogStream::EndTaps() {
  for (Tap* tap : std::exchange(taps_, {})) tap->Finish();
}

void LogStream::Consume(size_t size) {
  FormatPrefix(RealtimeNs(), name_, 'F', prefix_);
  const char* at = arena_.in().data();
  const char* const end = at + size;
  while (at < end) {
    const size_t left = static_cast<size_t>(end - at);
    const void* newline = memchr(at, '\n', std::min(left, max_line_ + 1));
    if (newline != nullptr) {
      const size_t length = static_cast<size_t>(static_cast<const char*>(newline) - at);
      Emit('F', at, length);
      at += length + 1;
    } else if (left > max_line_) {
      Emit('P', at, max_line_);
      at += max_line_;
    } else {
      break;
    }
  }
  FlushOut();
  const size_t rest = static_cast<size_t>(end - at);
  if (rest > 0) memcpy(carry_.data(), at, rest);
  if (rest == 0 && carry_used_ > 4096) carry_.Release();
  carry_used_ = rest;
}

void LogStream::Emit(char tag, const char* content, size_t size) {
  if (out_used_ + kLogPrefix + size + 1 > arena_.out().size()) FlushOut();
  char* const out = arena_.out().data() + out_used_;
  memcpy(out, prefix_, kLogPrefix);
  out[kLogPrefix - 2] = tag;
  memcpy(out + kLogPrefix, content, size);
  out[kLogPrefix + size] = '\n';
  out_used_ += kLogPrefix + size + 1;
}

void LogStream::FlushOut() {
  file_.Write(absl::string_view(arena_.out().data(), out_used_));
  out_used_ = 0;
}

void LogStream::FlushCarry() {
  if (carry_used_ == 0) return;
  FormatPrefix(RealtimeNs(), name_, 'F', prefix_);
  Emit('P', carry_.data(), carry_used_);
  FlushOut();
  carry_used_ = 0;
}

void LogStream::Drain() {
  size_t taken = 0;
  while (taken < static_cast<size_t>(kPipeSize)) {
    const ssize_t n = ReadOnce();
    if (n <= 0) break;
    taken += static_cast<size_t>(n);
  }
  FlushCarry();
}

}  // namespace wherry::shim

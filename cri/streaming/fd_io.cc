#include "cri/streaming/fd_io.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <optional>
#include <string>

#include "runtime/sys/status.h"

namespace wherry::streaming {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

struct FdSource::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& io, sys::UniqueFd fd, Events e) : descriptor(io, fd.release()), events(std::move(e)) {}

  void Next();
  void Wait();
  void End(absl::Status status);
  void Give(size_t bytes);

  stream_descriptor descriptor;
  Events events;
  std::shared_ptr<char[]> buffer;
  std::optional<size_t> quota;  // what may still be read, once the writer has ended
  bool stopped = false, waiting = false, given = false;
};

void FdSource::State::Next() {
  given = false;
  if (stopped || waiting) return;
  if (quota == size_t{0}) return End(absl::OkStatus());
  if (buffer == nullptr || buffer.use_count() > 1) buffer = std::make_shared_for_overwrite<char[]>(kChunkBytes);
  const ssize_t n =
      ::read(descriptor.native_handle(), buffer.get(), std::min(kChunkBytes, quota.value_or(kChunkBytes)));
  if (n > 0) return Give(static_cast<size_t>(n));
  if (n == 0 || errno == EIO) return End(absl::OkStatus());
  if (errno == EINTR) return Next();
  if (errno != EAGAIN) return End(sys::Errno("read"));
  buffer.reset();
  if (quota.has_value()) return End(absl::OkStatus());
  Wait();
}

void FdSource::State::Give(size_t bytes) {
  if (quota.has_value()) *quota -= bytes;
  given = true;
  events.on_chunk({buffer, 0, bytes});
}

void FdSource::State::Wait() {
  waiting = true;
  descriptor.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](error_code error) {
    if (error) return;  // cancelled
    self->waiting = false;
    self->Next();
  });
}

void FdSource::State::End(absl::Status status) {
  stopped = true;
  error_code ignored;
  descriptor.close(ignored);
  auto on_end = std::move(events.on_end);
  events = {};
  on_end(std::move(status));
}

FdSource::FdSource(boost::asio::io_context& io, sys::UniqueFd fd, Events events)
    : state_(std::make_shared<State>(io, std::move(fd), std::move(events))) {
  state_->Wait();
}

FdSource::~FdSource() {
  state_->stopped = true;
  error_code ignored;
  state_->descriptor.close(ignored);
}

void FdSource::Next() {
  const std::shared_ptr<State> state = state_;
  state->Next();
}

void FdSource::EndWhenEmpty() {
  const std::shared_ptr<State> state = state_;
  if (state->stopped || state->quota.has_value()) return;
  // A child that lives on may write for ever: only what is there now is this process's. A terminal may hold 64 KiB more than
  // FIONREAD tells, which the next read(2) fetches from the other side's buffer.
  int pending = 0;
  if (::ioctl(state->descriptor.native_handle(), FIONREAD, &pending) != 0) pending = 0;
  state->quota = static_cast<size_t>(std::max(0, pending)) + kChunkBytes;
  if (state->given) return;  // Next() will come
  state->waiting = false;
  error_code ignored;
  state->descriptor.cancel(ignored);
  state->Next();
}

struct FdSink::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& io, Events e) : descriptor(io), events(std::move(e)) {}

  // Returns how many of `bytes` are gone.
  size_t TryWrite(absl::string_view bytes);
  void WritePending();
  void Finish();

  stream_descriptor descriptor;
  Events events;
  std::string pending;
  bool stopped = false, closing = false, broken = false, waiting = false;
};

size_t FdSink::State::TryWrite(absl::string_view bytes) {
  size_t done = 0;
  while (!broken && done < bytes.size()) {
    const ssize_t n = ::write(descriptor.native_handle(), bytes.data() + done, bytes.size() - done);
    if (n >= 0) {
      done += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      return done;
    } else if (errno != EINTR) {
      broken = true;
    }
  }
  return bytes.size();
}

void FdSink::State::WritePending() {
  if (stopped || waiting || !descriptor.is_open()) return;
  const size_t gone = TryWrite(pending);
  pending.erase(0, gone);
  if (pending.empty()) {
    pending.shrink_to_fit();
    if (closing) Finish();
  } else {
    waiting = true;
    descriptor.async_wait(stream_descriptor::wait_write, [self = shared_from_this()](error_code) {
      self->waiting = false;
      self->WritePending();
    });
  }
  if (gone > 0) events.on_gone(gone);
}

void FdSink::State::Finish() {
  ::shutdown(descriptor.native_handle(), SHUT_WR);  // ENOTSOCK for a pipe, whose end is the close
  error_code ignored;
  descriptor.close(ignored);
  broken = true;
}

FdSink::FdSink(boost::asio::io_context& io, Events events) : state_(std::make_shared<State>(io, std::move(events))) {}

FdSink::~FdSink() {
  state_->stopped = true;
  error_code ignored;
  state_->descriptor.close(ignored);
}

void FdSink::Open(sys::UniqueFd fd) {
  const std::shared_ptr<State> state = state_;
  if (fd.valid()) {
    state->descriptor.assign(fd.release());
    return state->WritePending();
  }
  state->broken = true;
  const size_t lost = state->pending.size();
  state->pending.clear();
  if (lost > 0) state->events.on_gone(lost);
}

void FdSink::Write(absl::string_view bytes) {
  const std::shared_ptr<State> state = state_;
  size_t gone = 0;
  if (state->broken || (state->descriptor.is_open() && state->pending.empty())) gone = state->TryWrite(bytes);
  state->pending.append(bytes.data() + gone, bytes.size() - gone);
  if (!state->pending.empty()) state->WritePending();
  if (gone > 0 && !state->stopped) state->events.on_gone(gone);
}

void FdSink::Close() {
  const std::shared_ptr<State> state = state_;
  state->closing = true;
  if (state->pending.empty() && state->descriptor.is_open()) state->Finish();
}

bool FdSink::broken() const { return state_->broken; }

}  // namespace wherry::streaming

#include "cri/streaming/fd_io.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
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

namespace {

// What a pipe for splice(2) may hold: four reads' worth; more would only make other streams of a session wait longer.
constexpr size_t kPipeBytes = 256 << 10;
// Below it, going through a pipe costs more than copying.
constexpr size_t kWorthSplicing = 16 << 10;
constexpr size_t kMostPieces = 64;  // in one write, less than IOV_MAX of writev(2)

// On its way from a source to a socket. Empty whenever its source reads.
struct Pipe {
  std::shared_ptr<const sys::UniqueFd> out;
  sys::UniqueFd in;
};

std::optional<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return std::nullopt;
  Pipe pipe{std::make_shared<const sys::UniqueFd>(ends[0]), sys::UniqueFd(ends[1])};
  (void)::fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);  // else it is smaller, and works as well
  return pipe;
}

}  // namespace

struct FdSource::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& io, sys::UniqueFd fd, Events e, bool may)
      : descriptor(io, fd.release()), events(std::move(e)), may_splice(may) {}

  void Next();
  ssize_t Read();
  ssize_t Splice();
  void Wait();
  void End(absl::Status status);
  void Give(size_t bytes, bool in_pipe);

  stream_descriptor descriptor;
  Events events;
  std::shared_ptr<char[]> buffer;
  const bool may_splice;
  std::optional<Pipe> pipe;     // while there is much to move
  std::optional<size_t> quota;  // what may still be read, once the writer has ended
  bool stopped = false, waiting = false, given = false;
};

void FdSource::State::Next() {
  given = false;
  if (stopped || waiting) return;
  if (quota == size_t{0}) return End(absl::OkStatus());
  bool in_pipe = pipe.has_value();
  ssize_t n = in_pipe ? Splice() : Read();
  if (in_pipe && n <= 0) {
    // It need not be the end: splice(2) does not go past urgent data of TCP. Nor does it work for all kinds of files.
    in_pipe = false;
    n = Read();
  }
  if (n > 0) return Give(static_cast<size_t>(n), in_pipe);
  if (n == 0 || errno == EIO) return End(absl::OkStatus());
  if (errno == EINTR) return Next();
  if (errno != EAGAIN) return End(sys::Errno("read"));
  buffer.reset();
  if (quota.has_value()) return End(absl::OkStatus());
  Wait();
}

ssize_t FdSource::State::Read() {
  if (buffer == nullptr || buffer.use_count() > 1) buffer = std::make_shared_for_overwrite<char[]>(kChunkBytes);
  return ::read(descriptor.native_handle(), buffer.get(), std::min(kChunkBytes, quota.value_or(kChunkBytes)));
}

ssize_t FdSource::State::Splice() {
  return ::splice(descriptor.native_handle(), nullptr, pipe->in.get(), nullptr,
                  std::min(kPipeBytes, quota.value_or(kPipeBytes)), SPLICE_F_NONBLOCK);
}

void FdSource::State::Give(size_t bytes, bool in_pipe) {
  if (quota.has_value()) *quota -= bytes;
  given = true;
  Chunk chunk{.size = bytes};
  if (in_pipe) {
    chunk.pipe = pipe->out;
    if (bytes < kWorthSplicing) pipe.reset();
  } else {
    chunk.buffer = buffer;
    if (may_splice && bytes == kChunkBytes && !pipe.has_value()) pipe = MakePipe();
  }
  events.on_chunk(std::move(chunk));
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
  pipe.reset();
  error_code ignored;
  descriptor.close(ignored);
  auto on_end = std::move(events.on_end);
  events = {};
  on_end(std::move(status));
}

FdSource::FdSource(boost::asio::io_context& io, sys::UniqueFd fd, Events events, bool pipes)
    : state_(std::make_shared<State>(io, std::move(fd), std::move(events), pipes)) {
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
  void Flush();
  void WritePending();
  void Finish();

  stream_descriptor descriptor;
  Events events;
  std::string pending;
  std::vector<iovec> batch;  // none while anything is pending
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

void FdSink::State::Flush() {
  if (batch.empty()) return;
  const std::vector<iovec> all = std::exchange(batch, {});
  ssize_t n = ::writev(descriptor.native_handle(), all.data(), static_cast<int>(all.size()));
  if (n < 0 && errno != EAGAIN && errno != EINTR) broken = true;
  auto done = static_cast<size_t>(std::max<ssize_t>(0, n));
  size_t gone = done;
  for (const iovec& part : all) {
    const size_t written = std::min(done, part.iov_len);
    done -= written;
    if (broken)
      gone += part.iov_len - written;
    else
      pending.append(static_cast<const char*>(part.iov_base) + written, part.iov_len - written);
  }
  if (!pending.empty())
    WritePending();
  else if (closing)
    Finish();
  if (gone > 0 && !stopped) events.on_gone(gone);
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

void FdSink::WriteLater(absl::string_view bytes) {
  const std::shared_ptr<State> state = state_;
  if (state->broken || !state->descriptor.is_open() || !state->pending.empty()) return Write(bytes);
  state->batch.push_back({const_cast<char*>(bytes.data()), bytes.size()});
  if (state->batch.size() == kMostPieces) state->Flush();
}

void FdSink::Flush() {
  const std::shared_ptr<State> state = state_;
  state->Flush();
}

void FdSink::Close() {
  const std::shared_ptr<State> state = state_;
  state->closing = true;
  if (state->pending.empty() && state->batch.empty() && state->descriptor.is_open()) state->Finish();
}

bool FdSink::broken() const { return state_->broken; }

}  // namespace wherry::streaming

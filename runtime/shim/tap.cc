// A pipe is the buffer: its pages are the kernel's, are there only while they hold something, and are freed with the client.
// A client that does not keep up loses bytes rather than its session, because that may be all it has: at a terminal with an
// endless output, ^C must still get through. Where bytes are missing the client reads that they are, and how many. It gets
// on with the stream when half of the pipe is free, not sooner, or each page that it reads would be a gap of its own.
#include "runtime/shim/tap.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/shim/log_stream.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr size_t kMaxTaps = 128;     // of a pod: 64 clients with stdout and stderr
constexpr int64_t kLookMs = 50;      // whether a client reads again
constexpr int kDefaultSize = 65536;  // of a pipe

}  // namespace

Tap::~Tap() {
  poller_.SetTimer(this, -1);
  if (writer_.valid()) poller_.Remove(writer_.get());
}

absl::StatusOr<sys::UniqueFd> Tap::Open() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  sys::UniqueFd reader(ends[0]);
  writer_.reset(ends[1]);
  if (::fcntl(writer_.get(), F_SETFL, O_NONBLOCK) != 0) return sys::Errno("fcntl O_NONBLOCK");
  (void)::fcntl(writer_.get(), F_SETPIPE_SZ, kPipeSize);  // the default will do where the host forbids it
  capacity_ = ::fcntl(writer_.get(), F_GETPIPE_SZ);
  if (capacity_ <= 0) capacity_ = kDefaultSize;
  // Only EPOLLERR: the reader is gone.
  RETURN_IF_ERROR(poller_.Add(writer_.get(), 0, this));
  return reader;
}

void Tap::Copy(const char* data, size_t size) {
  size_t taken = 0;
  if (lost_ == 0 || TellLoss()) {
    ssize_t n;
    do n = ::write(writer_.get(), data, size);
    while (n < 0 && errno == EINTR);
    taken = n < 0 ? 0 : static_cast<size_t>(n);
  }
  if (taken == size) return;
  if (lost_ == 0) poller_.SetTimer(this, kLookMs);
  lost_ += size - taken;
}

bool Tap::TellLoss() {
  int queued = 0;
  if (::ioctl(writer_.get(), FIONREAD, &queued) != 0 || queued > capacity_ / 2) return false;
  const std::string text =
      absl::StrCat("\r\nwherry: ", lost_, " bytes of output lost here: the client reads too slowly\r\n");
  // Less than PIPE_BUF: all of it or nothing.
  if (::write(writer_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return false;
  lost_ = 0;
  poller_.SetTimer(this, -1);
  return true;
}

void Tap::Finish() {
  source_ = nullptr;
  if (lost_ == 0 || TellLoss()) taps_.Remove(this);
}

bool Tap::IsAbandoned() const {
  pollfd polled{writer_.get(), 0, 0};
  return ::poll(&polled, 1, 0) > 0 && (polled.revents & POLLERR) != 0;
}

void Tap::Leave() {
  if (source_ != nullptr) source_->RemoveTap(this);
  taps_.Remove(this);
}

void Tap::OnReady(uint32_t events) {
  if (events != 0) {
    Leave();
  } else if (!TellLoss()) {
    poller_.SetTimer(this, kLookMs);
  } else if (source_ == nullptr) {
    taps_.Remove(this);
  }
}

absl::StatusOr<sys::UniqueFd> Taps::Open(LogStream& source) {
  if (taps_.size() >= kMaxTaps) RemoveAbandoned();
  if (taps_.size() >= kMaxTaps) return absl::ResourceExhaustedError("too many clients are attached to the pod");
  auto tap = std::make_unique<Tap>(poller_, *this, &source);
  ASSIGN_OR_RETURN(sys::UniqueFd reader, tap->Open());
  taps_.push_back(std::move(tap));
  source.AddTap(taps_.back().get());
  return reader;
}

// A client's end may come to the poller after the request of the next: nobody is refused for that.
void Taps::RemoveAbandoned() {
  for (size_t i = taps_.size(); i-- > 0;) {
    if (taps_[i]->IsAbandoned()) taps_[i]->Leave();
  }
}

void Taps::Remove(const Tap* tap) {
  taps_.erase(std::find_if(taps_.begin(), taps_.end(), [&](const auto& owned) { return owned.get() == tap; }));
}

}  // namespace wherry::shim

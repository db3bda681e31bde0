// ExecSync: one request to the shim with three descriptors, then this thread reads the pipes until the exec's end is
// reported. What a probe costs is decided here, so there is no thread, no file and no second request.
//
// The output belongs to the process, not to whatever it leaves behind: after its end only what is already in the pipes is
// read, so that a background child that keeps them open cannot hold the call. Beyond 16 MiB a stream is read but dropped
// (CVE-2022-31030), because a process blocked on a full pipe would never end; and as a client takes no message over 16 MiB,
// what is left of both streams is cut to fit into one.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "cri/container/exec_process.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/null_device.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

constexpr size_t kMaxOutput = 16 << 20;
constexpr size_t kMaxAnswer = kMaxOutput - 4096;  // for the message around it
// How often a long wait looks whether somebody still wants the answer.
constexpr absl::Duration kLook = absl::Seconds(1);

// The reading end of one stream and what has come through it.
class Stream {
 public:
  // Returns the end for the process.
  absl::StatusOr<sys::UniqueFd> Open() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return sys::Errno("pipe2");
    fd_.reset(fds[0]);
    sys::UniqueFd writer(fds[1]);
    if (::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) != 0) return sys::Errno("fcntl F_SETFL");
    return writer;
  }

  // Reads what is there; closes at the end of file. False when nothing was there.
  bool Read() {
    if (!fd_.valid()) return false;
    char buffer[65536];
    ssize_t n = ::read(fd_.get(), buffer, sizeof buffer);
    if (n < 0) return errno == EINTR;
    if (n == 0) {
      fd_.reset();
      return false;
    }
    text_.append(buffer, std::min<size_t>(n, kMaxOutput - text_.size()));
    drained_ += n;
    return true;
  }

  // After the process' end. Bounded, because a child of it may write for ever.
  void Drain() {
    for (drained_ = 0; drained_ < 2 * kMaxOutput && Read();) {
    }
  }

  int fd() const { return fd_.get(); }
  std::string Take() { return std::move(text_); }

 private:
  sys::UniqueFd fd_;
  std::string text_;
  size_t drained_ = 0;
};

// Each may have half of an answer, and what the other leaves.
void Fit(std::string& a, std::string& b) {
  if (a.size() + b.size() <= kMaxAnswer) return;
  const size_t share = std::max(kMaxAnswer / 2, kMaxAnswer - std::min(b.size(), kMaxAnswer));
  a.resize(std::min(a.size(), share));
  b.resize(std::min(b.size(), kMaxAnswer - a.size()));
}

// One exec from its start to its answer.
class Session {
 public:
  Session(Core& core, store::Container container, sys::Deadline deadline, absl::FunctionRef<bool()> abandoned)
      : process_(core, std::move(container)), deadline_(deadline), abandoned_(abandoned) {}

  absl::Status Start(const std::vector<std::string>& command) {
    std::vector<sys::UniqueFd> stdio(3);
    ASSIGN_OR_RETURN(stdio[0], sys::OpenNullDevice(O_RDONLY));
    ASSIGN_OR_RETURN(stdio[1], out_.Open());
    ASSIGN_OR_RETURN(stdio[2], err_.Open());
    return process_.Start(command, std::move(stdio), deadline_.left());
  }

  // DeadlineExceeded, with the process killed, at the deadline. Cancelled, with the process killed, when nobody waits for
  // the answer any more: without a time-out the command might run for ever.
  absl::Status Await() {
    std::array<pollfd, 3> polled;
    while (true) {
      polled = {{{process_.ended(), POLLIN, 0}, {out_.fd(), POLLIN, 0}, {err_.fd(), POLLIN, 0}}};
      int ready = ::poll(polled.data(), polled.size(), deadline_.poll_ms(kLook));
      if (ready < 0 && errno != EINTR) return sys::Errno("poll");
      if (ready == 0 && deadline_.passed()) {
        process_.Kill();
        return absl::DeadlineExceededError("the command was killed at its timeout");
      }
      if (ready == 0 && abandoned_()) {
        process_.Kill();
        return absl::CancelledError("the caller has gone; the command was killed");
      }
      if (ready <= 0) continue;
      if (polled[1].revents != 0) out_.Read();
      if (polled[2].revents != 0) err_.Read();
      if (polled[0].revents != 0) break;
    }
    out_.Drain();
    err_.Drain();
    return absl::OkStatus();
  }

  absl::StatusOr<::runtime::v1::ExecSyncResponse> Response() {
    ASSIGN_OR_RETURN(shim::v1::Exit exit, process_.Exit());
    ::runtime::v1::ExecSyncResponse response;
    std::string out = out_.Take(), err = err_.Take();
    Fit(out, err);
    response.set_stdout(std::move(out));
    response.set_stderr(std::move(err));
    response.set_exit_code(exit.code());
    return response;
  }

 private:
  ExecProcess process_;
  const sys::Deadline deadline_;
  const absl::FunctionRef<bool()> abandoned_;
  Stream out_, err_;
};

absl::StatusOr<::runtime::v1::ExecSyncResponse> Run(Core& core, const store::Container& container,
                                                    const ::runtime::v1::ExecSyncRequest& request,
                                                    absl::FunctionRef<bool()> abandoned) {
  const sys::Deadline deadline(request.timeout() > 0 ? absl::Seconds(request.timeout()) : absl::InfiniteDuration());
  Session session(core, container, deadline, abandoned);
  RETURN_IF_ERROR(session.Start({request.cmd().begin(), request.cmd().end()}));
  RETURN_IF_ERROR(session.Await());
  return session.Response();
}

}  // namespace

absl::StatusOr<::runtime::v1::ExecSyncResponse> ExecSync(Core& core, const ::runtime::v1::ExecSyncRequest& request,
                                                         absl::FunctionRef<bool()> abandoned) {
  if (request.timeout() < 0) return absl::InvalidArgumentError("timeout is negative");
  ASSIGN_OR_RETURN(store::Container record, FindRunning(core, request.container_id()));
  auto response = Run(core, record, request, abandoned);
  if (response.ok()) return response;
  const std::string name = request.cmd().empty() ? "" : request.cmd(0);
  return sys::Annotate(response.status(), absl::StrCat("exec \"", name, "\" in container ", record->id()));
}

}  // namespace wherry::container

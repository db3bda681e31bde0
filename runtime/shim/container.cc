// The order at the end is a promise: what the init wrote before it died is in the log before anybody hears that it died.
// No waiting for an end of file is needed for that, which a daemon that holds the pipe could delay for ever: all that
// the init wrote is in the pipe, at most a pipe's capacity, so one bounded drain takes it.
#include "runtime/shim/container.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/shim/kill.h"
#include "runtime/shim/oom.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/null_device.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

// Processes in a shared PID namespace die asynchronously: up to a second is waited for them, so that the cgroup can be
// removed when the exit is told. One in uninterruptible sleep does not hold the event up for longer.
constexpr int64_t kWaitMs = 2;
constexpr int kMaxWaits = 500;

}  // namespace

Container::Container(const Workbench& bench, const v1::StartContainerRequest& request, Observer* observer)
    : bench_(bench),
      observer_(observer),
      cgroup_(request.cgroup()),
      slice_oom_kills_(OomKillsOfSlice(cgroup_.memory_dir())),
      own_pid_namespace_(request.pid_namespace() == v1::PID_CONTAINER),
      max_line_(request.log().max_line() == 0 ? kDefaultMaxLine : request.log().max_line()),
      tty_(request.process().tty()),
      takes_input_(request.stdin()),
      stdin_once_(request.stdin_once()) {
  state_.set_container_id(request.container_id());
}

Container::~Container() { bench_.poller.SetTimer(this, -1); }

absl::StatusOr<std::unique_ptr<Container>> Container::Start(const Workbench& bench,
                                                            const v1::StartContainerRequest& request,
                                                            const Container* target, Observer* observer) {
  if (request.log().max_line() > kMaxMaxLine)
    return absl::InvalidArgumentError(absl::StrCat("log max_line ", request.log().max_line(), " is over 256 KiB"));
  std::unique_ptr<Container> container(new Container(bench, request, observer));
  ASSIGN_OR_RETURN(container->log_, LogFile::Open(request.log()));
  WHERRY_FAIL_POINT("shim.log_opened");
  RETURN_IF_ERROR(container->Launch(request, target));
  return container;
}

absl::Status Container::Launch(const v1::StartContainerRequest& request, const Container* target) {
  ASSIGN_OR_RETURN(process::Stdio stdio, MakeStdio(request));
  std::optional<pid_t> target_pid;
  if (target != nullptr) target_pid = target->pid();
  ASSIGN_OR_RETURN(process::Launch launch, process::StartContainer(request, bench_.pod, target_pid, std::move(stdio)));
  WHERRY_CRASH_POINT("shim.cloned");
  state_.set_pid(launch.pid);
  ASSIGN_OR_RETURN(task_, Task::Follow(bench_.poller, bench_.reaper, std::move(launch), this));
  return absl::OkStatus();
}

absl::StatusOr<process::Stdio> Container::MakeStdio(const v1::StartContainerRequest& request) {
  process::Stdio stdio;
  if (request.process().tty()) return stdio;
  if (request.stdin()) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
    stdio.in.reset(ends[0]);
    stdin_.reset(ends[1]);
    if (::fcntl(stdin_.get(), F_SETFL, O_NONBLOCK) != 0) return sys::Errno("fcntl O_NONBLOCK of stdin");
  } else {
    ASSIGN_OR_RETURN(stdio.in, sys::OpenNullDevice(O_RDONLY));
  }
  ASSIGN_OR_RETURN(stdio.out, MakeLogPipe(StreamName::kStdout));
  ASSIGN_OR_RETURN(stdio.err, MakeLogPipe(StreamName::kStderr));
  return stdio;
}

absl::StatusOr<sys::UniqueFd> Container::MakeLogPipe(StreamName name) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  sys::UniqueFd read_end(ends[0]), write_end(ends[1]);
  (void)::fcntl(write_end.get(), F_SETPIPE_SZ, kPipeSize);  // the default will do where the host forbids it
  RETURN_IF_ERROR(LogFrom(std::move(read_end), name));
  return write_end;
}

absl::Status Container::LogFrom(sys::UniqueFd source, StreamName name) {
  ASSIGN_OR_RETURN(streams_[name == StreamName::kStdout ? 0 : 1],
                   LogStream::Create(bench_.poller, bench_.arena, log_, std::move(source), name, max_line_));
  return absl::OkStatus();
}

void Container::OnStarted(absl::StatusOr<process::Outcome> outcome) {
  absl::Status status = outcome.status();
  if (status.ok() && outcome->tty_master.valid()) {
    status = LogFrom(std::move(outcome->tty_master), StreamName::kStdout);
    if (!status.ok()) (void)KillAll();
  }
  if (status.ok()) {
    phase_ = State::kRunning;
    state_.set_started_at_ns(RealtimeNs());
    *state_.mutable_user() = std::move(outcome->user);
  }
  observer_->OnContainerStarted(*this, status);
}

void Container::OnEnded(const ExitStatus& status) {
  ended_ = status;
  // The init's PID namespace died with it; where the namespace is shared, the rest has to be ended by hand.
  if (!own_pid_namespace_ && !KillCgroup(cgroup_).ok()) waits_ = kMaxWaits;
  OnReady(0);
}

void Container::OnReady(uint32_t) {
  if (own_pid_namespace_ || waits_++ >= kMaxWaits || CgroupIsEmpty(cgroup_)) {
    Finish();
  } else {
    bench_.poller.SetTimer(this, kWaitMs);
  }
}

void Container::Finish() {
  WHERRY_CRASH_POINT("shim.ended");
  phase_ = State::kEnded;
  for (auto& stream : streams_) {
    if (stream == nullptr) continue;
    stream->Drain();
    stream->EndTaps();
  }
  stdin_.reset();
  v1::Exit* exit = state_.mutable_exit();
  exit->set_code(ended_.code);
  exit->set_signal(ended_.signal);
  exit->set_finished_at_ns(ended_.finished_at_ns);
  exit->set_oom_killed(WasOomKilled());
  observer_->OnContainerEnded(*this);
}

bool Container::WasOomKilled() const {
  if (auto kills = OomKills(cgroup_.memory_dir())) return *kills > 0;
  // systemd has removed the scope already, but the slice has counted. Others are in it too, so the end has to look like one: the code is
  // also what a shell ends with whose command was killed.
  return ended_.code == 128 + SIGKILL && OomKillsOfSlice(cgroup_.memory_dir()) > slice_oom_kills_;
}

v1::ContainerState Container::Describe() const {
  v1::ContainerState out = state_;
  out.set_log_bytes_dropped(log_.bytes_dropped());
  return out;
}

absl::StatusOr<std::vector<sys::UniqueFd>> Container::Attach(const v1::AttachRequest& request, v1::AttachReply* reply) {
  if (phase_ != State::kRunning)
    return absl::FailedPreconditionError(absl::StrCat("container ", id(), " does not run"));
  sys::UniqueFd out, err;
  if (request.stdout()) {
    ASSIGN_OR_RETURN(out, bench_.taps.Open(*streams_[0]));
    reply->set_stdout(true);
  }
  if (request.stderr() && streams_[1] != nullptr) {
    ASSIGN_OR_RETURN(err, bench_.taps.Open(*streams_[1]));
    reply->set_stderr(true);
  }
  // Last, because stdin that is lent once cannot be had again.
  ASSIGN_OR_RETURN(sys::UniqueFd in, LendInput(request, reply));
  std::vector<sys::UniqueFd> fds;
  for (sys::UniqueFd* fd : {&in, &out, &err}) {
    if (fd->valid()) fds.push_back(std::move(*fd));
  }
  return fds;
}

absl::StatusOr<sys::UniqueFd> Container::LendInput(const v1::AttachRequest& request, v1::AttachReply* reply) {
  const sys::UniqueFd& lent = tty_ ? streams_[0]->source() : stdin_;
  const bool wanted = request.stdin() && takes_input_;
  if (!lent.valid() || (!wanted && !tty_)) return sys::UniqueFd();
  reply->set_terminal(tty_);
  reply->set_stdin(wanted);
  if (stdin_once_ && !tty_) return std::move(stdin_);
  sys::UniqueFd copy(::fcntl(lent.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return sys::Errno("fcntl F_DUPFD_CLOEXEC");
  return copy;
}

absl::Status Container::Signal(int signal) {
  if (phase_ == State::kEnded) return absl::FailedPreconditionError(absl::StrCat("container ", id(), " has ended"));
  return task_->Signal(signal);
}

absl::Status Container::KillAll() {
  absl::Status group = KillCgroup(cgroup_);
  if (phase_ == State::kEnded) return group;
  absl::Status init = task_->Signal(SIGKILL);
  return group.ok() ? init : group;
}

}  // namespace wherry::shim

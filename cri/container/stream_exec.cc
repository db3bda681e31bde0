// Exec: the process' streams are handed to the session as they are, so that no byte passes through the shim or is copied on
// the way. Without a terminal they are pipes; a terminal's master is all three at once.
#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "cri/container/exec_process.h"
#include "cri/container/pipe.h"
#include "cri/container/terminal.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/null_device.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

class Session final : public streaming::Process {
 public:
  Session(Core& core, store::Container container)
      : core_(core), process_(std::make_shared<ExecProcess>(core, std::move(container))) {}
  ~Session() override;

  absl::Status Start(const std::vector<std::string>& command, streaming::Streams streams);
  int ended() const override { return process_->ended(); }
  absl::StatusOr<int> ExitCode() const override {
    ASSIGN_OR_RETURN(shim::v1::Exit exit, process_->Exit());
    return exit.code();
  }
  absl::Status Resize(uint16_t width, uint16_t height) override { return terminal_.Resize(width, height); }

 private:
  absl::StatusOr<std::vector<sys::UniqueFd>> OpenPipes(streaming::Streams streams);
  absl::Status TakeTerminal(streaming::Streams streams);

  Core& core_;
  std::shared_ptr<ExecProcess> process_;
  Terminal terminal_;
  bool started_ = false;
};

// One end of a pipe for the session, and the other for the process; /dev/null for a stream that nobody asked for.
absl::StatusOr<sys::UniqueFd> Connect(bool wanted, bool to_process, sys::UniqueFd& session_end) {
  if (!wanted) return sys::OpenNullDevice(to_process ? O_RDONLY : O_WRONLY);
  ASSIGN_OR_RETURN(Pipe pipe, OpenPipe());
  session_end = std::move(to_process ? pipe.writer : pipe.reader);
  RETURN_IF_ERROR(SetNonBlocking(session_end));
  return std::move(to_process ? pipe.reader : pipe.writer);
}

absl::StatusOr<std::vector<sys::UniqueFd>> Session::OpenPipes(streaming::Streams streams) {
  std::vector<sys::UniqueFd> stdio(3);
  ASSIGN_OR_RETURN(stdio[0], Connect(streams.in, true, in));
  ASSIGN_OR_RETURN(stdio[1], Connect(streams.out, false, out));
  ASSIGN_OR_RETURN(stdio[2], Connect(streams.err, false, err));
  return stdio;
}

absl::Status Session::TakeTerminal(streaming::Streams streams) {
  sys::UniqueFd master = process_->TakeTerminal();
  if (!master.valid()) return absl::InternalError("the shim sent no terminal");
  RETURN_IF_ERROR(SetNonBlocking(master));
  terminal_ = Terminal(std::move(master));
  if (streams.in) {
    ASSIGN_OR_RETURN(in, terminal_.Duplicate());
  }
  if (streams.out) {
    ASSIGN_OR_RETURN(out, terminal_.Duplicate());
  }
  return absl::OkStatus();
}

absl::Status Session::Start(const std::vector<std::string>& command, streaming::Streams streams) {
  WHERRY_FAIL_POINT("stream.exec");
  std::vector<sys::UniqueFd> stdio;
  if (!streams.tty) {
    ASSIGN_OR_RETURN(stdio, OpenPipes(streams));
  }
  RETURN_IF_ERROR(process_->Start(command, std::move(stdio), kStartTimeout));
  started_ = true;
  WHERRY_FAIL_POINT("stream.exec_started");
  return streams.tty ? TakeTerminal(streams) : absl::OkStatus();
}

// The kill is others' work, since a shim may be slow and a session's thread serves many. Until it is done the descriptors stay
// open: a process that dies of a closed pipe could no longer lead to its descendants.
Session::~Session() {
  if (!started_ || process_->over()) return;
  struct Rest {
    std::shared_ptr<ExecProcess> process;
    Terminal terminal;
    sys::UniqueFd in, out, err;
  };
  auto rest = std::make_shared<Rest>();
  *rest = {std::move(process_), std::move(terminal_), std::move(in), std::move(out), std::move(err)};
  core_.tidiers.Submit([rest] {
    WHERRY_CRASH_POINT("stream.exec_kill");
    rest->process->Kill();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<streaming::Process>> Exec(Core& core, const std::string& id,
                                                         const std::vector<std::string>& command,
                                                         streaming::Streams streams) {
  if (streams.tty && streams.err)
    return absl::InvalidArgumentError("stderr of a process with a terminal: it has one output, stdout");
  ASSIGN_OR_RETURN(store::Container container, FindRunning(core, id));
  auto session = std::make_unique<Session>(core, container);
  const std::string name = command.empty() ? "" : command[0];
  RETURN_IF_ERROR_CTX(session->Start(command, streams),
                      absl::StrCat("exec \"", name, "\" in container ", container->id()));
  return std::unique_ptr<streaming::Process>(std::move(session));
}

}  // namespace wherry::container

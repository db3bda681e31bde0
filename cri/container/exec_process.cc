#include "cri/container/exec_process.h"

#include <algorithm>
#include <csignal>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cri/container/ids.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::Status Check(const std::vector<std::string>& command) {
  if (command.empty() || command[0].empty()) return absl::InvalidArgumentError("cmd is empty");
  for (const std::string& word : command) {
    if (word.find('\0') != std::string::npos) return absl::InvalidArgumentError("cmd: an argument has a NUL byte");
  }
  return absl::OkStatus();
}

// Programs that draw refuse to work without it.
void AddTerm(shim::v1::Process& process) {
  const auto& env = process.env();
  if (std::any_of(env.begin(), env.end(), [](const std::string& entry) { return absl::StartsWith(entry, "TERM="); }))
    return;
  process.add_env("TERM=xterm");
}

}  // namespace

absl::StatusOr<store::Container> FindRunning(Core& core, const std::string& id) {
  ASSIGN_OR_RETURN(store::Container record, Find(core, id));
  if (record->state() != store::RUNNING) {
    return absl::FailedPreconditionError(absl::StrCat("container ", record->id(), " does not run"));
  }
  return record;
}

ExecProcess::ExecProcess(Core& core, store::Container container)
    : core_(core), container_(std::move(container)), id_(NewId()) {}

ExecProcess::~ExecProcess() {
  if (wait_ != nullptr) core_.ends.Remove(wait_);
}

// As the container's own process, but for the command; the user is the one that was resolved at its start.
absl::StatusOr<shim::v1::Process> ExecProcess::Describe(const std::vector<std::string>& command, bool tty) const {
  shim::v1::StartContainerRequest spec;
  if (!spec.ParseFromString(container_->spec()))
    return absl::DataLossError("the recorded specification cannot be read");
  shim::v1::Process process = std::move(*spec.mutable_process());
  process.mutable_args()->Assign(command.begin(), command.end());
  process.set_tty(tty);
  if (tty) AddTerm(process);
  const auto& resolved = container_->user().linux();
  auto& user = *process.mutable_user();
  user.Clear();
  user.set_fixed_uid(static_cast<uint32_t>(resolved.uid()));
  user.set_gid(static_cast<uint32_t>(resolved.gid()));
  for (int64_t group : resolved.supplemental_groups()) user.add_additional_groups(static_cast<uint32_t>(group));
  RETURN_IF_ERROR(SetSeccomp(core_, container_->config(), process));
  return process;
}

absl::Status ExecProcess::Launch(const std::vector<std::string>& command, std::vector<sys::UniqueFd> stdio,
                                 absl::Duration timeout) {
  shim::v1::Request request;
  auto& exec = *request.mutable_exec();
  exec.set_container_id(container_->id());
  exec.set_exec_id(id_);
  ASSIGN_OR_RETURN(*exec.mutable_process(), Describe(command, stdio.empty()));
  auto live = core_.running.Find(container_->id());
  if (live == nullptr) return absl::FailedPreconditionError(absl::StrCat("container ", container_->id(), " has ended"));
  *exec.mutable_cgroup() = live->cgroup;
  ASSIGN_OR_RETURN(wait_, core_.ends.Add(id_, container_->pod_id()));
  auto reply =
      core_.hub.Call(container_->pod_id(), std::move(request), std::min(timeout, kStartTimeout), std::move(stdio));
  if (absl::IsDeadlineExceeded(reply.status())) Kill();
  RETURN_IF_ERROR(reply.status());
  if (!reply->fds.empty()) terminal_ = std::move(reply->fds[0]);
  return absl::OkStatus();
}

absl::Status ExecProcess::Start(const std::vector<std::string>& command, std::vector<sys::UniqueFd> stdio,
                                absl::Duration timeout) {
  RETURN_IF_ERROR(Check(command));
  absl::Status status = Launch(command, std::move(stdio), timeout);
  // NotFound would say that the container does not exist, PermissionDenied that the caller may not ask.
  if (absl::IsNotFound(status) || absl::IsPermissionDenied(status)) return absl::InvalidArgumentError(status.message());
  return status;
}

void ExecProcess::Kill() {
  if (over()) return;
  shim::v1::Request request;
  auto& signal = *request.mutable_signal();
  signal.set_container_id(container_->id());
  signal.set_exec_id(id_);
  signal.set_signal(SIGKILL);
  signal.set_all(true);
  core_.hub.Call(container_->pod_id(), std::move(request), kShimTimeout).status().IgnoreError();
}

}  // namespace wherry::container

// One thread, one loop, no waiting: a start or an exec goes on in its child, and its reply follows when the outcome
// arrives. A reply goes to the connection that asked, if it is still there; what was begun is finished either way, and a
// wherryd that comes back finds it by State.
#include "runtime/shim/supervisor.h"

#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr size_t kMaxConnections = 16;
constexpr size_t kMaxContainers = 1000;
constexpr size_t kMaxExecs = 10000;
constexpr int64_t kShutdownMs = 10000;

// The text may quote bytes of a rootfs. A protobuf string has to be UTF-8, or the client could not read the reply.
void SetError(const absl::Status& status, v1::Message& reply) {
  std::string text(status.message());
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) c = '?';
  }
  reply.mutable_error()->set_code(static_cast<int32_t>(status.code()));
  reply.mutable_error()->set_message(std::move(text));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create(Options options) {
  ASSIGN_OR_RETURN(Poller poller, Poller::Create());
  std::unique_ptr<Supervisor> s(new Supervisor(std::move(poller), std::move(options)));
  ASSIGN_OR_RETURN(s->reaper_, Reaper::Create(s->poller_));
  ASSIGN_OR_RETURN(s->host_shutdown_, HostShutdown::Watch(s->poller_, *s));
  ASSIGN_OR_RETURN(s->arena_, LogArena::Create(s->poller_));
  RETURN_IF_ERROR(s->poller_.Add(s->options_.listener.get(), EPOLLIN, s.get()));
  return s;
}

Supervisor::~Supervisor() {
  execs_.clear();
  containers_.clear();
  connections_.clear();
}

void Supervisor::Run() {
  while (!ending_ || (reaper_->size() > 0 && !overdue_)) poller_.RunOnce();
}

void Supervisor::OnReady(uint32_t events) {
  if (events == 0) {
    overdue_ = true;
    return;
  }
  sys::UniqueFd socket(::accept4(options_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid() || connections_.size() >= kMaxConnections) return;
  const uint64_t id = ++last_connection_;
  auto connection = Connection::Adopt(poller_, *this, std::move(socket), id);
  if (connection.ok()) connections_[id] = std::move(*connection);
}

bool Supervisor::OnRequest(Connection& connection, v1::Request& request, std::vector<sys::UniqueFd> fds) {
  v1::Message reply;
  auto later = Handle(connection, request, std::move(fds), reply);
  if (!later.ok()) {
    reply.Clear();
    SetError(later.status(), reply);
  } else if (*later) {
    return true;
  }
  reply.set_reply_to(request.id());
  connection.Send(reply);
  return connection.greeted;
}

absl::StatusOr<bool> Supervisor::Handle(Connection& connection, v1::Request& request, std::vector<sys::UniqueFd> fds,
                                        v1::Message& reply) {
  const Asker asker{connection.id(), request.id()};
  if (!connection.greeted && !request.has_hello())
    return absl::FailedPreconditionError("the first request has to be Hello");
  switch (request.body_case()) {
    case v1::Request::kHello:
      RETURN_IF_ERROR(Hello(connection, request.hello(), reply.mutable_hello()));
      return false;
    case v1::Request::kSetupPod:
      RETURN_IF_ERROR(SetupPod(request.setup_pod(), reply.mutable_setup_pod()));
      return false;
    case v1::Request::kStartContainer:
      RETURN_IF_ERROR(StartContainer(asker, request.start_container()));
      return true;
    case v1::Request::kStartWithHooks:
      RETURN_IF_ERROR(StartContainer(asker, request.start_with_hooks()));
      return true;
    case v1::Request::kExec:
      RETURN_IF_ERROR(StartExec(asker, request.exec(), std::move(fds)));
      return true;
    case v1::Request::kAttach:
      RETURN_IF_ERROR(Attach(asker, request.attach()));
      return true;
    case v1::Request::kSignal:
      RETURN_IF_ERROR(Signal(request.signal()));
      return false;
    case v1::Request::kReopenLog: {
      ASSIGN_OR_RETURN(Container * container, Find(request.reopen_log().container_id()));
      WHERRY_FAIL_POINT("shim.reopen");
      RETURN_IF_ERROR(container->ReopenLog());
      WHERRY_CRASH_POINT("shim.reopened");
      return false;
    }
    case v1::Request::kState:
      State(reply.mutable_state());
      return false;
    case v1::Request::kForget:
      RETURN_IF_ERROR(Forget(request.forget().container_id()));
      return false;
    case v1::Request::kShutdown:
      Shutdown();
      return false;
    case v1::Request::BODY_NOT_SET:
      break;
  }
  return absl::UnimplementedError(absl::StrCat("this shim speaks version ", kProtocolVersion, " of the protocol"));
}

absl::Status Supervisor::Hello(Connection& connection, const v1::HelloRequest& request, v1::HelloReply* reply) {
  const uint32_t version = std::min(request.max_version(), kProtocolVersion);
  if (version == 0 || request.min_version() > version)
    return absl::FailedPreconditionError(absl::StrCat("this shim speaks versions 1 to ", kProtocolVersion, ", not ",
                                                      request.min_version(), " to ", request.max_version()));
  connection.greeted = true;
  reply->set_version(version);
  reply->set_build(WHERRY_VERSION);
  if (pod_.has_value()) reply->set_pod_id(options_.pod_id);
  reply->set_pid(::getpid());
  return absl::OkStatus();
}

absl::Status Supervisor::SetupPod(const v1::SetupPodRequest& request, v1::SetupPodReply* reply) {
  if (request.pod_id() != options_.pod_id)
    return absl::InvalidArgumentError(absl::StrCat("this is the shim of pod \"", options_.pod_id, "\""));
  if (setup_tried_) return absl::AlreadyExistsError("the pod has been set up");
  setup_tried_ = true;
  ASSIGN_OR_RETURN(pod_, shim::SetupPod(request, options_.shm_in_namespace));
  if (pod_->init.pid > 0) {
    RETURN_IF_ERROR(reaper_->Watch(pod_->init.pid, pod_->init.pidfd.get(), &init_owner_));
    reply->set_init_pid(pod_->init.pid);
  }
  return absl::OkStatus();
}

absl::StatusOr<Container*> Supervisor::Find(const std::string& container_id) const {
  auto it = containers_.find(container_id);
  if (it == containers_.end()) return absl::NotFoundError(absl::StrCat("container \"", container_id, "\""));
  return it->second.get();
}

absl::Status Supervisor::MayStart() const {
  if (!pod_.has_value()) return absl::FailedPreconditionError("the pod has not been set up");
  if (ending_) return absl::FailedPreconditionError("the shim is shutting down");
  return absl::OkStatus();
}

absl::Status Supervisor::StartContainer(Asker asker, const v1::StartContainerRequest& request) {
  RETURN_IF_ERROR(MayStart());
  const std::string& id = request.container_id();
  if (id.empty()) return absl::InvalidArgumentError("container_id is empty");
  if (containers_.count(id) != 0) return absl::AlreadyExistsError(absl::StrCat("container \"", id, "\""));
  WHERRY_FAIL_POINT("shim.start");
  if (containers_.size() >= kMaxContainers) return absl::ResourceExhaustedError("too many containers in one pod");
  const Container* target = nullptr;
  if (request.pid_namespace() == v1::PID_TARGET) {
    ASSIGN_OR_RETURN_CTX(target, Find(request.target_container_id()), "target");
    if (target->state() != Container::State::kRunning)
      return absl::FailedPreconditionError(absl::StrCat("target container \"", target->id(), "\" does not run"));
  }
  if (request.pid_namespace() == v1::PID_POD && !pod_->context.pid_namespace.valid())
    return absl::FailedPreconditionError("the pod has no shared PID namespace");
  ASSIGN_OR_RETURN(auto container, Container::Start(Bench(), request, target, this));
  container->asker = asker;
  containers_[id] = std::move(container);
  return absl::OkStatus();
}

void Supervisor::OnContainerStarted(Container& container, const absl::Status& status) {
  v1::Message reply;
  const Asker asker = container.asker;
  if (!status.ok()) {
    SetError(status, reply);
    containers_.erase(std::string(container.id()));
  } else {
    const v1::ContainerState state = container.Describe();
    v1::StartContainerReply* started = reply.mutable_start_container();
    started->set_pid(state.pid());
    started->set_started_at_ns(state.started_at_ns());
    *started->mutable_user() = state.user();
  }
  WHERRY_CRASH_POINT("shim.answer_start");
  Answer(asker, std::move(reply));
  (void)::malloc_trim(0);  // the request was big (a seccomp filter, an environment) and the next may be days away
}

void Supervisor::OnContainerEnded(Container& container) {
  WHERRY_CRASH_POINT("shim.tell_end");
  v1::Message event;
  event.mutable_container_exited()->set_container_id(container.id());
  *event.mutable_container_exited()->mutable_exit() = container.Describe().exit();
  for (auto& [id, connection] : connections_) {
    if (connection->greeted) connection->Send(event);
  }
  EndWithTheHost();
}

absl::Status Supervisor::StartExec(Asker asker, const v1::ExecRequest& request, std::vector<sys::UniqueFd> fds) {
  RETURN_IF_ERROR(MayStart());
  ASSIGN_OR_RETURN(Container * container, Find(request.container_id()));
  if (container->state() != Container::State::kRunning)
    return absl::FailedPreconditionError(absl::StrCat("container \"", container->id(), "\" does not run"));
  if (request.exec_id().empty()) return absl::InvalidArgumentError("exec_id is empty");
  if (execs_.count(request.exec_id()) != 0)
    return absl::AlreadyExistsError(absl::StrCat("exec \"", request.exec_id(), "\""));
  WHERRY_FAIL_POINT("shim.exec");
  if (execs_.size() >= kMaxExecs) return absl::ResourceExhaustedError("too many execs in one pod");
  if (fds.size() != (request.process().tty() ? 0U : 3U))
    return absl::InvalidArgumentError("an exec needs three descriptors, or none with a tty");
  process::Stdio stdio;
  if (!fds.empty()) stdio = {std::move(fds[0]), std::move(fds[1]), std::move(fds[2])};
  ASSIGN_OR_RETURN(auto exec, Exec::Start(Bench(), request, *container, std::move(stdio), this));
  WHERRY_CRASH_POINT("shim.exec_cloned");
  exec->asker = asker;
  execs_[request.exec_id()] = std::move(exec);
  return absl::OkStatus();
}

void Supervisor::OnExecStarted(Exec& exec, absl::StatusOr<sys::UniqueFd> tty_master) {
  v1::Message reply;
  const Asker asker = exec.asker;
  std::vector<sys::UniqueFd> fds;
  if (!tty_master.ok()) {
    SetError(tty_master.status(), reply);
    execs_.erase(std::string(exec.id()));
  } else {
    reply.mutable_exec()->set_pid(exec.pid());
    if (tty_master->valid()) fds.push_back(std::move(*tty_master));
  }
  Answer(asker, std::move(reply), std::move(fds));
}

void Supervisor::OnExecEnded(Exec& exec, const v1::Exit& exit) {
  WHERRY_CRASH_POINT("shim.tell_exec_end");
  v1::Message event;
  event.mutable_exec_exited()->set_exec_id(exec.id());
  *event.mutable_exec_exited()->mutable_exit() = exit;
  const uint64_t connection = exec.asker.connection;
  execs_.erase(std::string(exec.id()));
  Answer({connection, 0}, std::move(event));
}

absl::Status Supervisor::Attach(Asker asker, const v1::AttachRequest& request) {
  ASSIGN_OR_RETURN(Container * container, Find(request.container_id()));
  WHERRY_FAIL_POINT("shim.attach");
  v1::Message reply;
  ASSIGN_OR_RETURN(std::vector<sys::UniqueFd> fds, container->Attach(request, reply.mutable_attach()));
  WHERRY_CRASH_POINT("shim.attached");
  Answer(asker, std::move(reply), std::move(fds));
  return absl::OkStatus();
}

// Nobody can get the result of its execs any more, or hear of their ends: they die with it.
void Supervisor::OnClosed(uint64_t id) {
  for (auto& [exec_id, exec] : execs_) {
    if (exec->asker.connection == id) (void)exec->KillAll();
  }
  connections_.erase(id);
}

absl::Status Supervisor::Signal(const v1::SignalRequest& request) {
  if (request.signal() < 0 || request.signal() > SIGRTMAX)
    return absl::InvalidArgumentError(absl::StrCat("signal ", request.signal()));
  if (request.all() && request.signal() != SIGKILL)
    return absl::InvalidArgumentError("only SIGKILL can be sent to all processes");
  if (!request.exec_id().empty()) return SignalExec(request);
  ASSIGN_OR_RETURN(Container * container, Find(request.container_id()));
  WHERRY_FAIL_POINT("shim.signal");
  return request.all() ? container->KillAll() : container->Signal(request.signal());
}

absl::Status Supervisor::SignalExec(const v1::SignalRequest& request) {
  auto it = execs_.find(request.exec_id());
  if (it == execs_.end()) return absl::NotFoundError(absl::StrCat("exec \"", request.exec_id(), "\""));
  return request.all() ? it->second->KillAll() : it->second->Signal(request.signal());
}

absl::Status Supervisor::Forget(const std::string& container_id) {
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  WHERRY_FAIL_POINT("shim.forget");
  if (container->state() != Container::State::kEnded)
    return absl::FailedPreconditionError(absl::StrCat("container \"", container_id, "\" has not ended"));
  containers_.erase(container_id);
  return absl::OkStatus();
}

void Supervisor::State(v1::StateReply* reply) const {
  if (pod_.has_value()) reply->set_pod_id(options_.pod_id);
  for (const auto& [id, container] : containers_) *reply->add_containers() = container->Describe();
}

void Supervisor::Shutdown() {
  WHERRY_CRASH_POINT("shim.shutdown");
  if (!ending_) poller_.SetTimer(this, kShutdownMs);
  ending_ = true;
  for (auto& [id, exec] : execs_) (void)exec->Signal(SIGKILL);
  for (auto& [id, container] : containers_) (void)container->KillAll();
  WHERRY_CRASH_POINT("shim.killed");
  if (pod_.has_value() && pod_->init.pid > 0)
    (void)::syscall(SYS_pidfd_send_signal, pod_->init.pidfd.get(), SIGKILL, nullptr, 0);
}

void Supervisor::OnHostShutdown() {
  host_goes_down_ = true;
  EndWithTheHost();
}

// Containers have as long to end as the host gives them.
void Supervisor::EndWithTheHost() {
  const bool one_runs = std::any_of(containers_.begin(), containers_.end(), [](const auto& entry) {
    return entry.second->state() != Container::State::kEnded;
  });
  if (host_goes_down_ && !one_runs) Shutdown();
}

void Supervisor::Answer(Asker asker, v1::Message reply, std::vector<sys::UniqueFd> fds) {
  auto it = connections_.find(asker.connection);
  if (it == connections_.end()) return;
  reply.set_reply_to(asker.request);
  it->second->Send(reply, std::move(fds));
}

}  // namespace wherry::shim

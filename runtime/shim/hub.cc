// The hub's thread only moves bytes and wakes callers. It knows links by a serial number, which epoll carries (the lowest
// bit tells the socket from the pidfd), so an event that was fetched before its link was removed finds nothing.
//
//   Spawn / Connect ──▶ link ── EOF, or the process ends ──▶ lost (told once) ──▶ removed
//                         └──── End ──▶ removed
// A shim's socket breaks a little before its process has ended, so the pidfd of a removed link is kept until then: the
// hub reaps what it spawned.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <thread>

#include "runtime/shim/client.h"
#include "runtime/shim/link.h"
#include "runtime/shim/process_id.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/spawn.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr uint32_t kMinVersion = 1;
constexpr uint32_t kMaxVersion = 3;
constexpr absl::Duration kHelloTimeout = absl::Seconds(10);
constexpr absl::Duration kShutdownTimeout = absl::Seconds(12);  // the shim itself gives up after 10
constexpr absl::Duration kKillTimeout = absl::Seconds(10);

v1::Request HelloRequest() {
  v1::Request request;
  request.mutable_hello()->set_min_version(kMinVersion);
  request.mutable_hello()->set_max_version(kMaxVersion);
  return request;
}

class HubImpl : public Hub {
 public:
  HubImpl(const Options& options, Spawner spawner, Events events)
      : shm_in_namespace_(options.shm_in_namespace), spawner_(std::move(spawner)), events_(std::move(events)) {}
  ~HubImpl() override;

  absl::Status Start();
  absl::StatusOr<Process> Spawn(const std::string& pod_id, const std::string& socket_path) override;
  absl::Status Connect(const std::string& pod_id, const std::string& socket_path, const Process& process) override;
  absl::StatusOr<Reply> Call(const std::string& pod_id, v1::Request request, absl::Duration timeout,
                             std::vector<sys::UniqueFd> fds) override;
  absl::Status End(const std::string& pod_id, const Process& process) override;

 private:
  absl::StatusOr<std::shared_ptr<Link>> AddLink(const std::string& pod_id, sys::UniqueFd socket, sys::UniqueFd pidfd);
  // True for the one caller that took it out.
  bool RemoveLink(const std::shared_ptr<Link>& link);
  std::shared_ptr<Link> Find(const std::string& pod_id);
  std::shared_ptr<Link> FindByKey(uint64_t key);
  absl::Status AddToEpoll(int fd, uint64_t data);
  void Loop();
  void OnEvent(uint64_t data, uint32_t events);
  void Lost(const std::shared_ptr<Link>& link);
  void ReapUnlinked(uint64_t key);

  const bool shm_in_namespace_;
  const Spawner spawner_;
  const Events events_;
  sys::UniqueFd epoll_;
  sys::UniqueFd stop_;
  std::thread thread_;

  absl::Mutex mutex_;
  uint64_t last_key_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::shared_ptr<Link>> by_pod_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::shared_ptr<Link>> by_key_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::shared_ptr<const sys::UniqueFd>> unreaped_ ABSL_GUARDED_BY(mutex_);
};

absl::Status HubImpl::Start() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return sys::Errno("epoll_create1");
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!stop_.valid()) return sys::Errno("eventfd");
  RETURN_IF_ERROR(AddToEpoll(stop_.get(), 0));
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

HubImpl::~HubImpl() {
  if (thread_.joinable()) {
    (void)::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  for (auto& [pod_id, link] : by_pod_) link->Fail();
}

absl::Status HubImpl::AddToEpoll(int fd, uint64_t data) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = data;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return sys::Errno("epoll_ctl add");
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Link>> HubImpl::AddLink(const std::string& pod_id, sys::UniqueFd socket,
                                                       sys::UniqueFd pidfd) {
  std::shared_ptr<Link> link;
  {
    absl::MutexLock lock(&mutex_);
    if (by_pod_.count(pod_id) != 0) return absl::AlreadyExistsError(absl::StrCat("a shim of pod \"", pod_id, "\""));
    const uint64_t key = last_key_ += 2;
    link = std::make_shared<Link>(pod_id, std::move(socket), std::move(pidfd), epoll_.get(), key);
    by_pod_[pod_id] = link;
    by_key_[key] = link;
  }
  absl::Status status = AddToEpoll(link->socket(), link->key());
  if (status.ok()) status = AddToEpoll(link->pidfd(), link->key() | 1);
  if (status.ok()) return link;
  (void)RemoveLink(link);
  return status;
}

bool HubImpl::RemoveLink(const std::shared_ptr<Link>& link) {
  {
    absl::MutexLock lock(&mutex_);
    if (by_key_.erase(link->key()) == 0) return false;
    by_pod_.erase(link->pod_id());
    unreaped_[link->key()] = link->shared_pidfd();
  }
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, link->socket(), nullptr);
  link->Fail();
  return true;
}

std::shared_ptr<Link> HubImpl::Find(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  auto it = by_pod_.find(pod_id);
  return it == by_pod_.end() ? nullptr : it->second;
}

std::shared_ptr<Link> HubImpl::FindByKey(uint64_t key) {
  absl::MutexLock lock(&mutex_);
  auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : it->second;
}

absl::StatusOr<Process> HubImpl::Spawn(const std::string& pod_id, const std::string& socket_path) {
  if (Find(pod_id) != nullptr) return absl::AlreadyExistsError(absl::StrCat("a shim of pod \"", pod_id, "\""));
  WHERRY_FAIL_POINT("hub.listen");
  ASSIGN_OR_RETURN(sys::UniqueFd listener, ListenAt(socket_path));
  WHERRY_FAIL_POINT("hub.spawn");
  ASSIGN_OR_RETURN(Spawner::Child child,
                   spawner_.Start(shm_in_namespace_ ? "--shm-in-namespace" : "", pod_id, listener));
  listener.reset();
  // From here on a failure must not leave a shim behind that nobody knows.
  const int pidfd = child.pidfd.get();
  auto connect = [&]() -> absl::StatusOr<Process> {
    WHERRY_FAIL_POINT("hub.spawned");
    Process process{child.pid, 0};
    ASSIGN_OR_RETURN(process.start_time, StartTime(child.pid));
    ASSIGN_OR_RETURN(sys::UniqueFd socket, ConnectTo(socket_path));
    sys::UniqueFd copy(::fcntl(pidfd, F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return sys::Errno("fcntl F_DUPFD_CLOEXEC");
    ASSIGN_OR_RETURN(auto link, AddLink(pod_id, std::move(socket), std::move(copy)));
    WHERRY_FAIL_POINT("hub.connected");
    // It speaks our version, being our copy of the program; its answer is not worth waiting for.
    RETURN_IF_ERROR(link->Post(HelloRequest()));
    return process;
  };
  auto process = connect();
  if (!process.ok()) {
    (void)::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    (void)WaitForEnd(pidfd, kKillTimeout);
    ReapByPidfd(pidfd);
  }
  return process;
}

absl::Status HubImpl::Connect(const std::string& pod_id, const std::string& socket_path, const Process& process) {
  ASSIGN_OR_RETURN(sys::UniqueFd pidfd, OpenProcess(process));
  ASSIGN_OR_RETURN(sys::UniqueFd socket, ConnectTo(socket_path));
  ASSIGN_OR_RETURN(auto link, AddLink(pod_id, std::move(socket), std::move(pidfd)));
  auto reply = link->Call(HelloRequest(), kHelloTimeout, {});
  absl::Status status = reply.status();
  if (status.ok() && reply->message.hello().pid() != process.pid)
    status = absl::NotFoundError(
        absl::StrCat("process ", reply->message.hello().pid(), " listens at \"", socket_path, "\", not ", process.pid));
  if (!status.ok()) {
    link->ExpectEnd();
    (void)RemoveLink(link);
  }
  return status;
}

absl::StatusOr<Reply> HubImpl::Call(const std::string& pod_id, v1::Request request, absl::Duration timeout,
                                    std::vector<sys::UniqueFd> fds) {
  WHERRY_FAIL_POINT("hub.call");
  std::shared_ptr<Link> link = Find(pod_id);
  if (link == nullptr) return absl::UnavailableError(absl::StrCat("no shim of pod \"", pod_id, "\""));
  auto reply = link->Call(std::move(request), timeout, std::move(fds));
  WHERRY_CRASH_POINT("hub.answered");
  return reply;
}

absl::Status HubImpl::End(const std::string& pod_id, const Process& process) {
  WHERRY_FAIL_POINT("hub.end");
  std::shared_ptr<Link> link = Find(pod_id);
  sys::UniqueFd opened;
  int pidfd = -1;
  if (link != nullptr) {
    link->ExpectEnd();
    v1::Request request;
    request.mutable_shutdown();
    (void)link->Post(std::move(request));
    pidfd = link->pidfd();
  } else {
    auto found = OpenProcess(process);
    if (absl::IsNotFound(found.status())) return absl::OkStatus();
    if (!found.ok()) return found.status();
    opened = std::move(*found);
    pidfd = opened.get();
  }
  WHERRY_CRASH_POINT("hub.shutdown_sent");
  bool ended = link != nullptr && WaitForEnd(pidfd, kShutdownTimeout);
  if (!ended) {
    (void)::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    ended = WaitForEnd(pidfd, kKillTimeout);
  }
  WHERRY_CRASH_POINT("hub.ended");
  ReapByPidfd(pidfd);
  if (link != nullptr) (void)RemoveLink(link);
  if (!ended) return absl::DeadlineExceededError(absl::StrCat("shim ", process.pid, " does not die"));
  return absl::OkStatus();
}

void HubImpl::Loop() {
  while (true) {
    epoll_event events[64];
    const int n = ::epoll_wait(epoll_.get(), events, 64, -1);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.u64 == 0) return;
      OnEvent(events[i].data.u64, events[i].events);
    }
  }
}

void HubImpl::OnEvent(uint64_t data, uint32_t events) {
  std::shared_ptr<Link> link = FindByKey(data & ~1ULL);
  if ((data & 1) != 0) {
    if (link != nullptr) {
      (void)link->OnReadable(events_);  // what it said before it died
      Lost(link);
    }
    ReapUnlinked(data & ~1ULL);
    return;
  }
  if (link == nullptr) return;
  if ((events & EPOLLOUT) != 0) link->OnWritable();
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0 && !link->OnReadable(events_)) Lost(link);
}

void HubImpl::ReapUnlinked(uint64_t key) {
  std::shared_ptr<const sys::UniqueFd> pidfd;
  {
    absl::MutexLock lock(&mutex_);
    auto it = unreaped_.find(key);
    if (it == unreaped_.end()) return;
    pidfd = std::move(it->second);
    unreaped_.erase(it);
  }
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, pidfd->get(), nullptr);
  ReapByPidfd(pidfd->get());
}

void HubImpl::Lost(const std::shared_ptr<Link>& link) {
  if (RemoveLink(link) && !link->ending() && events_.lost) events_.lost(link->pod_id());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Hub>> Hub::Create(const Options& options, Events events) {
  ASSIGN_OR_RETURN(Spawner spawner, Spawner::Create(options.shim_program, options.shim_cgroup));
  auto hub = std::make_unique<HubImpl>(options, std::move(spawner), std::move(events));
  RETURN_IF_ERROR(hub->Start());
  return std::unique_ptr<Hub>(std::move(hub));
}

}  // namespace wherry::shim

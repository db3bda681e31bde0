// Writes never block: what the socket does not take is queued (16 MiB at most) and sent by the hub's thread. So the lock
// is held over non-blocking system calls only.
#include "runtime/shim/link.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {
constexpr size_t kMaxQueued = 16 << 20;
}

Link::Link(std::string pod_id, sys::UniqueFd socket, sys::UniqueFd pidfd, int epoll, uint64_t key)
    : pod_id_(std::move(pod_id)),
      socket_(std::move(socket)),
      pidfd_(std::make_shared<const sys::UniqueFd>(std::move(pidfd))),
      epoll_(epoll),
      key_(key),
      writer_(kMaxQueued) {}

void Link::Flush() {
  if (!writer_.Flush(socket_.get()).ok()) {
    (void)::shutdown(socket_.get(), SHUT_RDWR);  // the hub's thread sees the end and fails the calls
    return;
  }
  if (wants_out_ == !writer_.empty()) return;
  wants_out_ = !writer_.empty();
  epoll_event event{};
  event.events = wants_out_ ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = key_;
  (void)::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_.get(), &event);
}

absl::Status Link::Send(v1::Request& request, std::vector<sys::UniqueFd> fds, std::shared_ptr<Pending> pending) {
  absl::MutexLock lock(&mutex_);
  if (failed_) return absl::UnavailableError("the shim is gone");
  request.set_id(++last_id_);
  RETURN_IF_ERROR(writer_.Push(request, std::move(fds)));
  if (pending != nullptr) pending_[request.id()] = std::move(pending);
  Flush();
  return absl::OkStatus();
}

absl::Status Link::Post(v1::Request request) { return Send(request, {}, nullptr); }

absl::StatusOr<Reply> Link::Call(v1::Request request, absl::Duration timeout, std::vector<sys::UniqueFd> fds) {
  auto pending = std::make_shared<Pending>();
  RETURN_IF_ERROR(Send(request, std::move(fds), pending));
  if (!pending->done.WaitFor(timeout)) {
    absl::MutexLock lock(&mutex_);
    // Whoever takes the entry out notifies: if it is gone, the reply has just come.
    if (pending_.erase(request.id()) != 0) return absl::DeadlineExceededError("the shim has not answered in time");
  }
  pending->done.Wait();
  return std::move(pending->result);
}

bool Link::OnReadable(const Events& events) {
  while (true) {
    FrameReader::Frame frame;
    auto result = reader_.Read(socket_.get(), frame);
    if (!result.ok() || *result == FrameReader::Result::kEof) return false;
    if (*result == FrameReader::Result::kAgain) return true;
    if (!Dispatch(std::move(frame), events)) return false;
  }
}

bool Link::Dispatch(FrameReader::Frame frame, const Events& events) {
  Reply reply;
  if (!reply.message.ParseFromString(frame.body)) return false;
  reply.fds = std::move(frame.fds);
  const v1::Message& message = reply.message;
  if (message.reply_to() == 0) {
    if (message.has_container_exited() && events.container_exited)
      events.container_exited(pod_id_, message.container_exited());
    if (message.has_exec_exited() && events.exec_exited) events.exec_exited(pod_id_, message.exec_exited());
    return true;
  }
  std::shared_ptr<Pending> pending;
  {
    absl::MutexLock lock(&mutex_);
    auto it = pending_.find(message.reply_to());
    if (it == pending_.end()) return true;
    pending = std::move(it->second);
    pending_.erase(it);
  }
  if (message.has_error()) {
    const auto code = static_cast<absl::StatusCode>(message.error().code());
    pending->result =
        absl::Status(code == absl::StatusCode::kOk ? absl::StatusCode::kUnknown : code, message.error().message());
  } else {
    pending->result = std::move(reply);
  }
  pending->done.Notify();
  return true;
}

void Link::OnWritable() {
  absl::MutexLock lock(&mutex_);
  Flush();
}

void Link::Fail() {
  std::map<uint64_t, std::shared_ptr<Pending>> pending;
  {
    absl::MutexLock lock(&mutex_);
    failed_ = true;
    pending.swap(pending_);
  }
  for (auto& [id, p] : pending) p->done.Notify();
}

}  // namespace wherry::shim

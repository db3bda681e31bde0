#include "cri/network/ended_links.h"

#include <cerrno>

#include "absl/time/time.h"
#include "cni/netlink/batch.h"
#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "runtime/sys/status.h"
#include "spdlog/spdlog.h"

namespace wherry::network {
namespace {

// Longer than the kernel needs on a busy machine; many pods' interfaces are then deleted by one message.
constexpr absl::Duration kGrace = absl::Seconds(2);

absl::Status DeleteMarked() {
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open());
  netlink::Batch batch;
  netlink::PutDeleteLinkGroup(batch, netlink::kEndingGroup);
  absl::Status status = socket.Exchange(batch);
  return sys::IsErrno(status, ENODEV) ? absl::OkStatus() : status;
}

}  // namespace

EndedLinks::EndedLinks() : thread_([this] { Run(); }) {}

EndedLinks::~EndedLinks() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void EndedLinks::Expect() {
  absl::MutexLock lock(&mutex_);
  due_ = true;
}

void EndedLinks::Run() {
  const auto wanted = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return due_ || stopping_; };
  const auto stopping = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_; };
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(&wanted));
    if (changed_.WaitUntil(mutex_, sys::Deadline(kGrace), stopping)) return;
    due_ = false;
    mutex_.Unlock();
    absl::Status status = DeleteMarked();
    if (!status.ok()) spdlog::warn("interfaces of stopped pods: {}", std::string(status.message()));
    mutex_.Lock();
  }
}

}  // namespace wherry::network

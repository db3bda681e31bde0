#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "runtime/shim/client.h"
#include "runtime/shim/frame.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/unique_fd.h"

// One connection of the hub: requests go out from any thread, replies and events come in on the hub's thread.
namespace wherry::shim {

class Link {
 public:
  // `epoll` is where the socket is registered with `key` (the link arms EPOLLOUT there when the shim does not keep up).
  Link(std::string pod_id, sys::UniqueFd socket, sys::UniqueFd pidfd, int epoll, uint64_t key);

  const std::string& pod_id() const { return pod_id_; }
  int socket() const { return socket_.get(); }
  int pidfd() const { return pidfd_->get(); }
  std::shared_ptr<const sys::UniqueFd> shared_pidfd() const { return pidfd_; }
  uint64_t key() const { return key_; }

  absl::StatusOr<Reply> Call(v1::Request request, absl::Duration timeout, std::vector<sys::UniqueFd> fds);
  // Sends without waiting; the reply is thrown away.
  absl::Status Post(v1::Request request);

  // On the hub's thread. Reads what is there; false when the connection is over.
  bool OnReadable(const Events& events);
  void OnWritable();
  // Ends every call under way with Unavailable, and refuses later ones.
  void Fail();

  // End() is under way: the loss is wanted, and nobody needs to be told.
  void ExpectEnd() { ending_ = true; }
  bool ending() const { return ending_; }

 private:
  struct Pending {
    sys::Event done;
    absl::StatusOr<Reply> result = absl::UnavailableError("the shim is gone");
  };
  absl::Status Send(v1::Request& request, std::vector<sys::UniqueFd> fds, std::shared_ptr<Pending> pending);
  void Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Dispatch(FrameReader::Frame frame, const Events& events);

  const std::string pod_id_;
  const sys::UniqueFd socket_;
  const std::shared_ptr<const sys::UniqueFd> pidfd_;
  const int epoll_;
  const uint64_t key_;
  std::atomic<bool> ending_{false};
  FrameReader reader_;  // the hub's thread only

  absl::Mutex mutex_;
  FrameWriter writer_ ABSL_GUARDED_BY(mutex_);
  bool wants_out_ ABSL_GUARDED_BY(mutex_) = false;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::shared_ptr<Pending>> pending_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::shim

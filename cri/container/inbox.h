#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/shim/client.h"

// Where the shims' events wait for somebody to act on them. The hub calls on its only thread and must not be
// held up, and it exists before the services that act (they call the hub); so events are only put down here.
// Events that come before the services are there, or while recovery is under way, are kept in order.
namespace wherry::container {

class Inbox {
 public:
  // Receives the events in their order, on the hub's thread or, once, on the thread that calls Open().
  struct Receiver {
    virtual ~Receiver() = default;
    virtual void ContainerExited(const std::string& pod_id, const shim::v1::ContainerExited& event) = 0;
    virtual void ExecExited(const std::string& pod_id, const shim::v1::ExecExited& event) = 0;
    virtual void ShimLost(const std::string& pod_id) = 0;
  };

  // What to give to shim::Hub::Create. The inbox must outlive the hub.
  shim::Events events();

  // From now on events go to `receiver`, first those that have gathered. Close() ends that; afterwards they
  // gather again.
  void Open(Receiver* receiver);
  void Close();

 private:
  void Deliver(std::function<void(Receiver&)> event);

  absl::Mutex mutex_;
  Receiver* receiver_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::vector<std::function<void(Receiver&)>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::container

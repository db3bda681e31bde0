#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/shim/frame.h"
#include "runtime/shim/poller.h"
#include "runtime/sys/unique_fd.h"

// One client of the shim. Whatever it does, the shim goes on: a peer that is not root, talks nonsense, does not read or
// goes away only loses its connection.
namespace wherry::shim {

class Connection final : private Poller::Handler {
 public:
  class Server {
   public:
    // False: drop the connection.
    virtual bool OnRequest(Connection& connection, v1::Request& request, std::vector<sys::UniqueFd> fds) = 0;
    // Deletes the connection.
    virtual void OnClosed(uint64_t id) = 0;

   protected:
    ~Server() = default;
  };

  // PermissionDenied unless the peer is uid 0 (SO_PEERCRED).
  static absl::StatusOr<std::unique_ptr<Connection>> Adopt(Poller& poller, Server& server, sys::UniqueFd socket,
                                                           uint64_t id);
  ~Connection();

  uint64_t id() const { return id_; }
  // Queues and sends. When the peer is gone or does not read, the connection closes itself soon.
  void Send(const v1::Message& message, std::vector<sys::UniqueFd> fds = {});

  bool greeted = false;  // has said Hello

 private:
  Connection(Poller& poller, Server& server, sys::UniqueFd socket, uint64_t id)
      : poller_(poller), server_(server), socket_(std::move(socket)), id_(id), writer_(kMaxQueued) {}
  static constexpr size_t kMaxQueued = 1 << 20;
  void OnReady(uint32_t events) override;
  bool ReadOne();
  bool Flush();

  Poller& poller_;
  Server& server_;
  sys::UniqueFd socket_;
  uint64_t id_;
  FrameReader reader_;
  FrameWriter writer_;
  bool wants_out_ = false;
};

}  // namespace wherry::shim

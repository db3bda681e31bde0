#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "cri/streaming/fd_io.h"
#include "cri/streaming/spdy_link.h"

namespace wherry::streaming {

// The client's side of a port-forward: connected sockets of its own, each joined with a connection into the pod. On the io_context's
// thread.
class ForwardCaller final : public SpdyLink::Owner, public std::enable_shared_from_this<ForwardCaller> {
 public:
  struct Events {
    std::function<void(const std::string&)> on_error;  // of one connection; the others go on
    std::function<void()> on_gone;                     // the server has ended the session
  };
  ForwardCaller(asio::io_context& io, std::shared_ptr<SpdyLink> link, Events events)
      : io_(io), link_(std::move(link)), events_(std::move(events)) {}

  void Start() { link_->Start(shared_from_this()); }
  // A stream socket, non-blocking, and a duplicate of it: one for each direction, so that each ends on its own. Both are closed
  // when both directions have ended.
  void Join(sys::UniqueFd socket, sys::UniqueFd duplicate, uint16_t port);
  void Stop();

 private:
  struct Pair {
    uint32_t error = 0;
    std::unique_ptr<FdSource> source{};
    std::unique_ptr<FdSink> sink{};
    bool local_ended = false, pod_ended = false;
  };
  void OnLocalEnd(uint32_t id);
  void Drop(uint32_t id);
  void EndIfOver(uint32_t id);

  void OnStream(uint32_t id, const spdy::Headers& headers) override;
  void OnData(uint32_t id, absl::string_view data) override;
  void OnEnd(uint32_t id) override;
  void OnReset(uint32_t id) override;
  void OnSent(uint32_t id) override;
  void OnGone() override;

  asio::io_context& io_;
  const std::shared_ptr<SpdyLink> link_;
  Events events_;
  std::map<uint32_t, Pair> pairs_;            // by the data stream's id
  std::map<uint32_t, std::string> errors_{};  // what came on error streams that have not ended
  uint64_t requests_ = 0;
};

}  // namespace wherry::streaming

#pragma once

#include <map>
#include <memory>
#include <string>

#include "cri/streaming/context.h"
#include "cri/streaming/fd_io.h"

namespace wherry::streaming {

// The client of a port-forward, over whichever protocol. A pair is a data and an error stream, for one connection.
class ForwardClient {
 public:
  virtual ~ForwardClient() = default;
  virtual bool TakesPipes() const { return false; }   // whether chunks may lie in pipes
  virtual void Send(uint32_t pair, Chunk chunk) = 0;  // PortForward::OnSent() follows
  // The pod's program will send no more. Both streams are finished: a client takes the end of the error stream as "no error".
  virtual void End(uint32_t pair) = 0;
  virtual void Fail(uint32_t pair, const std::string& text) = 0;  // tells why on the error stream and resets the pair
  virtual void Consumed(uint32_t pair, size_t bytes) = 0;
  virtual void Forget(uint32_t pair) = 0;  // both directions have ended
  virtual void Close() = 0;
};

// Connections into a pod, each on its own: a refused or reset one leaves the others and the session as they are.
class PortForward final : public std::enable_shared_from_this<PortForward>, public Stoppable {
 public:
  PortForward(Context& context, std::string pod, std::unique_ptr<ForwardClient> client);

  void Open(uint32_t pair, uint16_t port);
  // `data` must stay where it is until OnBatch().
  void OnData(uint32_t pair, absl::string_view data);
  void OnBatch();
  void OnEnd(uint32_t pair);
  void OnReset(uint32_t pair);
  void OnSent(uint32_t pair);
  void OnGone();
  void Stop() override;

 private:
  struct Connection {
    uint16_t port = 0;
    std::unique_ptr<FdSource> source{};
    std::unique_ptr<FdSink> sink{};
    bool client_ended = false, pod_ended = false;
  };

  void OnConnected(uint32_t pair, absl::StatusOr<sys::UniqueFd> socket);
  void OnPodEnd(uint32_t pair, const absl::Status& status);
  void OnWritten(uint32_t pair, size_t bytes);
  void Fail(uint32_t pair, const absl::Status& why);
  void Done(uint32_t pair);
  void Erase(uint32_t pair);

  Context& context_;
  const std::string pod_;
  std::unique_ptr<ForwardClient> client_;  // null when the session is over
  std::map<uint32_t, Connection> connections_;
  std::vector<uint32_t> batch_;  // pairs that got data since the last OnBatch()
};

}  // namespace wherry::streaming

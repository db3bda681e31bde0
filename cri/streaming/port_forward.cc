#include "cri/streaming/port_forward.h"

#include <fcntl.h>

#include <boost/asio/post.hpp>

#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::streaming {

PortForward::PortForward(Context& context, std::string pod, std::unique_ptr<ForwardClient> client)
    : context_(context), pod_(std::move(pod)), client_(std::move(client)) {}

void PortForward::Open(uint32_t pair, uint16_t port) {
  Connection& connection = connections_[pair];
  connection.port = port;
  connection.sink =
      std::make_unique<FdSink>(context_.io, FdSink::Events{[this, pair](size_t bytes) { OnWritten(pair, bytes); }});
  context_.calls.Run([self = shared_from_this(), pair, port] {
    auto socket = self->context_.backend.Connect(self->pod_, port);
    boost::asio::post(self->context_.io, [self, pair, socket = std::move(socket)]() mutable {
      self->OnConnected(pair, std::move(socket));
    });
  });
}

void PortForward::OnConnected(uint32_t pair, absl::StatusOr<sys::UniqueFd> socket) {
  auto found = connections_.find(pair);
  if (client_ == nullptr || found == connections_.end()) return;
  if (!socket.ok()) return Fail(pair, socket.status());
  // One for each direction, so that they end on their own.
  sys::UniqueFd other(::fcntl(socket->get(), F_DUPFD_CLOEXEC, 0));
  if (!other.valid()) return Fail(pair, sys::Errno("fcntl F_DUPFD_CLOEXEC"));
  found->second.source =
      std::make_unique<FdSource>(context_.io, *std::move(socket),
                                 FdSource::Events{[this, pair](Chunk chunk) {
                                                    if (client_ != nullptr) client_->Send(pair, std::move(chunk));
                                                  },
                                                  [this, pair](const absl::Status& status) { OnPodEnd(pair, status); }},
                                 client_->TakesPipes());
  FdSink& sink = *found->second.sink;
  const bool client_ended = found->second.client_ended;
  sink.Open(std::move(other));
  if (client_ended) OnEnd(pair);
}

void PortForward::OnPodEnd(uint32_t pair, const absl::Status& status) {
  auto found = connections_.find(pair);
  if (client_ == nullptr || found == connections_.end()) return;
  if (!status.ok()) return Fail(pair, status);
  found->second.pod_ended = true;
  client_->End(pair);
  if (found->second.client_ended) Done(pair);
}

void PortForward::OnWritten(uint32_t pair, size_t bytes) {
  if (client_ != nullptr) client_->Consumed(pair, bytes);
}

void PortForward::OnData(uint32_t pair, absl::string_view data) {
  auto found = connections_.find(pair);
  if (found == connections_.end()) {
    if (client_ != nullptr) client_->Consumed(pair, data.size());
    return;
  }
  found->second.sink->WriteLater(data);
  if (batch_.empty() || batch_.back() != pair) batch_.push_back(pair);
}

void PortForward::OnBatch() {
  for (uint32_t pair : std::exchange(batch_, {}))
    if (auto found = connections_.find(pair); found != connections_.end()) found->second.sink->Flush();
}

void PortForward::OnEnd(uint32_t pair) {
  auto found = connections_.find(pair);
  if (found == connections_.end()) return;
  found->second.client_ended = true;
  found->second.sink->Close();
  if (found->second.pod_ended) Done(pair);
}

void PortForward::OnReset(uint32_t pair) { Erase(pair); }

void PortForward::OnSent(uint32_t pair) {
  auto found = connections_.find(pair);
  if (found != connections_.end() && found->second.source != nullptr && !found->second.pod_ended)
    found->second.source->Next();
}

void PortForward::Fail(uint32_t pair, const absl::Status& why) {
  const uint16_t port = connections_[pair].port;
  Erase(pair);
  client_->Fail(pair, absl::StrCat("error forwarding port ", port, " to pod ", pod_, ": ", why.message()));
}

void PortForward::Done(uint32_t pair) {
  Erase(pair);
  if (client_ != nullptr) client_->Forget(pair);
}

void PortForward::Erase(uint32_t pair) {
  auto found = connections_.find(pair);
  if (found == connections_.end()) return;
  // We may have been called by one of its ends.
  boost::asio::post(context_.io, [self = shared_from_this(), connection = std::move(found->second)] {});
  connections_.erase(found);
}

void PortForward::OnGone() {
  if (client_ == nullptr) return;
  boost::asio::post(context_.io,
                    [self = shared_from_this(), client = std::move(client_), connections = std::move(connections_)] {});
  client_ = nullptr;
  connections_.clear();
}

void PortForward::Stop() {
  if (client_ == nullptr) return;
  while (!connections_.empty()) Fail(connections_.begin()->first, absl::UnavailableError("wherryd stops"));
  client_->Close();
  OnGone();
}

}  // namespace wherry::streaming

#include "cri/streaming/ws_sessions.h"

#include "absl/strings/match.h"
#include "cri/streaming/port_forward.h"
#include "cri/streaming/remote_command.h"
#include "cri/streaming/ws_channels.h"

// Exec, attach and port-forward over a WebSocket's channels.
//   remote command   0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize
//   port-forward     2i data and 2i+1 error of the i-th port of the request; the first bytes on each are the port's number
// Both sides learn that the session stands by a first message from us.
namespace wherry::streaming {
namespace {

WsChannels::Format FormatOf(const std::string& protocol, int channels) {
  return {absl::StrContains(protocol, "base64."), absl::StartsWith(protocol, "v5."), channels};
}

class RemoteChannels final : public RemoteClient {
 public:
  RemoteChannels(std::shared_ptr<WsChannels> channels, bool object) : channels_(std::move(channels)), object_(object) {}
  void Send(Lane lane, Chunk chunk) override { channels_->Send(static_cast<int>(lane), std::move(chunk)); }
  void End(Lane) override {}  // a server has no way to say so but to close
  void Consumed(Lane, size_t bytes) override { channels_->Consumed(bytes); }
  bool VerdictIsObject() const override { return object_; }
  void Close() override { channels_->Close(); }

 private:
  const std::shared_ptr<WsChannels> channels_;
  const bool object_;
};

class RemoteOwner final : public WsChannels::Owner {
 public:
  explicit RemoteOwner(std::shared_ptr<RemoteCommand> command) : command_(std::move(command)) {}
  void OnData(int channel, absl::string_view data) override { command_->OnData(static_cast<Lane>(channel), data); }
  void OnEnd(int channel) override { command_->OnEnd(static_cast<Lane>(channel)); }
  void OnSent(int channel) override { command_->OnSent(static_cast<Lane>(channel)); }
  void OnGone() override { command_->OnGone(); }

 private:
  const std::shared_ptr<RemoteCommand> command_;
};

class ForwardChannels final : public ForwardClient {
 public:
  ForwardChannels(std::shared_ptr<WsChannels> channels, size_t pairs) : channels_(std::move(channels)), open_(pairs) {}
  void Send(uint32_t pair, Chunk chunk) override { channels_->Send(static_cast<int>(2 * pair), std::move(chunk)); }
  void End(uint32_t) override { CloseAfterLast(); }
  void Fail(uint32_t pair, const std::string& text) override {
    channels_->Send(static_cast<int>(2 * pair + 1), Chunk::Copy(text));
    CloseAfterLast();
  }
  void Consumed(uint32_t, size_t bytes) override { channels_->Consumed(bytes); }
  void Forget(uint32_t) override {}
  void Close() override { channels_->Close(); }

 private:
  // A pair cannot be opened again, so a session without one is over.
  void CloseAfterLast() {
    if (--open_ == 0) channels_->Close();
  }
  const std::shared_ptr<WsChannels> channels_;
  size_t open_;
};

class ForwardOwner final : public WsChannels::Owner {
 public:
  explicit ForwardOwner(std::shared_ptr<PortForward> forward, std::shared_ptr<WsChannels> channels)
      : forward_(std::move(forward)), channels_(std::move(channels)) {}
  void OnData(int channel, absl::string_view data) override {
    if (channel % 2 != 0) return channels_->Consumed(data.size());  // error streams are ours
    forward_->OnData(static_cast<uint32_t>(channel / 2), data);
    forward_->OnBatch();
  }
  void OnEnd(int) override {}
  void OnSent(int channel) override {
    if (channel % 2 == 0) forward_->OnSent(static_cast<uint32_t>(channel / 2));
  }
  void OnGone() override { forward_->OnGone(); }

 private:
  const std::shared_ptr<PortForward> forward_;
  const std::shared_ptr<WsChannels> channels_;
};

}  // namespace

std::shared_ptr<Stoppable> ServeWsRemote(Context& context, std::shared_ptr<WebSocket> socket, Request request,
                                         const std::string& protocol) {
  const Streams streams = request.streams;
  auto channels = std::make_shared<WsChannels>(context, std::move(socket), FormatOf(protocol, kLanes));
  const bool object = absl::StartsWith(protocol, "v4.") || absl::StartsWith(protocol, "v5.");
  auto command =
      std::make_shared<RemoteCommand>(context, std::move(request), std::make_unique<RemoteChannels>(channels, object));
  channels->Start(std::make_shared<RemoteOwner>(command));
  const Lane first = streams.out ? Lane::kStdout : streams.err ? Lane::kStderr : Lane::kError;
  channels->Send(static_cast<int>(first), {});
  command->Start();
  return command;
}

std::shared_ptr<Stoppable> ServeWsForward(Context& context, std::shared_ptr<WebSocket> socket, const Request& request,
                                          const std::string& protocol) {
  const size_t pairs = request.ports.size();
  auto channels =
      std::make_shared<WsChannels>(context, std::move(socket), FormatOf(protocol, static_cast<int>(2 * pairs)));
  auto forward = std::make_shared<PortForward>(context, request.id, std::make_unique<ForwardChannels>(channels, pairs));
  channels->Start(std::make_shared<ForwardOwner>(forward, channels));
  for (uint32_t pair = 0; pair < pairs; ++pair) {
    const uint16_t port = request.ports[pair];
    const char number[2] = {static_cast<char>(port & 0xff), static_cast<char>(port >> 8)};
    for (uint32_t channel : {2 * pair, 2 * pair + 1})
      channels->Send(static_cast<int>(channel), Chunk::Copy({number, 2}));
    forward->Open(pair, port);
  }
  return forward;
}

}  // namespace wherry::streaming

#include "cri/streaming/spdy_remote.h"

#include <array>
#include <boost/asio/steady_timer.hpp>

#include "cri/streaming/remote_command.h"
#include "cri/streaming/spdy_link.h"

// Remote command over SPDY: each stream says what it is by its header "streamtype". The process starts when all that were asked
// for are there: the error stream, stdin, stdout and stderr as requested, and with a terminal the resize stream from v3 on.
namespace wherry::streaming {
namespace {

constexpr std::pair<const char*, Lane> kNames[] = {{"error", Lane::kError},
                                                   {"stdin", Lane::kStdin},
                                                   {"stdout", Lane::kStdout},
                                                   {"stderr", Lane::kStderr},
                                                   {"resize", Lane::kResize}};

// Which stream is which, shared by both directions.
struct Ids {
  std::array<uint32_t, kLanes> of{};  // 0: none (yet)
  uint32_t& operator[](Lane lane) { return of[static_cast<size_t>(lane)]; }
};

class Client final : public RemoteClient {
 public:
  Client(std::shared_ptr<SpdyLink> link, std::shared_ptr<Ids> ids, int version)
      : link_(std::move(link)), ids_(std::move(ids)), version_(version) {}
  bool TakesPipes() const override { return link_->TakesPipes(); }
  void Send(Lane lane, Chunk chunk) override { link_->Send((*ids_)[lane], std::move(chunk)); }
  void End(Lane lane) override { link_->Finish((*ids_)[lane]); }
  void Consumed(Lane lane, size_t bytes) override { link_->Consumed((*ids_)[lane], bytes); }
  bool VerdictIsObject() const override { return version_ >= 4; }
  void Close() override {
    for (Lane lane : {Lane::kStdin, Lane::kResize}) link_->Finish((*ids_)[lane]);
    link_->Close();
  }

 private:
  const std::shared_ptr<SpdyLink> link_;
  const std::shared_ptr<Ids> ids_;
  const int version_;
};

class Owner final : public SpdyLink::Owner, public std::enable_shared_from_this<Owner> {
 public:
  Owner(Context& context, std::shared_ptr<SpdyLink> link, std::shared_ptr<Ids> ids,
        std::shared_ptr<RemoteCommand> command, int version)
      : link_(std::move(link)),
        ids_(std::move(ids)),
        command_(std::move(command)),
        version_(version),
        timer_(context.io) {
    timer_.expires_after(context.creation);
  }

  void Start() {
    timer_.async_wait([weak = weak_from_this()](error_code error) {
      auto self = weak.lock();
      if (!error && self != nullptr && !self->started_)
        self->command_->Fail(absl::DeadlineExceededError("timed out waiting for client to create streams"));
    });
    link_->Start(shared_from_this());
  }

  void OnStream(uint32_t id, const spdy::Headers& headers) override {
    for (const auto& [name, lane] : kNames) {
      if (spdy::Find(headers, "streamtype") != name || !Wanted(lane)) continue;
      if ((*ids_)[lane] != 0) return link_->Reset(id, spdy::Reset::kProtocolError);
      (*ids_)[lane] = id;
      link_->Reply(id);
      return StartIfComplete();
    }
    link_->Reset(id, spdy::Reset::kRefusedStream);
  }
  void OnData(uint32_t id, absl::string_view data) override { command_->OnData(LaneOf(id), data); }
  void OnEnd(uint32_t id) override { command_->OnEnd(LaneOf(id)); }
  void OnReset(uint32_t id) override { command_->OnReset(LaneOf(id)); }
  void OnSent(uint32_t id) override { command_->OnSent(LaneOf(id)); }
  void OnGone() override {
    timer_.cancel();
    command_->OnGone();
  }

 private:
  bool Wanted(Lane lane) const {
    const Streams& streams = command_->streams();
    switch (lane) {
      case Lane::kStdin:
        return streams.in;
      case Lane::kStdout:
        return streams.out;
      case Lane::kStderr:
        return streams.err;
      case Lane::kResize:
        return streams.tty && version_ >= 3;
      case Lane::kError:
        return true;
    }
    return false;
  }
  Lane LaneOf(uint32_t id) const {
    for (size_t i = 0; i < kLanes; ++i)
      if (ids_->of[i] == id) return static_cast<Lane>(i);
    return Lane::kError;
  }
  void StartIfComplete() {
    for (size_t i = 0; i < kLanes; ++i)
      if (ids_->of[i] == 0 && Wanted(static_cast<Lane>(i))) return;
    started_ = true;
    timer_.cancel();
    command_->Start();
  }

  const std::shared_ptr<SpdyLink> link_;
  const std::shared_ptr<Ids> ids_;
  const std::shared_ptr<RemoteCommand> command_;
  const int version_;
  asio::steady_timer timer_;
  bool started_ = false;
};

}  // namespace

std::shared_ptr<Stoppable> ServeSpdyRemote(Context& context, std::unique_ptr<Transport> transport, Request request,
                                           int version) {
  auto link = std::make_shared<SpdyLink>(context.io, context.idle, std::move(transport));
  auto ids = std::make_shared<Ids>();
  auto command =
      std::make_shared<RemoteCommand>(context, std::move(request), std::make_unique<Client>(link, ids, version));
  std::make_shared<Owner>(context, link, ids, command, version)->Start();
  return command;
}

}  // namespace wherry::streaming

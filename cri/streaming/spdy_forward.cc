#include "cri/streaming/spdy_forward.h"

#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cri/streaming/port_forward.h"
#include "cri/streaming/spdy_link.h"

// Port-forward over SPDY: for each connection the client opens an error and a data stream with the headers "port",
// "streamtype" and "requestid", which makes them a pair. Clients of long ago send no id: then the data stream is the one after
// its error stream.
namespace wherry::streaming {
namespace {

constexpr size_t kMaxRequestId = 128;

struct Pair {
  uint32_t error = 0, data = 0;
};
// By the id of the data stream, which is the pair's name from when both are there.
using Errors = std::map<uint32_t, uint32_t>;

class Client final : public ForwardClient {
 public:
  Client(std::shared_ptr<SpdyLink> link, std::shared_ptr<Errors> errors)
      : link_(std::move(link)), errors_(std::move(errors)) {}
  bool TakesPipes() const override { return link_->TakesPipes(); }
  void Send(uint32_t pair, Chunk chunk) override { link_->Send(pair, std::move(chunk)); }
  void End(uint32_t pair) override {
    link_->Finish(pair);
    link_->Finish(Error(pair));
  }
  void Fail(uint32_t pair, const std::string& text) override {
    // The text goes out before its stream's end; the data stream is of no more use.
    link_->Send(Error(pair), Chunk::Copy(text));
    link_->Finish(Error(pair));
    link_->Reset(pair, spdy::Reset::kInternalError);
    errors_->erase(pair);
  }
  void Consumed(uint32_t pair, size_t bytes) override { link_->Consumed(pair, bytes); }
  void Forget(uint32_t pair) override { errors_->erase(pair); }
  void Close() override { link_->Close(); }

 private:
  uint32_t Error(uint32_t pair) const {
    auto found = errors_->find(pair);
    return found == errors_->end() ? 0 : found->second;
  }
  const std::shared_ptr<SpdyLink> link_;
  const std::shared_ptr<Errors> errors_;
};

class Owner final : public SpdyLink::Owner, public std::enable_shared_from_this<Owner> {
 public:
  Owner(Context& context, std::shared_ptr<SpdyLink> link, std::shared_ptr<Errors> errors,
        std::shared_ptr<PortForward> forward)
      : context_(context), link_(std::move(link)), errors_(std::move(errors)), forward_(std::move(forward)) {}

  void OnStream(uint32_t id, const spdy::Headers& headers) override {
    uint32_t port = 0;
    const absl::string_view type = spdy::Find(headers, "streamtype");
    if (!absl::SimpleAtoi(spdy::Find(headers, "port"), &port) || port == 0 || port > UINT16_MAX ||
        (type != "error" && type != "data"))
      return link_->Reset(id, spdy::Reset::kProtocolError);
    std::string request(spdy::Find(headers, "requestid"));
    if (request.size() > kMaxRequestId) return link_->Reset(id, spdy::Reset::kProtocolError);
    if (request.empty()) request = absl::StrCat(type == "error" ? id : id - 2);
    Waiting& waiting = waiting_.try_emplace(request, Pair{}, context_.io).first->second;
    uint32_t& place = type == "error" ? waiting.pair.error : waiting.pair.data;
    if (place != 0) return link_->Reset(id, spdy::Reset::kProtocolError);
    place = id;
    link_->Reply(id);
    const Pair pair = waiting.pair;
    if (pair.error == 0 || pair.data == 0) return Expire(request, waiting.timer);
    waiting_.erase(request);
    (*errors_)[pair.data] = pair.error;
    forward_->Open(pair.data, static_cast<uint16_t>(port));
    auto early = early_.extract(pair.data);
    if (early.empty()) return;
    forward_->OnData(pair.data, early.mapped().bytes);
    forward_->OnBatch();
    if (early.mapped().ended) forward_->OnEnd(pair.data);
  }
  void OnData(uint32_t id, absl::string_view data) override {
    if (errors_->count(id) != 0) return forward_->OnData(id, data);
    if (IsWaitingData(id)) {
      absl::StrAppend(&early_[id].bytes, data);  // bounded by the session's window
    } else {
      link_->Consumed(id, data.size());
    }
  }
  void OnEnd(uint32_t id) override {
    if (errors_->count(id) != 0) return forward_->OnEnd(id);
    if (IsWaitingData(id)) early_[id].ended = true;
  }
  void OnReset(uint32_t id) override {
    forward_->OnReset(id);
    errors_->erase(id);
    early_.erase(id);
  }
  void OnSent(uint32_t id) override { forward_->OnSent(id); }
  void OnBatch() override { forward_->OnBatch(); }
  void OnGone() override {
    waiting_.clear();
    forward_->OnGone();
  }

 private:
  struct Early {
    std::string bytes{};
    bool ended = false;
  };
  struct Waiting {
    Waiting(Pair p, asio::io_context& io) : pair(p), timer(io) {}
    Pair pair;
    asio::steady_timer timer;
  };

  bool IsWaitingData(uint32_t id) const {
    for (const auto& [request, waiting] : waiting_)
      if (waiting.pair.data == id) return true;
    return false;
  }
  void Expire(const std::string& request, asio::steady_timer& timer) {
    timer.expires_after(context_.creation);
    timer.async_wait([weak = weak_from_this(), request](error_code error) {
      auto self = weak.lock();
      if (error || self == nullptr) return;
      auto found = self->waiting_.find(request);
      if (found == self->waiting_.end()) return;
      const Pair pair = found->second.pair;
      self->waiting_.erase(found);
      self->early_.erase(pair.data);
      self->link_->Send(pair.error, Chunk::Copy("timed out waiting for streams"));
      self->link_->Finish(pair.error);
      self->link_->Reset(pair.data, spdy::Reset::kCancel);
    });
  }

  Context& context_;
  const std::shared_ptr<SpdyLink> link_;
  const std::shared_ptr<Errors> errors_;
  const std::shared_ptr<PortForward> forward_;
  std::map<std::string, Waiting> waiting_;
  std::map<uint32_t, Early> early_;
};

}  // namespace

std::shared_ptr<Stoppable> ServeSpdyForward(Context& context, std::unique_ptr<Transport> transport, std::string pod) {
  auto link = std::make_shared<SpdyLink>(context.io, context.idle, std::move(transport));
  auto errors = std::make_shared<Errors>();
  auto forward = std::make_shared<PortForward>(context, std::move(pod), std::make_unique<Client>(link, errors));
  link->Start(std::make_shared<Owner>(context, link, errors, forward));
  return forward;
}

}  // namespace wherry::streaming

#include "cri/streaming/spdy_link.h"

#include <algorithm>
#include <boost/asio/post.hpp>

namespace wherry::streaming {
namespace {

using std::chrono::steady_clock;

constexpr size_t kReadBytes = 260 << 10;  // what a peer like us writes at once, with its headers
constexpr std::chrono::seconds kTick(1);
// How long a client may take to hang up after it got everything. What the kernel still holds for it is sent all the same, unless
// the client goes on to send.
constexpr std::chrono::seconds kLinger(30);

}  // namespace

SpdyLink::SpdyLink(asio::io_context& io, std::chrono::milliseconds idle, std::unique_ptr<Transport> transport,
                   spdy::Session::Role role)
    : io_(io),
      idle_(idle),
      transport_(std::move(transport)),
      session_(role, *this),
      read_buffer_(std::make_unique_for_overwrite<char[]>(kReadBytes)),
      timer_(io),
      last_byte_(steady_clock::now()) {}

void SpdyLink::Start(std::shared_ptr<Owner> owner) {
  owner_ = std::move(owner);
  Flush();
  Read();
  Tick();
}

uint32_t SpdyLink::Open(const spdy::Headers& headers) {
  const uint32_t id = session_.Open(headers);
  Flush();
  return id;
}

void SpdyLink::Reply(uint32_t id) {
  // HTTP's, which some clients look for and Kubernetes' do not mind.
  session_.Reply(id, {{":status", "200"}, {":version", "HTTP/1.1"}});
  Flush();
}

void SpdyLink::Send(uint32_t id, Chunk chunk) {
  session_.Send(id, std::move(chunk));
  Flush();
}

void SpdyLink::Finish(uint32_t id) {
  session_.Finish(id);
  Flush();
}

void SpdyLink::Reset(uint32_t id, spdy::Reset why) {
  session_.Reset(id, why);
  Flush();
}

void SpdyLink::Consumed(uint32_t id, size_t bytes) {
  session_.Consumed(id, bytes);
  Flush();
  Read();
}

void SpdyLink::Close() {
  if (owner_ != nullptr) asio::post(io_, [owner = std::move(owner_)] {});  // it may be what calls us
  owner_ = nullptr;
  if (closing_ || gone_) return;
  closing_ = true;
  session_.GoAway(spdy::GoAway::kOk);
  Flush();
  ShutdownIfDone();
  Read();
}

void SpdyLink::Read() {
  if (reading_ || gone_ || session_.unconsumed() > kMaxUnconsumed) return;
  reading_ = true;
  transport_->ReadSome(asio::buffer(read_buffer_.get(), kReadBytes),
                       [self = shared_from_this()](error_code error, size_t bytes) { self->OnRead(error, bytes); });
}

void SpdyLink::OnRead(error_code error, size_t bytes) {
  if (gone_) return;
  if (error) return Gone();
  last_byte_ = steady_clock::now();
  // `reading_` stays set meanwhile: consuming must not start a read into the buffer that is being looked at.
  const absl::Status status = session_.Receive({read_buffer_.get(), bytes});
  if (owner_ != nullptr) owner_->OnBatch();
  reading_ = false;
  if (!status.ok()) {
    const std::shared_ptr<Owner> owner = owner_;
    Close();  // with the GOAWAY that says why
    if (owner != nullptr) owner->OnGone();
    return;
  }
  Flush();
  Read();
}

void SpdyLink::Flush() {
  if (!writing_.empty() || gone_) return;
  writing_ = session_.Gather();
  if (!writing_.empty()) WriteRest();
}

void SpdyLink::WriteRest() {
  transport_->WritePieces(
      writing_, [self = shared_from_this()](error_code error, size_t bytes) { self->OnWritten(error, bytes); });
}

void SpdyLink::OnWritten(error_code error, size_t bytes) {
  if (gone_) return;
  if (error) return Gone();
  last_byte_ = steady_clock::now();
  auto first = writing_.begin();
  while (first != writing_.end() && bytes >= first->size) bytes -= (first++)->size;
  writing_.erase(writing_.begin(), first);
  if (!writing_.empty()) {
    if (writing_.front().data != nullptr) writing_.front().data += bytes;
    writing_.front().size -= bytes;
    return WriteRest();
  }
  session_.Sent();
  Flush();
  ShutdownIfDone();
}

void SpdyLink::ShutdownIfDone() {
  if (!closing_ || shut_down_ || gone_ || !writing_.empty() || session_.HasToSend()) return;
  shut_down_ = true;
  closed_at_ = steady_clock::now();
  transport_->ShutdownWrite();
}

void SpdyLink::Tick() {
  timer_.expires_after(kTick);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->gone_) return;
    const auto now = steady_clock::now();
    const bool silent = now - self->last_byte_ > self->idle_;
    const bool lingered = self->shut_down_ && now - self->closed_at_ > kLinger;
    // While nothing is read, this is how the end of the client is noticed.
    if (silent || lingered || (!self->reading_ && self->transport_->PeerHasClosed())) return self->Gone();
    self->Tick();
  });
}

void SpdyLink::Gone() {
  if (gone_) return;
  gone_ = true;
  timer_.cancel();
  transport_->Close();
  const std::shared_ptr<Owner> owner = std::move(owner_);
  if (owner != nullptr) owner->OnGone();
}

void SpdyLink::OnStream(uint32_t id, const spdy::Headers& headers) {
  if (owner_ == nullptr) return session_.Reset(id, spdy::Reset::kRefusedStream);
  owner_->OnStream(id, headers);
}

void SpdyLink::OnReply(uint32_t id, const spdy::Headers& headers) {
  if (owner_ != nullptr) owner_->OnReply(id, headers);
}

void SpdyLink::OnData(uint32_t id, absl::string_view data) {
  if (owner_ == nullptr) return session_.Consumed(id, data.size());
  owner_->OnData(id, data);
}

void SpdyLink::OnEnd(uint32_t id) {
  if (owner_ != nullptr) owner_->OnEnd(id);
}

void SpdyLink::OnReset(uint32_t id) {
  if (owner_ != nullptr) owner_->OnReset(id);
}

void SpdyLink::OnSent(uint32_t id) {
  if (owner_ != nullptr) owner_->OnSent(id);
}

}  // namespace wherry::streaming

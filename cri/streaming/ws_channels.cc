#include "cri/streaming/ws_channels.h"

#include <boost/asio/post.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace wherry::streaming {
namespace {

using std::chrono::steady_clock;

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxUnconsumed = 256 << 10;
constexpr size_t kMaxBase64 = 1 << 20;
constexpr int kEndSignal = 255;
constexpr std::chrono::seconds kTick(1), kLinger(30);

}  // namespace

WsChannels::WsChannels(Context& context, std::shared_ptr<WebSocket> socket, Format format)
    : context_(context),
      socket_(std::move(socket)),
      format_(format),
      buffer_(std::make_unique_for_overwrite<char[]>(kReadBytes)),
      timer_(context.io),
      last_byte_(steady_clock::now()) {}

void WsChannels::Start(std::shared_ptr<Owner> owner) {
  owner_ = std::move(owner);
  Read();
  Tick();
}

void WsChannels::Send(int channel, Chunk chunk) {
  if (closing_ || gone_) return;
  if (format_.base64) {
    queue_.push_back({channel, absl::StrCat(channel, absl::Base64Escape(chunk.view())), {}});
  } else {
    queue_.push_back({channel, std::string(1, static_cast<char>(channel)), std::move(chunk)});
  }
  Write();
}

void WsChannels::Consumed(size_t bytes) {
  unconsumed_ -= std::min(bytes, unconsumed_);
  Read();
}

void WsChannels::Close() {
  if (owner_ != nullptr) asio::post(context_.io, [owner = std::move(owner_)] {});  // it may be what calls us
  owner_ = nullptr;
  closing_ = true;
  unconsumed_ = 0;
  CloseIfDone();
  Read();
}

void WsChannels::CloseIfDone() {
  if (!closing_ || closed_ || gone_ || writing_ || !queue_.empty()) return;
  closed_ = true;
  closed_at_ = steady_clock::now();
  socket_->Close([self = shared_from_this()](error_code, size_t) { self->Gone(); });
}

void WsChannels::Read() {
  if (reading_ || gone_ || unconsumed_ > kMaxUnconsumed) return;
  reading_ = true;
  socket_->ReadSome(asio::buffer(buffer_.get(), kReadBytes),
                    [self = shared_from_this()](error_code error, size_t bytes) { self->OnRead(error, bytes); });
}

void WsChannels::OnRead(error_code error, size_t bytes) {
  if (gone_) return;
  if (error) return closed_ ? void() : Gone();  // the closing handshake reads for itself
  last_byte_ = steady_clock::now();
  const bool ok = owner_ == nullptr || OnPart({buffer_.get(), bytes}, socket_->message_done());
  reading_ = false;
  if (!ok) return Gone();
  Read();
}

// False for what breaks the protocol.
bool WsChannels::OnPart(absl::string_view part, bool last) {
  const bool whole = format_.base64 ||
                     (channel_ == -1 && !part.empty() && static_cast<uint8_t>(part[0]) == kEndSignal) ||
                     channel_ == kEndSignal;
  if (whole) {
    if (!format_.base64) channel_ = kEndSignal;
    absl::StrAppend(&partial_, part);
    if (partial_.size() > (format_.base64 ? kMaxBase64 : 2)) return false;
    if (!last) return true;
    channel_ = -1;
    const std::string message = std::move(partial_);
    partial_.clear();
    return OnWhole(message);
  }
  if (channel_ == -1 && !part.empty()) {
    channel_ = static_cast<uint8_t>(part[0]);
    part.remove_prefix(1);
  }
  if (channel_ != -1) Deliver(channel_, part);
  if (last) channel_ = -1;
  return true;
}

bool WsChannels::OnWhole(absl::string_view message) {
  if (message.empty()) return true;
  if (format_.base64) {
    std::string data;
    if (!absl::Base64Unescape(message.substr(1), &data)) return false;
    Deliver(message[0] - '0', data);
    return true;
  }
  if (!format_.can_end) return true;  // no channel of this number: as others that there are not
  if (message.size() != 2 || static_cast<uint8_t>(message[1]) >= format_.channels) return false;
  if (owner_ != nullptr) owner_->OnEnd(message[1]);
  return true;
}

void WsChannels::Deliver(int channel, absl::string_view data) {
  if (channel < 0 || channel >= format_.channels || data.empty() || owner_ == nullptr) return;
  unconsumed_ += data.size();
  const std::shared_ptr<Owner> owner = owner_;
  owner->OnData(channel, data);
}

void WsChannels::Write() {
  if (writing_ || gone_ || queue_.empty()) return;
  writing_ = true;
  const Message& message = queue_.front();
  std::vector<asio::const_buffer> buffers = {asio::buffer(message.head)};
  if (message.chunk.size > 0) buffers.emplace_back(message.chunk.view().data(), message.chunk.size);
  socket_->Write(format_.base64, buffers, [self = shared_from_this()](error_code error, size_t) {
    self->writing_ = false;
    if (error) return self->Gone();
    self->last_byte_ = steady_clock::now();
    const int channel = self->queue_.front().channel;
    self->queue_.pop_front();
    if (self->owner_ != nullptr) self->owner_->OnSent(channel);
    self->Write();
    self->CloseIfDone();
  });
}

void WsChannels::Tick() {
  timer_.expires_after(kTick);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->gone_) return;
    const auto now = steady_clock::now();
    if (now - self->last_byte_ > self->context_.idle || (self->closed_ && now - self->closed_at_ > kLinger) ||
        (!self->reading_ && self->socket_->PeerHasClosed()))
      return self->Gone();
    self->Tick();
  });
}

void WsChannels::Gone() {
  if (gone_) return;
  gone_ = true;
  timer_.cancel();
  socket_->Abort();
  const std::shared_ptr<Owner> owner = std::move(owner_);
  if (owner != nullptr) owner->OnGone();
}

}  // namespace wherry::streaming

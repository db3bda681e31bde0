#include "cri/streaming/spdy/session.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::streaming::spdy {
namespace {

constexpr int64_t kMaxWindow = 0x7fffffff;
constexpr size_t kMaxGathered = 256 << 10;  // of data in one write

std::string Numbers(std::initializer_list<uint32_t> numbers) {
  std::string out;
  for (uint32_t number : numbers) PutNumber(number, &out);
  return out;
}

uint32_t IdAt(absl::string_view body, size_t at) { return GetNumber(body.substr(at)) & kMaxStreamId; }

absl::Status WrongLength(absl::string_view frame, absl::string_view body) {
  return absl::InvalidArgumentError(absl::StrCat("a ", frame, " of ", body.size(), " bytes"));
}

}  // namespace

Session::Session(Role role, Events& events, bool windows)
    : role_(role), events_(events), next_id_(role == Role::kServer ? 2 : 1), keep_to_windows_(windows) {
  (void)Control(Type::kSettings, 0,
                Numbers({2, kSettingMaxConcurrentStreams, kMaxStreams, kSettingInitialWindow, kStreamWindow}));
  (void)Control(Type::kWindowUpdate, 0, Numbers({0, static_cast<uint32_t>(kSessionWindow - kInitialWindow)}));
}

absl::Status Session::Receive(absl::string_view bytes) {
  if (!error_.ok()) return error_;
  error_ = reader_.Read(bytes, *this);
  if (!error_.ok()) GoAway(GoAway::kProtocolError);
  return error_;
}

// ---- what comes -------------------------------------------------------------------------------------------------------

absl::Status Session::OnControl(uint16_t type, uint8_t flags, absl::string_view body) {
  switch (static_cast<Type>(type)) {
    case Type::kSynStream:
      return OnSynStream(flags, body);
    case Type::kSynReply:
      return OnSynReply(flags, body);
    case Type::kRstStream:
      return OnRstStream(body);
    case Type::kSettings:
      return OnSettings(body);
    case Type::kPing:
      return OnPing(body);
    case Type::kGoAway:
      if (body.size() != 8) return WrongLength("GOAWAY", body);
      peer_going_away_ = true;
      events_.OnGoAway();
      return absl::OkStatus();
    case Type::kHeaders:
      return OnHeaders(flags, body);
    case Type::kWindowUpdate:
      return OnWindowUpdate(body);
  }
  return absl::OkStatus();  // unknown ones are to be ignored (2.2.1)
}

absl::Status Session::OnSynStream(uint8_t flags, absl::string_view body) {
  if (body.size() < 10) return WrongLength("SYN_STREAM", body);
  const uint32_t id = IdAt(body, 0);
  ASSIGN_OR_RETURN(const Headers headers, inflater_.Read(body.substr(10)));
  if (!IsPeers(id) || id <= last_peer_id_)
    return absl::InvalidArgumentError(absl::StrCat("stream ", id, " opened after ", last_peer_id_));
  last_peer_id_ = id;
  if (going_away_) return absl::OkStatus();  // GOAWAY has said that it will not be looked at
  if (peer_streams_ >= kMaxStreams) return SendReset(id, Reset::kRefusedStream);
  Stream& stream = streams_[id];
  ++peer_streams_;
  stream.send_window = initial_send_window_;
  stream.local_closed = (flags & kFlagUnidirectional) != 0;
  events_.OnStream(id, headers);
  if ((flags & kFlagFin) != 0) EndRemote(id);
  return absl::OkStatus();
}

absl::Status Session::OnSynReply(uint8_t flags, absl::string_view body) {
  if (body.size() < 4) return WrongLength("SYN_REPLY", body);
  const uint32_t id = IdAt(body, 0);
  ASSIGN_OR_RETURN(const Headers headers, inflater_.Read(body.substr(4)));
  if (FindStream(id) == nullptr || IsPeers(id)) return SendReset(id, Reset::kInvalidStream);
  events_.OnReply(id, headers);
  if ((flags & kFlagFin) != 0) EndRemote(id);
  return absl::OkStatus();
}

absl::Status Session::OnHeaders(uint8_t flags, absl::string_view body) {
  if (body.size() < 4) return WrongLength("HEADERS", body);
  const uint32_t id = IdAt(body, 0);
  RETURN_IF_ERROR(
      inflater_.Read(body.substr(4)).status());  // they mean nothing here, but the ones after them need them read
  if (FindStream(id) == nullptr) return SendReset(id, Reset::kInvalidStream);
  if ((flags & kFlagFin) != 0) EndRemote(id);
  return absl::OkStatus();
}

absl::Status Session::OnRstStream(absl::string_view body) {
  if (body.size() != 8) return WrongLength("RST_STREAM", body);
  const uint32_t id = IdAt(body, 0);
  if (FindStream(id) == nullptr) return absl::OkStatus();
  Erase(id);
  events_.OnReset(id);
  return absl::OkStatus();
}

absl::Status Session::OnSettings(absl::string_view body) {
  if (body.size() < 4 || (body.size() - 4) % 8 != 0 || GetNumber(body) != (body.size() - 4) / 8)
    return WrongLength("SETTINGS", body);
  keep_to_windows_ = !peer_ignores_windows_;
  for (size_t at = 4; at < body.size(); at += 8) {
    if ((GetNumber(body.substr(at)) & 0xffffff) != kSettingInitialWindow) continue;
    const int64_t window = GetNumber(body.substr(at + 4));
    if (window > kMaxWindow) return absl::InvalidArgumentError(absl::StrCat("an initial window of ", window, " bytes"));
    const int64_t change = window - initial_send_window_;
    initial_send_window_ = window;
    for (auto& [id, stream] : streams_) {
      stream.send_window += change;
      Queue(id, stream);
    }
  }
  return absl::OkStatus();
}

absl::Status Session::OnPing(absl::string_view body) {
  if (body.size() != 4) return WrongLength("PING", body);
  return IsPeers(GetNumber(body)) ? Control(Type::kPing, 0, body) : absl::OkStatus();  // ours come back with our parity
}

absl::Status Session::OnWindowUpdate(absl::string_view body) {
  if (body.size() != 8) return WrongLength("WINDOW_UPDATE", body);
  const uint32_t id = IdAt(body, 0), delta = GetNumber(body.substr(4)) & 0x7fffffff;
  keep_to_windows_ = !peer_ignores_windows_;
  if (id == 0) {
    send_window_ += delta;
    return send_window_ > kMaxWindow ? absl::InvalidArgumentError("the session's window is too large")
                                     : absl::OkStatus();
  }
  Stream* stream = FindStream(id);
  if (stream == nullptr) return absl::OkStatus();  // it may have crossed with our end of the stream
  stream->send_window += delta;
  if (stream->send_window > kMaxWindow || delta == 0) {
    RETURN_IF_ERROR(SendReset(id, delta == 0 ? Reset::kProtocolError : Reset::kFlowControlError));
    Erase(id);
    events_.OnReset(id);
    return absl::OkStatus();
  }
  Queue(id, *stream);
  return absl::OkStatus();
}

absl::Status Session::OnData(uint32_t id, absl::string_view piece, bool fin) {
  unconsumed_ += piece.size();
  Stream* stream = FindStream(id);
  if (stream == nullptr || stream->remote_closed) {
    ReturnToSession(piece.size());
    return SendReset(id, stream == nullptr ? Reset::kInvalidStream : Reset::kStreamAlreadyClosed);
  }
  stream->unconsumed += piece.size();
  if (stream->unconsumed > static_cast<size_t>(kStreamWindow)) {
    // Its own updates may be stuck behind what it floods us with: waiting for them could be waiting for ourselves.
    peer_ignores_windows_ = true;
    keep_to_windows_ = false;
  }
  if (!piece.empty()) events_.OnData(id, piece);
  if (fin) EndRemote(id);
  return absl::OkStatus();
}

void Session::EndRemote(uint32_t id) {
  Stream* stream = FindStream(id);
  if (stream == nullptr || stream->remote_closed) return;
  stream->remote_closed = true;
  events_.OnEnd(id);
  EraseIfOver(id);
}

// ---- what the owner wants ---------------------------------------------------------------------------------------------

uint32_t Session::Open(const Headers& headers) {
  if (peer_going_away_) return 0;
  const uint32_t id = next_id_;
  next_id_ += 2;
  streams_[id].send_window = initial_send_window_;
  (void)Control(Type::kSynStream, 0, Numbers({id, 0}) + std::string(2, '\0') + deflater_.Write(headers));
  return id;
}

void Session::Reply(uint32_t id, const Headers& headers) {
  const Stream* stream = FindStream(id);
  if (stream == nullptr || stream->local_closed) return;
  (void)Control(Type::kSynReply, 0, Numbers({id}) + deflater_.Write(headers));
}

void Session::Send(uint32_t id, Chunk chunk) {
  Stream* stream = FindStream(id);
  if (stream == nullptr || stream->local_closed || stream->finishing) return;
  stream->chunks.push_back(std::move(chunk));
  Queue(id, *stream);
}

void Session::Finish(uint32_t id) {
  Stream* stream = FindStream(id);
  if (stream == nullptr || stream->local_closed || stream->finishing) return;
  stream->finishing = true;
  Queue(id, *stream);
}

void Session::Reset(uint32_t id, spdy::Reset why) {
  if (FindStream(id) == nullptr) return;
  (void)SendReset(id, why);
  Erase(id);
}

void Session::Consumed(uint32_t id, size_t bytes) {
  Stream* stream = FindStream(id);
  if (stream == nullptr) return;  // Erase() has done it
  bytes = std::min(bytes, stream->unconsumed);
  stream->unconsumed -= bytes;
  stream->unreturned += bytes;
  if (!stream->remote_closed) GiveBack(id, &stream->unreturned, kStreamWindow);
  ReturnToSession(bytes);
  EraseIfOver(id);
}

void Session::ReturnToSession(size_t bytes) {
  unconsumed_ -= bytes;
  unreturned_ += bytes;
  GiveBack(0, &unreturned_, kSessionWindow);
}

void Session::GiveBack(uint32_t id, size_t* unreturned, int64_t window) {
  if (*unreturned < static_cast<size_t>(window) / 2) return;
  (void)Control(Type::kWindowUpdate, 0, Numbers({id, static_cast<uint32_t>(*unreturned)}));
  *unreturned = 0;
}

void Session::Ping(uint32_t id) { (void)Control(Type::kPing, 0, Numbers({id})); }

void Session::GoAway(spdy::GoAway why) {
  if (going_away_) return;
  going_away_ = true;
  (void)Control(Type::kGoAway, 0, Numbers({last_peer_id_, static_cast<uint32_t>(why)}));
}

// ---- what goes --------------------------------------------------------------------------------------------------------

absl::Status Session::Control(Type type, uint8_t flags, absl::string_view body) {
  if (control_.size() > kMaxControlQueued)
    return absl::ResourceExhaustedError("the peer asks for answers and does not read them");
  control_ += ControlFrame(type, flags, body);
  return absl::OkStatus();
}

absl::Status Session::SendReset(uint32_t id, spdy::Reset why) {
  return Control(Type::kRstStream, 0, Numbers({id, static_cast<uint32_t>(why)}));
}

Session::Stream* Session::FindStream(uint32_t id) {
  auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

void Session::Queue(uint32_t id, Stream& stream) {
  if (stream.queued || (stream.chunks.empty() && !stream.finishing)) return;
  stream.queued = true;
  ready_.push_back(id);
}

void Session::EraseIfOver(uint32_t id) {
  const Stream* stream = FindStream(id);
  if (stream != nullptr && stream->local_closed && stream->remote_closed && stream->unconsumed == 0) Erase(id);
}

void Session::Erase(uint32_t id) {
  auto found = streams_.find(id);
  const size_t unconsumed = found->second.unconsumed;
  streams_.erase(found);
  if (IsPeers(id)) --peer_streams_;
  ReturnToSession(unconsumed);
}

std::vector<Piece> Session::Gather() {
  std::vector<Piece> out;
  flying_.any = true;
  if (!control_.empty()) {
    flying_.control.swap(control_);
    out.push_back({flying_.control.data(), flying_.control.size()});
  }
  size_t bytes = 0;
  // Each stream once: what is left of it waits for its next turn.
  for (size_t turns = ready_.size(); turns > 0 && bytes < kMaxGathered; --turns) {
    const uint32_t id = ready_.front();
    ready_.pop_front();
    const size_t before = out.size();
    GatherStream(id, &out);
    for (size_t i = before; i < out.size(); ++i) bytes += out[i].size;
  }
  if (out.empty()) flying_.any = false;
  return out;
}

void Session::GatherStream(uint32_t id, std::vector<Piece>* out) {
  Stream* stream = FindStream(id);
  if (stream == nullptr) return;
  stream->queued = false;
  Chunk piece;
  if (!stream->chunks.empty()) {
    Chunk& chunk = stream->chunks.front();
    const int64_t window = keep_to_windows_ ? std::min(stream->send_window, send_window_) : kMaxWindow;
    const size_t n = std::min({chunk.size, static_cast<size_t>(std::max<int64_t>(0, window)), kMaxDataBytes});
    // The stream's own window queues it again when it opens; the session's does not know whom to queue.
    if (n == 0 && chunk.size > 0) {
      if (stream->send_window > 0) Queue(id, *stream);
      return;
    }
    piece = {chunk.buffer, chunk.begin, n, chunk.pipe};
    chunk.begin += n;
    chunk.size -= n;
    stream->send_window -= static_cast<int64_t>(n);
    send_window_ -= static_cast<int64_t>(n);
    if (chunk.size == 0) stream->chunks.pop_front();
  }
  const bool fin = stream->chunks.empty() && stream->finishing;
  if (piece.size > 0 || fin) {
    const std::string& header = flying_.headers.emplace_back(DataHeader(id, fin ? kFlagFin : 0, piece.size));
    out->push_back({header.data(), header.size()});
    if (piece.pipe != nullptr) {
      out->push_back({nullptr, piece.size, piece.pipe->get()});
    } else if (piece.size > 0) {
      out->push_back({piece.buffer.get() + piece.begin, piece.size});
    }
  }
  if (stream->chunks.empty()) flying_.drained.push_back(id);
  if (fin) {
    stream->finishing = false;
    stream->local_closed = true;
  } else {
    Queue(id, *stream);
  }
  flying_.chunks.push_back(std::move(piece));
}

bool Session::HasToSend() const {
  return flying_.any || !control_.empty() || std::any_of(streams_.begin(), streams_.end(), [](const auto& entry) {
           return !entry.second.chunks.empty() || entry.second.finishing;
         });
}

void Session::Sent() {
  const Flying sent = std::move(flying_);
  flying_ = {};
  for (uint32_t id : sent.drained) {
    if (FindStream(id) == nullptr) continue;
    if (FindStream(id)->chunks.empty()) events_.OnSent(id);
    EraseIfOver(id);
  }
}

}  // namespace wherry::streaming::spdy

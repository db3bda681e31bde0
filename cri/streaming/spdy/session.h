#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cri/streaming/chunk.h"
#include "cri/streaming/spdy/frame.h"
#include "cri/streaming/spdy/headers.h"

// One end of a SPDY/3.1 session, without a socket: bytes that have come go in, bytes that should go out come out. So it can be
// tested, and fuzzed, without one.
//
// Flow control. What Kubernetes' own client and server call SPDY/3.1 has none: they send no WINDOW_UPDATE, and what they send
// does not keep to any window. A sender that waited for theirs would wait for ever after 64 KiB. So windows of a peer count once
// it has shown that it has some, by SETTINGS or WINDOW_UPDATE, and as long as it keeps to ours. More than our window is no error:
// whoever feeds Receive() stops to read while `unconsumed()` is large, which bounds memory with any peer. Peers that do keep to
// windows get theirs back as data is consumed, and one slow stream then holds up no other.
namespace wherry::streaming::spdy {

class Session final : private FrameReader::Visitor {
 public:
  enum class Role { kServer, kClient };

  static constexpr size_t kMaxStreams = 2048;             // at a time, of the peer's; more are refused
  static constexpr int64_t kInitialWindow = 64 << 10;     // until SETTINGS or WINDOW_UPDATE say otherwise
  static constexpr int64_t kStreamWindow = 512 << 10;     // ours, a stream
  static constexpr int64_t kSessionWindow = 1 << 20;      // ours, all streams together
  static constexpr size_t kMaxControlQueued = 256 << 10;  // answers that a peer does not fetch

  // All may call the session again, for the same stream too, except Receive(). Nothing is called for a stream after OnReset, or
  // after our own Reset().
  class Events {
   public:
    // The peer opens a stream. Reply() or Reset() answers; data may be sent after Reply().
    virtual void OnStream(uint32_t id, const Headers& headers) = 0;
    // Our Open() was answered.
    virtual void OnReply(uint32_t /*id*/, const Headers& /*headers*/) {}
    virtual void OnData(uint32_t id, absl::string_view data) = 0;
    virtual void OnEnd(uint32_t id) = 0;  // the peer will send no more on it
    virtual void OnReset(uint32_t id) = 0;
    virtual void OnSent(uint32_t id) = 0;  // all of the stream's chunks are on their way
    virtual void OnGoAway() {}             // the peer will open no more streams

   protected:
    ~Events() = default;
  };

  // `events` outlives it. `windows`: the peer is known to have some, so that they count from the beginning.
  Session(Role role, Events& events, bool windows = false);

  // An error means that the session is over: a GOAWAY with the reason is the last output, and nothing may be received any more.
  absl::Status Receive(absl::string_view bytes);

  // The id of a new stream of ours; 0 when the peer has sent GOAWAY.
  uint32_t Open(const Headers& headers);
  void Reply(uint32_t id, const Headers& headers);
  // Calls for a stream that is not there (any more) do nothing: the peer may have reset it meanwhile.
  void Send(uint32_t id, Chunk chunk);
  void Finish(uint32_t id);  // FIN, after what was sent
  void Reset(uint32_t id, spdy::Reset why);
  // The owner has done away with `bytes` of what OnData gave it. Data of streams that are gone counts as consumed.
  void Consumed(uint32_t id, size_t bytes);
  void Ping(uint32_t id);
  // No new streams from the peer from now on.
  void GoAway(spdy::GoAway why);

  // What to write next, in order; valid until Sent(). Empty: nothing now. Not again before Sent().
  std::vector<Piece> Gather();
  void Sent();

  size_t unconsumed() const { return unconsumed_; }
  bool HasToSend() const;  // also when windows forbid it for now
  size_t streams() const { return streams_.size(); }

 private:
  struct Stream {
    std::deque<Chunk> chunks{};
    int64_t send_window = kInitialWindow;
    size_t unconsumed = 0;
    size_t unreturned = 0;  // consumed, but not yet given back to the peer's window
    bool queued = false;    // is in ready_
    bool finishing = false, local_closed = false, remote_closed = false;
  };

  absl::Status OnControl(uint16_t type, uint8_t flags, absl::string_view body) override;
  absl::Status OnData(uint32_t id, absl::string_view piece, bool fin) override;

  absl::Status OnSynStream(uint8_t flags, absl::string_view body);
  absl::Status OnSynReply(uint8_t flags, absl::string_view body);
  absl::Status OnHeaders(uint8_t flags, absl::string_view body);
  absl::Status OnRstStream(absl::string_view body);
  absl::Status OnSettings(absl::string_view body);
  absl::Status OnPing(absl::string_view body);
  absl::Status OnWindowUpdate(absl::string_view body);

  bool IsPeers(uint32_t id) const { return (id % 2 == 1) == (role_ == Role::kServer); }
  Stream* FindStream(uint32_t id);
  absl::Status Control(Type type, uint8_t flags, absl::string_view body);
  absl::Status SendReset(uint32_t id, spdy::Reset why);
  void Queue(uint32_t id, Stream& stream);
  void EndRemote(uint32_t id);
  void EraseIfOver(uint32_t id);
  void Erase(uint32_t id);
  void ReturnToSession(size_t bytes);
  void GiveBack(uint32_t id, size_t* unreturned, int64_t window);
  void GatherStream(uint32_t id, std::vector<Piece>* out);

  const Role role_;
  Events& events_;
  FrameReader reader_;
  HeaderInflater inflater_;
  HeaderDeflater deflater_;
  std::map<uint32_t, Stream> streams_;
  uint32_t last_peer_id_ = 0, next_id_;
  bool keep_to_windows_, peer_ignores_windows_ = false;
  size_t peer_streams_ = 0;
  bool going_away_ = false, peer_going_away_ = false;
  absl::Status error_;
  int64_t initial_send_window_ = kInitialWindow, send_window_ = kInitialWindow;
  size_t unconsumed_ = 0, unreturned_ = 0;

  std::string control_;         // frames to send, before any data
  std::deque<uint32_t> ready_;  // streams with something to send, in turn
  struct Flying {
    std::string control{};
    std::deque<std::string> headers{};  // of data frames; a deque moves none of them
    std::vector<Chunk> chunks{};
    std::vector<uint32_t> drained{};  // streams with nothing more to send
    bool any = false;
  } flying_;  // between Gather() and Sent()
};

}  // namespace wherry::streaming::spdy

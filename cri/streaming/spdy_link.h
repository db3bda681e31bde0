#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "cri/streaming/spdy/session.h"
#include "cri/streaming/transport.h"

namespace wherry::streaming {

// A SPDY session on a connection, of either role: moves bytes between the two, and ends them in the right order. It stops to read
// while its owner has not consumed much of what came (see session.h), and then looks now and then whether the peer is still there.
class SpdyLink final : public std::enable_shared_from_this<SpdyLink>, private spdy::Session::Events {
 public:
  class Owner : public spdy::Session::Events {
   public:
    virtual ~Owner() = default;
    // The peer has gone, broke the protocol or was silent for too long. Nothing is called after it.
    virtual void OnGone() = 0;
    // What one read brought has been given to OnData(): the bytes are gone after it.
    virtual void OnBatch() {}
  };

  // `idle`: without a byte either way it ends.
  SpdyLink(asio::io_context& io, std::chrono::milliseconds idle, std::unique_ptr<Transport> transport,
           spdy::Session::Role role = spdy::Session::Role::kServer);

  // Keeps `owner` until OnGone() or Close().
  void Start(std::shared_ptr<Owner> owner);

  uint32_t Open(const spdy::Headers& headers);  // 0 when the peer takes no more
  void Reply(uint32_t id);
  // Whether chunks may lie in pipes.
  bool TakesPipes() const { return transport_->TakesPipes(); }
  void Send(uint32_t id, Chunk chunk);
  void Finish(uint32_t id);
  void Reset(uint32_t id, spdy::Reset why);
  void Consumed(uint32_t id, size_t bytes);
  // Sends what was given, then GOAWAY, and waits for the peer to hang up. The owner hears no more.
  void Close();

 private:
  static constexpr size_t kMaxUnconsumed = spdy::Session::kSessionWindow;

  void Read();
  void OnRead(error_code error, size_t bytes);
  void Flush();
  void OnWritten(error_code error, size_t bytes);
  void WriteRest();
  void Tick();
  void ShutdownIfDone();
  void Gone();

  void OnStream(uint32_t id, const spdy::Headers& headers) override;
  void OnReply(uint32_t id, const spdy::Headers& headers) override;
  void OnData(uint32_t id, absl::string_view data) override;
  void OnEnd(uint32_t id) override;
  void OnReset(uint32_t id) override;
  void OnSent(uint32_t id) override;

  asio::io_context& io_;
  const std::chrono::milliseconds idle_;
  std::unique_ptr<Transport> transport_;
  std::shared_ptr<Owner> owner_;
  spdy::Session session_;
  std::unique_ptr<char[]> read_buffer_;
  std::vector<Piece> writing_;  // what is left of a write
  asio::steady_timer timer_;
  std::chrono::steady_clock::time_point last_byte_, closed_at_;
  bool reading_ = false, closing_ = false, shut_down_ = false, gone_ = false;
};

}  // namespace wherry::streaming

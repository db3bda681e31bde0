#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>

#include "cri/streaming/chunk.h"
#include "cri/streaming/websocket.h"

namespace wherry::streaming {

// Channels in a WebSocket's messages: the first byte of a message is the channel's number, the rest its bytes. In the base64
// variants, for clients that have text only, it is the number's digit, and the rest is base64. With v5 a message 255, N says that
// the client has ended channel N.
class WsChannels final : public std::enable_shared_from_this<WsChannels> {
 public:
  struct Format {
    bool base64 = false, can_end = false;
    int channels = 0;
  };
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnData(int channel, absl::string_view data) = 0;  // of channels that there are
    virtual void OnEnd(int channel) = 0;
    virtual void OnSent(int channel) = 0;
    virtual void OnGone() = 0;  // the client; nothing is called after it
  };

  WsChannels(Context& context, std::shared_ptr<WebSocket> socket, Format format);

  // Keeps `owner` until OnGone() or Close().
  void Start(std::shared_ptr<Owner> owner);
  void Send(int channel, Chunk chunk);
  void Consumed(size_t bytes);
  void Close();  // after what was sent

 private:
  struct Message {
    int channel;
    std::string head;  // all of it, when base64
    Chunk chunk;
  };

  void Read();
  void OnRead(error_code error, size_t bytes);
  bool OnPart(absl::string_view part, bool last);
  bool OnWhole(absl::string_view message);
  void Deliver(int channel, absl::string_view data);
  void Write();
  void CloseIfDone();
  void Tick();
  void Gone();

  Context& context_;
  const std::shared_ptr<WebSocket> socket_;
  const Format format_;
  std::shared_ptr<Owner> owner_;
  std::unique_ptr<char[]> buffer_;
  std::string partial_;  // of a message that must be whole to be understood
  int channel_ = -1;     // of the message that is coming; -1 at its start
  std::deque<Message> queue_;
  size_t unconsumed_ = 0;
  asio::steady_timer timer_;
  std::chrono::steady_clock::time_point last_byte_, closed_at_;
  bool reading_ = false, writing_ = false, closing_ = false, closed_ = false, gone_ = false;
};

}  // namespace wherry::streaming

#pragma once

#include <boost/asio/buffer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cri/streaming/context.h"
#include "cri/streaming/transport.h"

namespace wherry::streaming {

// The server's end of a WebSocket: Boost.Beast's, in one compiled place. As with a Transport, one operation of each kind at a
// time.
class WebSocket {
 public:
  using Handler = Transport::Handler;

  // `head` is the client's upgrade request as it came. `protocol` is the sub-protocol to agree to, "" for none.
  static std::shared_ptr<WebSocket> Make(asio::io_context& io, std::unique_ptr<Transport> transport);
  virtual ~WebSocket() = default;

  virtual void Accept(const std::string& head, const std::string& protocol, Handler handler) = 0;
  // A part of a message. More than 16 MiB in one message end the connection.
  virtual void ReadSome(asio::mutable_buffer buffer, Handler handler) = 0;
  virtual bool message_done() const = 0;
  // One message.
  virtual void Write(bool text, const std::vector<asio::const_buffer>& buffers, Handler handler) = 0;
  // The closing handshake; reads that are under way end with it.
  virtual void Close(Handler handler) = 0;
  virtual void Abort() = 0;
  virtual bool PeerHasClosed() = 0;
};

// A stream of bytes in binary messages, however they are cut.
std::unique_ptr<Transport> WebSocketTunnel(std::shared_ptr<WebSocket> socket);

}  // namespace wherry::streaming

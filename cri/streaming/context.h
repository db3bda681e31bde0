#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>

#include "cri/streaming/backend.h"
#include "cri/streaming/call_pool.h"

namespace wherry::streaming {

// What every session works with. All of it outlives the sessions.
struct Context {
  boost::asio::io_context& io;  // sessions live on its one thread
  CallPool& calls;
  Backend& backend;
  std::chrono::milliseconds idle;      // without a byte either way
  std::chrono::milliseconds creation;  // until a client has opened its streams
};

// A session, as the server needs it to end it.
class Stoppable {
 public:
  virtual ~Stoppable() = default;
  virtual void Stop() = 0;  // says why to the client, and ends
};

}  // namespace wherry::streaming

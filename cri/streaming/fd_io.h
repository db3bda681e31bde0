#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cri/streaming/chunk.h"
#include "runtime/sys/unique_fd.h"

// Bytes between a session and a pipe, terminal or socket of a container. Both ends work on the io_context's thread, with
// non-blocking descriptors, and may be destroyed at any time, from within their own callbacks too.
namespace wherry::streaming {

// Reads one chunk, hands it out and reads the next when told to. While there is nothing to read, no buffer is held. Much data, where
// the receiver takes pipes, is moved into one by splice(2) rather than read.
class FdSource {
 public:
  struct Events {
    std::function<void(Chunk)> on_chunk;
    // The end: OK, or the error of read(2). EIO of a terminal whose programs are gone is an end.
    std::function<void(absl::Status)> on_end;
  };
  // `pipes`: chunks may lie in pipes.
  FdSource(boost::asio::io_context& io, sys::UniqueFd fd, Events events, bool pipes = false);
  ~FdSource();

  void Next();
  // The process that writes has ended: what is in the pipe by now is read, then on_end follows, whoever else holds the other end
  // open.
  void EndWhenEmpty();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Writes what it is given at once; what does not fit is kept until it does. How much may be kept is the giver's to bound, by
// what has been given and not been said to be gone.
class FdSink {
 public:
  struct Events {
    std::function<void(size_t)> on_gone;  // so many bytes are written, or lost since nobody reads
  };
  FdSink(boost::asio::io_context& io, Events events);
  ~FdSink();

  // Until then everything is kept.
  void Open(sys::UniqueFd fd);
  void Write(absl::string_view bytes);
  // As Write(), at the next Flush(), together with what else comes until then: `bytes` must stay where they are. Before Open() they
  // are copied, as by Write().
  void WriteLater(absl::string_view bytes);
  void Flush();
  // After what is kept, the reader sees the end; for a socket by shutdown(2).
  void Close();
  bool broken() const;  // the reader has gone

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace wherry::streaming

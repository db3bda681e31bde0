#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cri/streaming/backend.h"
#include "cri/streaming/fd_io.h"
#include "cri/streaming/spdy_link.h"

namespace wherry::streaming {

// The client's side of an exec or attach: bytes between descriptors of its own and a session that Dial() has made, until the session
// ends. On the io_context's thread.
class RemoteCaller final : public SpdyLink::Owner, public std::enable_shared_from_this<RemoteCaller> {
 public:
  // Non-blocking; invalid for streams that are not wanted.
  struct Ends {
    sys::UniqueFd in, out, err;
  };
  // `on_done` is called once, when all output is written: the command's exit code (0 for an attachment that came to its end), or why
  // there is none.
  using OnDone = std::function<void(absl::StatusOr<int>)>;

  RemoteCaller(asio::io_context& io, std::shared_ptr<SpdyLink> link, Streams streams, OnDone on_done);

  void Start(Ends ends);
  void Resize(uint16_t width, uint16_t height);
  // Hangs up: an attachment is detached, an exec's process is killed. `why` is what on_done gets.
  void Stop(absl::StatusOr<int> why);

 private:
  struct Output {
    uint32_t id = 0;
    std::optional<FdSink> sink{};
    size_t held = 0;  // given to the sink, and not gone
  };
  uint32_t OpenStream(const char* type);
  void OpenOutput(Output& output, const char* type, sys::UniqueFd fd);
  void FinishIfDone();

  void OnStream(uint32_t id, const spdy::Headers& headers) override;
  void OnData(uint32_t id, absl::string_view data) override;
  void OnEnd(uint32_t id) override;
  void OnReset(uint32_t id) override;
  void OnSent(uint32_t id) override;
  void OnGone() override;

  asio::io_context& io_;
  const std::shared_ptr<SpdyLink> link_;
  const Streams streams_;
  OnDone on_done_;
  Output out_, err_;
  uint32_t in_ = 0, error_ = 0, resize_ = 0;
  std::unique_ptr<FdSource> source_;
  std::string verdict_;
  std::optional<absl::StatusOr<int>> result_;  // when the session is over
  bool error_ended_ = false;
};

}  // namespace wherry::streaming

#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>

#include "cri/streaming/context.h"
#include "cri/streaming/fd_io.h"
#include "cri/streaming/tokens.h"
#include "cri/streaming/verdict.h"

namespace wherry::streaming {

// The streams of an exec or attach. The numbers are those of WebSocket channels.
enum class Lane : uint8_t { kStdin = 0, kStdout = 1, kStderr = 2, kError = 3, kResize = 4 };
constexpr size_t kLanes = 5;

// The client of an exec or attach, over whichever protocol.
class RemoteClient {
 public:
  virtual ~RemoteClient() = default;
  virtual bool TakesPipes() const { return false; }  // whether chunks may lie in pipes
  virtual void Send(Lane lane, Chunk chunk) = 0;     // RemoteCommand::OnSent() follows
  virtual void End(Lane lane) = 0;                   // nothing more will be sent on it
  virtual void Consumed(Lane lane, size_t bytes) = 0;
  virtual bool VerdictIsObject() const = 0;
  // Sends what was given and hangs up. The client calls nothing any more.
  virtual void Close() = 0;
};

// An exec or attach: a process on one side, a client on the other. The client's order of events is
//   Start() once its streams are there, then OnData, OnEnd, OnReset and OnSent, at last OnGone()
// and ours: output, its ends, the verdict, the end of the session. When the process has ended, what it wrote is in its pipes
// (backend.h); so they are read until they are empty, and the verdict waits until the client's streams have taken all of it.
class RemoteCommand final : public std::enable_shared_from_this<RemoteCommand>, public Stoppable {
 public:
  RemoteCommand(Context& context, Request request, std::unique_ptr<RemoteClient> client);

  const Streams& streams() const { return request_.streams; }

  void Start();
  // Instead of Start(): the client did not open its streams.
  void Fail(const absl::Status& why);
  void OnData(Lane lane, absl::string_view data);
  void OnEnd(Lane lane);
  void OnReset(Lane lane);
  void OnSent(Lane lane);
  void OnGone();
  void Stop() override;

 private:
  struct Output {
    std::unique_ptr<FdSource> source{};
    bool reading = false, sending = false;
  };

  void OnStarted(absl::StatusOr<std::unique_ptr<Process>> process);
  void Open(Lane lane, sys::UniqueFd fd);
  void WatchEnd();
  void OnProcessEnd();
  void FinishIfDone();
  void Finish(const absl::StatusOr<int>& exit_code);
  void Resize(absl::string_view data);
  void Dispose(std::unique_ptr<Process> process);
  Output& output(Lane lane) { return lane == Lane::kStdout ? out_ : err_; }

  Context& context_;
  const Request request_;
  std::unique_ptr<RemoteClient> client_;  // null when the session is over
  std::unique_ptr<Process> process_;
  std::optional<boost::asio::posix::stream_descriptor> ended_fd_;
  std::optional<FdSink> in_;
  Output out_, err_;
  ResizeReader resizes_;
  std::optional<TerminalSize> size_;
  bool ended_ = false;
};

}  // namespace wherry::streaming

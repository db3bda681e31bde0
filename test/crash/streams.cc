// The streaming requests of the kubelet, with wherry's own client: a session that breaks is an answer here, not the test's end.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "absl/strings/match.h"
#include "cri/streaming/client/dial.h"
#include "cri/streaming/client/forward_caller.h"
#include "cri/streaming/client/remote_caller.h"
#include "test/crash/kubelet.h"

namespace wherry::crash {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace asio = boost::asio;
using streaming::ForwardCaller;
using streaming::RemoteCaller;
using streaming::Streams;

constexpr std::chrono::seconds kPatience(30);

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

// A session with one output, which is thrown away.
class Session {
 public:
  explicit Session(Streams streams) : streams_(streams) {}

  absl::Status Begin(const std::string& url) {
    auto link = streaming::Dial(io_, url, streaming::kRemoteProtocol, "");
    if (!link.ok()) return link.status();
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return absl::InternalError("pipe2");
    output_.reset(ends[0]);
    caller_ = std::make_shared<RemoteCaller>(io_, std::move(*link), streams_,
                                             [this](absl::StatusOr<int> result) { result_ = std::move(result); });
    caller_->Start({{}, sys::UniqueFd(ends[1]), {}});
    return absl::OkStatus();
  }
  // True when the session has ended, or something has come.
  bool Look() {
    io_.restart();
    io_.run_for(milliseconds(5));
    char byte = 0;
    came_ = came_ || ::read(output_.get(), &byte, 1) == 1;
    return came_ || result_.has_value();
  }
  void Leave() {
    caller_->Stop(0);
    io_.restart();
    io_.run_for(milliseconds(5));
  }
  bool ended() const { return result_.has_value(); }
  absl::Status status() const { return result_.has_value() ? result_->status() : absl::OkStatus(); }

 private:
  const Streams streams_;
  asio::io_context io_;
  sys::UniqueFd output_;
  std::shared_ptr<RemoteCaller> caller_;
  std::optional<absl::StatusOr<int>> result_;
  bool came_ = false;
};

}  // namespace

grpc::Status Kubelet::StreamExec(const std::vector<std::string>& command) {
  std::string url;
  grpc::Status asked = ExecUrl(command, &url);
  if (!asked.ok()) return asked;
  Session session({.in = false, .out = true});
  absl::Status status = session.Begin(url);
  const auto end = steady_clock::now() + kPatience;
  while (status.ok() && !session.ended()) {
    session.Look();
    if (steady_clock::now() > end) status = absl::DeadlineExceededError("the exec's session does not end");
  }
  status.Update(session.status());
  return ToGrpc(status);
}

grpc::Status Kubelet::LeaveExec() {
  std::string url;
  grpc::Status asked = ExecUrl({"sh", "-c", "echo here; exec sleep 1000"}, &url);
  if (!asked.ok()) return asked;
  Session session({.in = false, .out = true});
  absl::Status status = session.Begin(url);
  const auto end = steady_clock::now() + kPatience;
  while (status.ok() && !session.Look()) {
    if (steady_clock::now() > end) status = absl::DeadlineExceededError("nothing comes from the exec");
  }
  if (status.ok() && !session.ended()) session.Leave();
  status.Update(session.status());
  return ToGrpc(status);
}

grpc::Status Kubelet::Attach() {
  cri::AttachRequest request;
  request.set_container_id(container_);
  request.set_stdout(true);
  cri::AttachResponse response;
  grpc::ClientContext context;
  grpc::Status asked = node_.runtime().Attach(&context, request, &response);
  if (!asked.ok()) return asked;
  Session session({.in = false, .out = true});
  absl::Status status = session.Begin(response.url());
  const auto end = steady_clock::now() + kPatience;
  while (status.ok() && !session.Look()) {
    // The program says nothing itself. When the attachment begins is not told, so this may have to be said again.
    if (grpc::Status said = Exec({"sh", "-c", "echo said > /proc/1/fd/1"}); !said.ok()) return said;
    if (steady_clock::now() > end) status = absl::DeadlineExceededError("nothing comes through the attachment");
  }
  if (status.ok() && !session.ended()) session.Leave();
  status.Update(session.status());
  return ToGrpc(status);
}

// Nobody listens in the pod, and to be told that is an answer.
grpc::Status Kubelet::Forward() {
  cri::PortForwardRequest request;
  request.set_pod_sandbox_id(pod_);
  cri::PortForwardResponse response;
  grpc::ClientContext context;
  grpc::Status asked = node_.runtime().PortForward(&context, request, &response);
  if (!asked.ok()) return asked;
  asio::io_context io;
  auto link = streaming::Dial(io, response.url(), streaming::kForwardProtocol, "");
  if (!link.ok()) return ToGrpc(link.status());
  absl::Status result = absl::DeadlineExceededError("nothing is said of the connection");
  auto caller = std::make_shared<ForwardCaller>(
      io, std::move(*link),
      ForwardCaller::Events{[&](const std::string& text) {
                              result =
                                  absl::StrContains(text, "refused") ? absl::OkStatus() : absl::UnavailableError(text);
                              io.stop();
                            },
                            [&] {
                              result = absl::UnavailableError("the session has ended");
                              io.stop();
                            }});
  caller->Start();
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
    return ToGrpc(absl::InternalError("socketpair"));
  sys::UniqueFd ours(pair[0]), theirs(pair[1]), copy(::fcntl(pair[1], F_DUPFD_CLOEXEC, 3));
  asio::post(io, [&] { caller->Join(std::move(theirs), std::move(copy), 9); });
  io.restart();
  io.run_for(kPatience);
  caller->Stop();
  io.restart();
  io.run_for(milliseconds(5));
  return ToGrpc(result);
}

grpc::Status Kubelet::ExecUrl(const std::vector<std::string>& command, std::string* url) {
  cri::ExecRequest request;
  request.set_container_id(container_);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_stdout(true);
  cri::ExecResponse response;
  grpc::ClientContext context;
  grpc::Status status = node_.runtime().Exec(&context, request, &response);
  *url = response.url();
  return status;
}

}  // namespace wherry::crash

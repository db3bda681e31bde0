#include "cri/streaming/server.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "cri/streaming/context.h"
#include "cri/streaming/http_connection.h"
#include "cri/streaming/tls.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/status.h"
#include "runtime/sys/tcp.h"

// One thread does all of HTTP and the sessions, without a lock: a session copies between descriptors, which never takes long,
// and whatever may block is done by the call pool. The thread is woken by the kernel only, so an idle server costs nothing.
namespace wherry::streaming {
namespace {

using asio::ip::tcp;

// Connections that have not shown a token yet. Those that have are bounded by who gets tokens.
constexpr int kMaxStrangers = 256;

absl::Status Failed(absl::string_view what, const Server::Options& options, error_code error) {
  return absl::UnavailableError(
      absl::StrCat(what, " ", options.address, " port ", options.port, ": ", error.message()));
}

}  // namespace

struct Server::Parts {
  Parts(const Options& options, Backend& backend)
      : acceptor(io), retry(io), context{io, calls, backend, options.idle, options.creation} {}

  absl::Status LoadKeys(const Options& options);
  absl::Status Listen(const Options& options);
  void Accept();
  void OnAccepted(tcp::socket socket);
  bool StopSessions();  // false when there was none

  CallPool calls;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  tcp::acceptor acceptor;
  asio::steady_timer retry;
  Tokens tokens;
  Context context;
  std::unique_ptr<TlsKeys> keys;  // null: without TLS
  std::string base;
  int strangers = 0;
  std::vector<std::weak_ptr<Stoppable>> sessions;  // those that are over are dropped when the list has doubled
  size_t sweep_at = 16;
  std::thread thread;
};

absl::Status Server::Parts::LoadKeys(const Options& options) {
  if (options.tls_cert_file.empty() && options.tls_key_file.empty()) return absl::OkStatus();
  if (options.tls_cert_file.empty() || options.tls_key_file.empty())
    return absl::InvalidArgumentError("streaming.tls_cert_file and streaming.tls_key_file go together");
  ASSIGN_OR_RETURN(keys, TlsKeys::Load(options.tls_cert_file, options.tls_key_file, options.warn));
  return absl::OkStatus();
}

absl::Status Server::Parts::Listen(const Options& options) {
  error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error)
    return absl::InvalidArgumentError(absl::StrCat("streaming.address \"", options.address, "\" is no IP address"));
  const tcp::endpoint endpoint(address, options.port);
  acceptor.open(endpoint.protocol(), error);
  if (error) return Failed("socket for", options, error);
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  acceptor.bind(endpoint, error);
  if (endpoint.address().is_loopback()) sys::UseLoopbackCongestionControl(acceptor.native_handle());
  if (error) return Failed("cannot bind streaming to", options, error);
  acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Failed("cannot listen on", options, error);
  // Whoever listens everywhere is reached by loopback too.
  const bool everywhere = address.is_unspecified();
  const std::string host = address.is_v6() ? absl::StrCat("[", everywhere ? "::1" : address.to_string(), "]")
                           : everywhere    ? "127.0.0.1"
                                           : address.to_string();
  base = absl::StrCat(keys == nullptr ? "http://" : "https://", host, ":", acceptor.local_endpoint(error).port());
  if (error) return Failed("getsockname of", options, error);
  return absl::OkStatus();
}

void Server::Parts::Accept() {
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
    if (!error) {
      OnAccepted(std::move(socket));
      return Accept();
    }
    retry.expires_after(std::chrono::milliseconds(100));  // out of descriptors, most likely
    retry.async_wait([this](error_code cancelled) {
      if (!cancelled) Accept();
    });
  });
}

void Server::Parts::OnAccepted(tcp::socket socket) {
  if (strangers >= kMaxStrangers) return;  // closed
  std::unique_ptr<Transport> transport =
      keys == nullptr ? TcpTransport(std::move(socket)) : keys->Accept(std::move(socket));
  if (transport == nullptr) return;  // no memory
  ++strangers;
  ServeHttp(context, tokens, std::move(transport),
            {[this](const std::shared_ptr<Stoppable>& session) {
               if (sessions.size() >= sweep_at) {
                 std::erase_if(sessions, [](const auto& weak) { return weak.expired(); });
                 sweep_at = 16 + 2 * sessions.size();
               }
               sessions.push_back(session);
             },
             [this] { --strangers; }});
}

bool Server::Parts::StopSessions() {
  error_code ignored;
  acceptor.close(ignored);
  retry.cancel();
  bool any = false;
  for (const auto& weak : std::exchange(sessions, {})) {
    auto session = weak.lock();
    if (session == nullptr) continue;
    session->Stop();
    any = true;
  }
  return any;
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Options& options, Backend& backend) {
  auto parts = std::make_unique<Parts>(options, backend);
  RETURN_IF_ERROR(parts->LoadKeys(options));
  RETURN_IF_ERROR(parts->Listen(options));
  parts->Accept();
  parts->thread = std::thread([io = &parts->io] { io->run(); });
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

absl::StatusOr<std::string> Server::Url(Request request) {
  const char* path = request.kind == Kind::kExec ? "exec" : request.kind == Kind::kAttach ? "attach" : "portforward";
  ASSIGN_OR_RETURN(const std::string token, parts_->tokens.Issue(std::move(request)));
  return absl::StrCat(parts_->base, "/", path, "/", token);
}

bool Server::Stop(absl::Duration grace) {
  if (!parts_->thread.joinable()) return true;
  const sys::Deadline deadline(grace);
  absl::Notification stopped;
  asio::post(parts_->io, [this, &stopped] {
    if (!parts_->StopSessions()) return stopped.Notify();
    // A moment for the last words.
    auto timer = std::make_shared<asio::steady_timer>(parts_->io, std::chrono::milliseconds(200));
    timer->async_wait([&stopped, timer](error_code) { stopped.Notify(); });
  });
  stopped.WaitForNotification();
  parts_->io.stop();
  parts_->thread.join();
  return parts_->calls.Drain(deadline);
}

Server::~Server() { Stop(absl::InfiniteDuration()); }

}  // namespace wherry::streaming

#include "cri/server/listener.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cri/server/socket.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/status.h"

// The synchronous server: each request has a thread while it runs, so that a handler may simply block (a pod's start waits
// for plugins, an exec for a process), and a thread that finds a request first makes sure that another one waits for the
// next. So no number of slow requests delays a list. Measured on gRPC 1.51, a Version round trip takes as long as with the
// callback API (about 0.2 ms, client included, of which the kernel's wake-ups are most), which would need a pool of its own
// for everything that blocks.
namespace wherry::server {
namespace {

constexpr int kMaxMessage = 16 << 20;  // what the kubelet's client accepts and sends
// Threads that stay when idle. Each costs some 60 KiB; making one costs 50 µs of somebody's latency.
constexpr int kIdleThreads = 8;

}  // namespace

Listener::Listener(std::unique_ptr<grpc::Server> server) : server_(std::move(server)) {}

Listener::~Listener() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Start(const std::string& socket,
                                                          const std::vector<grpc::Service*>& services) {
  RETURN_IF_ERROR(ClearSocketPath(socket));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessage);
  builder.SetMaxSendMessageSize(kMaxMessage);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, kIdleThreads);
  // Clients on the node may ping as they like; gRPC's default would take that for an attack and hang up.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  int bound = 0;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials(), &bound);
  for (grpc::Service* service : services) builder.RegisterService(service);
  // bind(2) makes the socket with what the umask leaves: from its first moment on it is not for others.
  const mode_t umask = ::umask(0117);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ::umask(umask);
  if (server == nullptr || bound == 0) return absl::UnavailableError(absl::StrCat("cannot listen on \"", socket, "\""));
  return std::unique_ptr<Listener>(new Listener(std::move(server)));
}

bool Listener::Drain(absl::Duration grace) {
  // Shutdown() returns only when the last handler has, whatever its deadline says: it may be left waiting, on a thread that
  // ends with the process.
  auto done = std::make_shared<sys::Event>();
  std::shared_ptr<grpc::Server> server = std::move(server_);
  std::thread([server, done, grace] {
    // gRPC measures what is left by the monotonic clock.
    server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(grace));
    done->Notify();
  }).detach();
  return done->WaitFor(grace + absl::Milliseconds(500));
}

}  // namespace wherry::server

#include "cri/server/watchdog.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <chrono>

#include "api/cri/v1/api.grpc.pb.h"

namespace wherry::server {
namespace cri = runtime::v1;
namespace {

// A list of pods that no pod is on: it takes the way of every request, and the store's lock.
grpc::Status Ask(cri::RuntimeService::Stub& stub, std::chrono::microseconds patience) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  cri::ListPodSandboxRequest request;
  (*request.mutable_filter()->mutable_label_selector())["wherry.watchdog"] = "1";
  cri::ListPodSandboxResponse response;
  return stub.ListPodSandbox(&context, request, &response);
}

timespec ToTimespec(std::chrono::microseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {seconds.count(), std::chrono::nanoseconds(time - seconds).count()};
}

}  // namespace

int WaitForSignal(const sigset_t& signals, const std::string& socket, const std::shared_ptr<spdlog::logger>& log) {
  uint64_t limit = 0;
  if (sd_watchdog_enabled(0, &limit) <= 0) {
    int signal = 0;
    sigwait(&signals, &signal);
    return signal;
  }
  const std::chrono::microseconds half(limit / 2);
  const timespec pause = ToTimespec(half);
  auto stub = cri::RuntimeService::NewStub(grpc::CreateChannel("unix://" + socket, grpc::InsecureChannelCredentials()));
  for (;;) {
    // The answer may take the other half, less what it takes to tell it.
    if (const int signal = sigtimedwait(&signals, nullptr, &pause); signal > 0) return signal;
    const grpc::Status answer = Ask(*stub, half * 4 / 5);
    if (answer.ok())
      sd_notify(0, "WATCHDOG=1");
    else
      log->error("wherryd does not answer itself: {}; the service manager may restart it", answer.error_message());
  }
}

}  // namespace wherry::server

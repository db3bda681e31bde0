#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/shim/connection.h"
#include "runtime/shim/container.h"
#include "runtime/shim/exec.h"
#include "runtime/shim/host_shutdown.h"
#include "runtime/shim/pod.h"

// The shim's heart: takes requests from connections, keeps the pod, its containers and execs, and tells of their ends.
namespace wherry::shim {

inline constexpr uint32_t kProtocolVersion = 3;

class Supervisor final : private Poller::Handler,
                         private Connection::Server,
                         private Container::Observer,
                         private Exec::Observer,
                         private HostShutdown::Observer {
 public:
  struct Options {
    std::string pod_id;
    sys::UniqueFd listener;         // bound and listening
    bool shm_in_namespace = false;  // see MakeSharedMemory
  };
  static absl::StatusOr<std::unique_ptr<Supervisor>> Create(Options options);
  ~Supervisor();

  // Serves until Shutdown has been asked for, or the host goes down and no container runs, and every child is reaped.
  void Run();

 private:
  // Owner of the pod's init in the reaper: nothing depends on its end.
  struct InitOwner final : Reaper::Owner {
    void OnExit(const ExitStatus&) override {}
  };

  Supervisor(Poller poller, Options options)
      : options_(std::move(options)), poller_(std::move(poller)), taps_(poller_) {}

  void OnReady(uint32_t events) override;  // the listener, or the deadline of a shutdown
  bool OnRequest(Connection& connection, v1::Request& request, std::vector<sys::UniqueFd> fds) override;
  void OnClosed(uint64_t id) override;
  void OnContainerStarted(Container& container, const absl::Status& status) override;
  void OnContainerEnded(Container& container) override;
  void OnExecStarted(Exec& exec, absl::StatusOr<sys::UniqueFd> tty_master) override;
  void OnExecEnded(Exec& exec, const v1::Exit& exit) override;
  void OnHostShutdown() override;

  // Each fills `reply`, or returns true when the reply comes later, or fails.
  absl::StatusOr<bool> Handle(Connection& connection, v1::Request& request, std::vector<sys::UniqueFd> fds,
                              v1::Message& reply);
  absl::Status Hello(Connection& connection, const v1::HelloRequest& request, v1::HelloReply* reply);
  absl::Status SetupPod(const v1::SetupPodRequest& request, v1::SetupPodReply* reply);
  absl::Status StartContainer(Asker asker, const v1::StartContainerRequest& request);
  absl::Status StartExec(Asker asker, const v1::ExecRequest& request, std::vector<sys::UniqueFd> fds);
  absl::Status Attach(Asker asker, const v1::AttachRequest& request);
  absl::Status Signal(const v1::SignalRequest& request);
  absl::Status SignalExec(const v1::SignalRequest& request);
  absl::Status Forget(const std::string& container_id);
  void State(v1::StateReply* reply) const;
  void Shutdown();
  void EndWithTheHost();

  absl::StatusOr<Container*> Find(const std::string& container_id) const;
  absl::Status MayStart() const;
  Workbench Bench() { return {poller_, *reaper_, *arena_, taps_, pod_->context}; }
  void Answer(Asker asker, v1::Message reply, std::vector<sys::UniqueFd> fds = {});

  Options options_;
  Poller poller_;
  std::unique_ptr<Reaper> reaper_;
  std::unique_ptr<HostShutdown> host_shutdown_;
  std::unique_ptr<LogArena> arena_;
  Taps taps_;
  bool setup_tried_ = false;
  std::optional<Pod> pod_;
  InitOwner init_owner_;
  std::map<std::string, std::unique_ptr<Container>> containers_;
  std::map<std::string, std::unique_ptr<Exec>> execs_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t last_connection_ = 0;
  bool host_goes_down_ = false;
  bool ending_ = false;
  bool overdue_ = false;
};

}  // namespace wherry::shim

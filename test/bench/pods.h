#pragma once

#include <string>
#include <vector>

#include "runtime/sys/status.h"
#include "test/bench/client.h"
#include "test/bench/log_watch.h"
#include "test/bench/report.h"

// A pod with one container, from nothing to its first line of output and back to nothing: the unit that every scenario
// is built of.
namespace wherry::bench {

struct Options {
  std::string image = "docker.io/library/busybox:latest";
  std::string log_root;       // a directory of the bench's own
  std::string cgroup_parent;  // for pods; "" = the runtime's default
  std::string cpu_cgroup;     // for CpuMeter
  std::vector<std::string> helpers = {"containerd-shim", "pause", "wherry-shim", "conmon"};
  int rounds = 50;     // life cycles one at a time, execs × 4
  int parallel = 8;    // life cycles at a time
  int idle_pods = 50;  // pods that stand still while memory and lists are measured
  int log_megabytes = 1000;
  std::string pull_repository;  // "registry/bulk", see bulk_registry.h; "" = none
  int daemon = 0;               // process id of the runtime
  int stream_megabytes = 1024;  // each way
  bool host_network = true, cni_network = true;
};

struct Pod {
  PodSpec spec;
  std::string id, container;
};

class Pods {
 public:
  Pods(Client& client, const Options& options) : client_(client), options_(options) {}

  // Run, create, start. Returns when the container's first byte is in its log. The container prints a line and sleeps.
  absl::StatusOr<Pod> Start(LogWatch& watch, const std::string& name, bool host_network);
  // The same with another command, which may end at once; does not wait for output.
  absl::StatusOr<Pod> StartCommand(const std::string& name, std::vector<std::string> command, std::string data_dir);
  // Stop and remove both.
  absl::Status Remove(const Pod& pod);
  absl::Status RemoveAll(const std::vector<Pod>& pods);

 private:
  absl::StatusOr<Pod> Prepare(const std::string& name, bool host_network);
  absl::Status Launch(Pod& pod, const ContainerSpec& container);

  Client& client_;
  const Options& options_;
};

// The scenarios; each adds its metrics and leaves no pod behind when it succeeds.
absl::Status MeasureLifeCycle(Client& client, const Options& options, Report& report);
absl::Status MeasureIdlePods(Client& client, const Options& options, Report& report);
absl::Status MeasureExec(Client& client, const Options& options, Report& report);
absl::Status MeasureLogs(Client& client, const Options& options, Report& report);
absl::Status MeasurePull(Client& client, const Options& options, Report& report);
absl::Status MeasureStreams(Client& client, const Options& options, Report& report);

// Prints two reports side by side: the peer's, ours, their ratio, and what wherry's design asks for.
std::string Compare(const Report& peer, const Report& ours);

}  // namespace wherry::bench

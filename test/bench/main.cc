// wherry-bench: measures a container runtime over its CRI socket, whichever runtime that is.
#include <stdlib.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "test/bench/bulk_registry.h"
#include "test/bench/pods.h"

namespace wherry::bench {
namespace {

constexpr const char* kDefaultEndpoint = "unix:///run/wherry/wherry.sock";

struct Arguments {
  std::string endpoint = kDefaultEndpoint;
  std::vector<std::string> only;
  std::string json;
  std::string peer, ours;  // of `compare`
  std::string registry;    // of `make-registry`
  Options options;
};

int Fail(const absl::Status& status) {
  std::cerr << "wherry-bench: " << status << "\n";
  return 1;
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file.fail() ? sys::Errno(absl::StrCat("write \"", path, "\"")) : absl::OkStatus();
}

absl::Status Measure(Client& client, const Arguments& arguments, Report& report) {
  struct Scenario {
    const char* name;
    absl::Status (*run)(Client&, const Options&, Report&);
  };
  for (const Scenario& scenario :
       {Scenario{"life", MeasureLifeCycle}, Scenario{"idle", MeasureIdlePods}, Scenario{"exec", MeasureExec},
        Scenario{"logs", MeasureLogs}, Scenario{"pull", MeasurePull}, Scenario{"streams", MeasureStreams}}) {
    const auto& only = arguments.only;
    if (!only.empty() && std::find(only.begin(), only.end(), scenario.name) == only.end()) continue;
    std::cerr << "measuring " << scenario.name << "…\n";
    RETURN_IF_ERROR_CTX(scenario.run(client, arguments.options, report), scenario.name);
  }
  return absl::OkStatus();
}

absl::Status Run(Arguments& arguments) {
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client, Client::Connect(arguments.endpoint));
  std::string dir = std::filesystem::temp_directory_path() / "wherry-bench.XXXXXX";
  if (arguments.options.log_root.empty()) {
    if (mkdtemp(dir.data()) == nullptr) return sys::Errno("mkdtemp");
    arguments.options.log_root = dir;
  }
  Report report;
  report.runtime = client->Runtime();
  report.Note(arguments.options.cpu_cgroup.empty()
                  ? "CPU: the whole machine's busy time, less an idle baseline"
                  : "CPU: of the runtime and all that it started, by cgroup; not of kernel threads");
  absl::Status status = Measure(*client, arguments, report);
  if (arguments.options.log_root == dir) {
    std::error_code ignored;  // what a failed run left in it is told by the run's own error
    std::filesystem::remove_all(dir, ignored);
  }
  RETURN_IF_ERROR(status);
  std::cout << report.Table();
  return arguments.json.empty() ? absl::OkStatus() : WriteText(arguments.json, report.Json());
}

absl::Status RunCompare(const Arguments& arguments) {
  ASSIGN_OR_RETURN(Report peer, Report::FromJsonFile(arguments.peer));
  ASSIGN_OR_RETURN(Report ours, Report::FromJsonFile(arguments.ours));
  std::cout << Compare(peer, ours);
  return absl::OkStatus();
}

void Describe(CLI::App& app, Arguments& arguments) {
  Options& options = arguments.options;
  app.add_option("--endpoint", arguments.endpoint, "CRI socket")
      ->envname("CONTAINER_RUNTIME_ENDPOINT")
      ->capture_default_str();
  app.add_option("--only", arguments.only, "scenarios: life, idle, exec, logs, pull, streams (default: all)")
      ->delimiter(',');
  app.add_option("--json", arguments.json, "write the report there, too");
  app.add_option("--image", options.image, "an image with a shell that the runtime has")->capture_default_str();
  app.add_option("--log-root", options.log_root, "directory for container logs (default: a temporary one)");
  app.add_option("--cgroup-parent", options.cgroup_parent, "cgroup_parent of the pods");
  app.add_option("--cpu-cgroup", options.cpu_cgroup,
                 "cgroup directory that holds the runtime and its pods, for CPU times (default: the whole machine)");
  app.add_option("--helper", options.helpers, "names of helper processes, as ps shows them")->capture_default_str();
  app.add_option("--rounds", options.rounds, "life cycles one at a time; twice as many in parallel, four times execs")
      ->capture_default_str();
  app.add_option("--parallel", options.parallel, "life cycles at a time")->capture_default_str();
  app.add_option("--idle-pods", options.idle_pods, "pods that stand still")->capture_default_str();
  app.add_option("--pull-repository", options.pull_repository, "what make-registry made: REGISTRY/bulk");
  app.add_option("--daemon", options.daemon, "process id of the runtime, whose memory is watched during pulls");
  app.add_option("--log-megabytes", options.log_megabytes, "how much the log writer prints")->capture_default_str();
  app.add_option("--stream-megabytes", options.stream_megabytes, "how much a stream carries each way")
      ->capture_default_str();
  app.add_flag("!--no-cni", options.cni_network, "only pods in the host's network");
  app.add_flag("!--no-host-network", options.host_network, "only pods with a network of their own");
}

}  // namespace
}  // namespace wherry::bench

int main(int argc, char** argv) {
  wherry::bench::Arguments arguments;
  CLI::App app("Measures a container runtime over its CRI socket.");
  wherry::bench::Describe(app, arguments);
  CLI::App* compare = app.add_subcommand("compare", "prints two JSON reports side by side");
  compare->add_option("peer", arguments.peer, "report of the runtime to compare with")->required();
  compare->add_option("ours", arguments.ours, "report of wherry")->required();
  CLI::App* make = app.add_subcommand("make-registry", "writes large images as docker-registry stores them");
  make->add_option("dir", arguments.registry, "the registry's storage directory")->required();
  CLI11_PARSE(app, argc, argv);
  if (make->parsed()) {
    const absl::Status made = wherry::bench::WriteBulkRegistry(arguments.registry);
    return made.ok() ? 0 : wherry::bench::Fail(made);
  }
  absl::Status status = compare->parsed() ? wherry::bench::RunCompare(arguments) : wherry::bench::Run(arguments);
  return status.ok() ? 0 : wherry::bench::Fail(status);
}

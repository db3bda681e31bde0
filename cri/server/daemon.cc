#include "cri/server/daemon.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "absl/time/time.h"
#include "cri/container/core.h"
#include "cri/container/inbox.h"
#include "cri/container/paths.h"
#include "cri/container/service.h"
#include "cri/image/store.h"
#include "cri/network/network.h"
#include "cri/pod/service.h"
#include "cri/server/cgroup_driver.h"
#include "cri/server/image_service.h"
#include "cri/server/listener.h"
#include "cri/server/programs.h"
#include "cri/server/runtime_service.h"
#include "cri/server/socket.h"
#include "cri/server/streaming_backend.h"
#include "cri/stats/collector.h"
#include "cri/store/store.h"
#include "cri/streaming/server.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/systemd.h"
#include "runtime/selinux/layers.h"
#include "runtime/shim/client.h"
#include "runtime/sys/status.h"

namespace wherry::server {

// Members are made from top to bottom and destroyed from bottom to top: what is below uses what is above.
struct Daemon::Parts {
  Parts(const config::Config& configuration, std::shared_ptr<spdlog::logger> logger)
      : config(configuration), log(std::move(logger)) {}

  const config::Config config;
  const std::shared_ptr<spdlog::logger> log;
  sys::UniqueFd root_lock, state_lock;
  container::HostFacts host;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<image::ImageStore> images;
  std::unique_ptr<cgroup::Cgroups> cgroups;
  std::unique_ptr<network::Network> network;
  container::Inbox inbox;
  std::unique_ptr<shim::Hub> hub;
  std::unique_ptr<container::Service> containers;
  std::unique_ptr<pod::Service> pods;
  std::unique_ptr<stats::Collector> stats;
  std::unique_ptr<StreamingBackend> streaming_backend;
  std::unique_ptr<streaming::Server> streaming;
  std::unique_ptr<Edge> edge;
  std::unique_ptr<RuntimeService> runtime_service;
  std::unique_ptr<ImageService> image_service;
  std::unique_ptr<WherryService> wherry_service;
  std::unique_ptr<Listener> listener;

  absl::Status Lock();
  absl::Status Open();
  absl::Status OpenImages();
  absl::Status OpenHost();
  void LabelForSelinux();
  absl::Status Recover();
  absl::Status Listen();
  void LookAfterAll();
};

absl::Status Daemon::Parts::Lock() {
  ASSIGN_OR_RETURN(root_lock, LockDirectory(config.root, 0711));
  ASSIGN_OR_RETURN(state_lock, LockDirectory(config.state, 0711));
  return absl::OkStatus();
}

// Side by side, since while a node boots each waits for its disk, some of it for modules of the kernel.
absl::Status Daemon::Parts::Open() {
  absl::Status image_status;
  std::thread probes([&] { host = container::HostFacts::Probe(config); });
  std::thread other([&] { image_status = OpenImages(); });
  auto opened = store::Store::Open(config.root + "/wherry.db");
  absl::Status status = opened.status();
  if (opened.ok()) {
    store = *std::move(opened);
    status = OpenHost();
  }
  other.join();
  probes.join();
  status.Update(image_status);
  return status;
}

absl::Status Daemon::Parts::OpenImages() {
  image::ImageStore::Options options;
  options.root = config.root;
  ASSIGN_OR_RETURN(options.pull_program, FindProgram(config.libexec_dir, "wherry-pull"));
  options.registry_config = config.registry.config_path;
  options.max_pulls = static_cast<size_t>(config.registry.max_parallel_pulls);
  options.parallel_layers = static_cast<uint32_t>(config.registry.max_parallel_layers);
  options.progress_timeout = absl::Seconds(config.registry.progress_timeout_seconds);
  options.verifiers = {config.image_verifier.bin_dir, config.image_verifier.max_verifiers,
                       absl::Seconds(config.image_verifier.per_verifier_timeout_seconds)};
  options.pinned = config.images.pinned;
  ASSIGN_OR_RETURN_CTX(images, image::ImageStore::Open(options), "image store");
  return absl::OkStatus();
}

absl::Status Daemon::Parts::OpenHost() {
  ASSIGN_OR_RETURN(const std::string shim_program, FindProgram(config.libexec_dir, "wherry-shim"));
  ASSIGN_OR_RETURN_CTX(cgroups, cgroup::OpenCgroupfs(), "cgroups");
  if (config.cgroup_driver == config::CgroupDriver::kSystemd)
    cgroups = cgroup::MakeSystemd(std::move(cgroups), shim_program);
  network::Network::Options cni{config.cni.conf_dir, config.cni.cache_dir, config.cni.bin_dirs,
                                config.cni.timeout_seconds};
  cni.max_networks = config.cni.max_networks;
  cni.pod_cidr_file = config.root + "/pod-cidr";
  ASSIGN_OR_RETURN_CTX(network, network::Network::Create(cni), "network");
  shim::Hub::Options shims;
  shims.shim_program = shim_program;
  ASSIGN_OR_RETURN_CTX(shims.shim_cgroup, ShimsCgroup(config, *cgroups), "cgroup of the shims");
  ASSIGN_OR_RETURN_CTX(hub, shim::Hub::Create(shims, inbox.events()), "shims");
  return absl::OkStatus();
}

void Daemon::Parts::LabelForSelinux() {
  const absl::Status& able = host.selinux;
  if (absl::IsUnimplemented(able)) return;
  absl::Status status = able;
  if (status.ok()) {
    auto label = selinux::LayerLabel();
    status = label.ok() ? selinux::LabelLayers(config.root + "/images", *label) : label.status();
  }
  if (!status.ok()) log->warn("SELinux labels of containers: {}", std::string(status.message()));
}

absl::Status Daemon::Parts::Recover() {
  const auto begin = std::chrono::steady_clock::now();
  container::Dependencies dependencies{config, *store, *images, *cgroups, *hub, inbox, host};
  containers = std::make_unique<container::Service>(dependencies);
  if (host.apparmor.ok() && !host.apparmor_default.ok())
    log->warn("containers that ask for no AppArmor profile run without one: {}",
              std::string(host.apparmor_default.message()));
  LabelForSelinux();
  pods = std::make_unique<pod::Service>(dependencies, *network, *containers);
  RETURN_IF_ERROR_CTX(pods->Recover(), "recovery");
  network->Ready();  // has the plugins asked whose answer the first Status will give
  images->HoldsRestored();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  log->info("{} pods and {} containers recovered in {:.1f} ms", store->Pods().size(), store->Containers().size(),
            took.count());
  return absl::OkStatus();
}

absl::Status Daemon::Parts::Listen() {
  stats = std::make_unique<stats::Collector>(
      *store, *cgroups,
      stats::Collector::Options{[paths = container::Paths(config)](const std::string& id) { return paths.upper(id); },
                                config.root});
  streaming_backend = std::make_unique<StreamingBackend>(*containers, *pods);
  streaming::Server::Options streams;
  streams.address = config.streaming.address;
  streams.port = config.streaming.port;
  streams.tls_cert_file = config.streaming.tls_cert_file;
  streams.tls_key_file = config.streaming.tls_key_file;
  streams.warn = [logger = log](const std::string& text) { logger->warn("{}", text); };
  ASSIGN_OR_RETURN(streaming, streaming::Server::Start(streams, *streaming_backend));
  edge = std::make_unique<Edge>(log);
  runtime_service = std::make_unique<RuntimeService>(
      *edge, RuntimeService::Backends{config, *pods, *containers, *network, *stats, *streaming, cgroups->layout()});
  image_service = std::make_unique<ImageService>(*edge, *images);
  wherry_service = std::make_unique<WherryService>(*edge, *images);
  ASSIGN_OR_RETURN(listener,
                   Listener::Start(config.socket, {runtime_service.get(), image_service.get(), wherry_service.get()}));
  log->info("serving on {}", config.socket);
  return absl::OkStatus();
}

// What nobody waits for, and would be in the way of who does: a plugin is called for each pod.
void Daemon::Parts::LookAfterAll() {
  pods->FinishInterrupted();
  network->LookAfterAll(container::Paths(config).all_netns());
}

namespace {

// Each pod costs a few descriptors, each request some more; the usual soft limit of 1024 would be a limit of pods. The hard
// one is what the administrator set. Children get their limits set when they are started.
void RaiseFileLimit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() = default;

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const config::Config& config,
                                                      std::shared_ptr<spdlog::logger> log) {
  RaiseFileLimit();
  ASSIGN_OR_RETURN(config::Config chosen, ChooseCgroupDriver(config));
  log->info("cgroup driver: {}", chosen.cgroup_driver == config::CgroupDriver::kSystemd ? "systemd" : "cgroupfs");
  auto parts = std::make_unique<Parts>(chosen, std::move(log));
  RETURN_IF_ERROR(parts->Lock());
  RETURN_IF_ERROR(parts->Open());
  RETURN_IF_ERROR(parts->Recover());
  RETURN_IF_ERROR(parts->Listen());
  parts->LookAfterAll();
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

bool Daemon::Stop() {
  parts_->pods->EndSubscriptions();
  // First who gives URLs, then who serves them. Both, even when one has not ended.
  const bool requests_ended = parts_->listener->Drain(absl::Seconds(2));
  return parts_->streaming->Stop(absl::Seconds(2)) && requests_ended;
}

}  // namespace wherry::server

// Requests for a pod and a container, well-formed as gRPC's are and otherwise anything, on their way to what the shim is told. What is not
// refused has to be something that a shim may be told, and a refusal has to say why.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "api/cri/v1/api.pb.h"
#include "cri/container/resources.h"
#include "cri/container/signals.h"
#include "cri/container/spec.h"
#include "cri/pod/core.h"
#include "runtime/cgroup/limits.h"
#include "test/fuzz/cri/mutate.h"
#include "test/fuzz/target.h"

namespace {

namespace container = wherry::container;
namespace cri = runtime::v1;
namespace shim = wherry::shim;

void Demand(bool ok) {
  if (!ok) std::abort();
}

constexpr uint64_t kHostCapabilities = (uint64_t{1} << 41) - 1;

container::HostFacts Host() {
  container::HostFacts host;
  host.capabilities = kHostCapabilities;
  host.recursive_read_only = true;
  host.masked_paths = {"/proc/kcore", "/proc/keys"};
  return host;
}

wherry::oci::ImageConfig Image() {
  wherry::oci::ImageConfig image;
  image.entrypoint = {"/bin/app"};
  image.env = {"A=1", "=x", "broken"};
  image.user = "app";
  image.working_dir = "work";
  return image;
}

bool IsClean(const std::string& path) {
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos) return false;
  if (path == "/") return true;
  for (absl::string_view part : absl::StrSplit(absl::string_view(path).substr(1), '/'))
    if (part.empty() || part == "." || part == "..") return false;
  return true;
}

void CheckProcess(const shim::v1::Process& process) {
  Demand(!process.args().empty() && !process.args(0).empty() && IsClean(process.cwd()));
  for (const auto& arg : process.args()) Demand(!absl::StrContains(arg, absl::string_view("\0", 1)));
  for (const auto& env : process.env())
    Demand(!absl::StrContains(env, absl::string_view("\0", 1)) && env.find('=') != 0 &&
           env.find('=') != std::string::npos);
  const auto& sets = process.capabilities();
  Demand((sets.bounding() & ~kHostCapabilities) == 0 && (sets.permitted() & ~sets.bounding()) == 0 &&
         (sets.ambient() & ~sets.permitted()) == 0);
  Demand(process.user().gid() != UINT32_MAX && process.oom_score_adj() >= -1000 && process.oom_score_adj() <= 1000);
  for (uint32_t group : process.user().additional_groups()) Demand(group != UINT32_MAX);
}

void CheckRootfs(const shim::v1::Rootfs& rootfs) {
  size_t depth = 0;
  for (const auto& mount : rootfs.mounts()) {
    Demand(mount.fs_type() == "bind" && IsClean(mount.source()) && IsClean(mount.destination()));
    Demand(mount.destination() != "/");
    const auto slashes = static_cast<size_t>(std::count(mount.destination().begin(), mount.destination().end(), '/'));
    Demand(slashes >= depth);
    depth = slashes;
  }
  for (const auto& path : rootfs.masked_paths()) Demand(IsClean(path));
  for (const auto& path : rootfs.readonly_paths()) Demand(IsClean(path));
}

// No part of a label is two, or ends a mount option.
void CheckLabels(const cri::SELinuxOption& options, const shim::v1::StartContainerRequest& spec) {
  const std::string& process = spec.process().selinux_label();
  Demand(!spec.privileged() || process.empty());
  for (const std::string& label : {process, spec.rootfs().mount_label()})
    Demand(label.find_first_of(" \"\n\\=\0", 0, 6) == std::string::npos);
  if (options.type().empty() || process.empty()) return;
  const std::vector<std::string> parts = absl::StrSplit(process, absl::MaxSplits(':', 3));
  Demand(parts.size() == 4 && parts[2] == options.type() && (options.level().empty() || parts[3] == options.level()));
}

void CheckSpec(const cri::CreateContainerRequest& request, const shim::v1::StartContainerRequest& spec) {
  const auto& security = container::SecurityOf(request.config());
  const auto& pod = request.sandbox_config().linux().security_context();
  CheckProcess(spec.process());
  CheckRootfs(spec.rootfs());
  CheckLabels(security.selinux_options(), spec);
  Demand(!spec.privileged() || pod.privileged());
  Demand(spec.rootfs().all_devices() == spec.privileged());
  Demand(spec.host_network() == (pod.namespace_options().network() == cri::NODE));
  Demand(spec.host_ipc() == (pod.namespace_options().ipc() == cri::NODE));
  Demand((spec.pid_namespace() != shim::v1::PID_HOST) || pod.namespace_options().pid() == cri::NODE);
  // An empty list is no way to see what is masked.
  if (!security.privileged() && pod.namespace_options().userns_options().uids().empty())
    Demand(!spec.rootfs().masked_paths().empty() && !spec.rootfs().readonly_paths().empty());
  Demand(spec.log().path().empty() || IsClean("/" + spec.log().path()));
  shim::v1::StartContainerRequest again;
  Demand(again.ParseFromString(spec.SerializeAsString()));
}

// The kubelet shows it to people.
void CheckRefusal(const absl::Status& status) {
  Demand(!status.message().empty());
  Demand(status.code() != absl::StatusCode::kInternal && status.code() != absl::StatusCode::kUnknown);
}

void CheckResources(const cri::LinuxContainerResources& from, const cri::LinuxContainerResources& to) {
  cri::LinuxContainerResources merged = to;
  container::MergeResources(from, merged);
  for (const cri::LinuxContainerResources* resources :
       std::array<const cri::LinuxContainerResources*, 3>{&from, &to, &merged}) {
    auto cgroup = container::ToCgroup(*resources);
    absl::Status status = cgroup.status();
    if (status.ok()) status = wherry::cgroup::CheckResources(*cgroup);
    if (!status.ok()) CheckRefusal(status);
  }
}

void Try(cri::CreateContainerRequest request) {
  cri::RunPodSandboxRequest run;
  *run.mutable_config() = request.sandbox_config();
  for (bool systemd : {false, true})
    if (absl::Status status = wherry::pod::Validate(run, systemd); !status.ok()) CheckRefusal(status);
  CheckResources(request.config().linux().resources(), request.sandbox_config().linux().resources());
  auto signal = container::SignalFromCri(request.config().stop_signal());
  Demand(!signal.ok() || (*signal >= 0 && *signal <= 64));

  run.mutable_config()->mutable_linux()->clear_cgroup_parent();
  if (!wherry::pod::Validate(run, false).ok()) return;
  // Those come with layers of other images, which are held before.
  auto& mounts = *request.mutable_config()->mutable_mounts();
  for (int i = mounts.size(); i-- > 0;)
    if (mounts[i].has_image() || !mounts[i].image_sub_path().empty()) mounts.DeleteSubrange(i, 1);
  wherry::store::PodRecord pod;
  pod.set_id("pod");
  *pod.mutable_config() = request.sandbox_config();
  pod.set_selinux_process_label("system_u:system_r:container_t:s0:c1,c2");
  pod.set_selinux_file_label("system_u:object_r:container_file_t:s0:c1,c2");
  wherry::config::Config config;
  const container::Paths paths(config);
  static const container::HostFacts kHost = Host();
  static const wherry::oci::ImageConfig kImage = Image();
  const std::string id = "container";
  const std::vector<std::string> layers = {"/layer"};
  const wherry::config::Handler handler;
  auto spec = container::BuildSpec({id, request.config(), pod, kImage, layers, {}, paths, kHost, handler});
  if (spec.ok())
    CheckSpec(request, *spec);
  else if (request.config().devices().empty())  // those are files of this host, and it says what it likes
    CheckRefusal(spec.status());
}

cri::CreateContainerRequest Ordinary() {
  cri::CreateContainerRequest request;
  auto& pod = *request.mutable_sandbox_config();
  pod.mutable_metadata()->set_name("web");
  pod.mutable_metadata()->set_namespace_("default");
  pod.mutable_metadata()->set_uid("u1");
  pod.set_log_directory("/var/log/pods/web");
  auto& config = *request.mutable_config();
  config.mutable_metadata()->set_name("c");
  config.mutable_image()->set_image("busybox");
  config.add_command("sh");
  config.set_log_path("c/0.log");
  auto& env = *config.add_envs();
  env.set_key("K");
  env.set_value("v");
  auto& label = *config.mutable_linux()->mutable_security_context()->mutable_selinux_options();
  label.set_type("container_init_t");
  label.set_level("s0:c3,c4");
  auto& mount = *config.add_mounts();
  mount.set_host_path("/srv/data");
  mount.set_container_path("/data");
  return request;
}

}  // namespace

std::vector<std::string> wherry::fuzz::Seeds() {
  cri::CreateContainerRequest limited = Ordinary();
  auto& resources = *limited.mutable_config()->mutable_linux()->mutable_resources();
  resources.set_cpu_shares(512);
  resources.set_cpu_quota(50000);
  resources.set_cpu_period(100000);
  resources.set_memory_limit_in_bytes(64 << 20);
  (*resources.mutable_unified())["memory.high"] = "1000000";
  auto& security = *limited.mutable_config()->mutable_linux()->mutable_security_context();
  security.mutable_run_as_user()->set_value(1000);
  security.mutable_capabilities()->add_drop_capabilities("ALL");
  security.mutable_capabilities()->add_add_capabilities("NET_BIND_SERVICE");
  security.add_masked_paths("/proc/kcore");
  security.set_readonly_rootfs(true);

  cri::CreateContainerRequest privileged = Ordinary();
  auto& host = *privileged.mutable_sandbox_config()->mutable_linux()->mutable_security_context();
  host.set_privileged(true);
  host.mutable_namespace_options()->set_network(cri::NODE);
  host.mutable_namespace_options()->set_pid(cri::NODE);
  auto& same = *privileged.mutable_config()->mutable_linux()->mutable_security_context();
  same.set_privileged(true);
  *same.mutable_namespace_options() = host.namespace_options();
  auto& device = *privileged.mutable_config()->add_devices();
  device.set_host_path("/dev/null");
  device.set_container_path("/dev/nothing");
  device.set_permissions("rw");

  cri::CreateContainerRequest users = Ordinary();
  auto& options =
      *users.mutable_sandbox_config()->mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options.set_pid(cri::CONTAINER);
  options.mutable_userns_options()->set_mode(cri::POD);
  for (auto* map : {options.mutable_userns_options()->add_uids(), options.mutable_userns_options()->add_gids()}) {
    map->set_host_id(1 << 20);
    map->set_length(1 << 16);
  }
  return {Ordinary().SerializeAsString(), limited.SerializeAsString(), privileged.SerializeAsString(),
          users.SerializeAsString()};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)google::protobuf::SetLogHandler(nullptr);
  cri::CreateContainerRequest request;
  if (request.ParseFromArray(data, static_cast<int>(size))) Try(std::move(request));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  cri::CreateContainerRequest request;
  if (!request.ParseFromArray(data, static_cast<int>(size))) request = Ordinary();
  std::mt19937 random(seed);
  for (unsigned i = 0; i <= seed % 3; ++i) wherry::fuzz::Mutate(request, random);
  const size_t length = request.ByteSizeLong();
  if (length > max_size) return size;
  (void)request.SerializeToArray(data, static_cast<int>(length));
  return length;
}

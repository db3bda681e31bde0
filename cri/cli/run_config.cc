// The flags of `wherry run` as CRI messages. Everything a kubelet would send and that is not the zero value has to be said: for CRI an
// absent PID mode means one PID namespace for the pod, an absent seccomp profile means none, and an empty list of masked paths
// means that nothing is masked.

#include "cri/cli/run_config.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/format.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

constexpr int64_t kCpuPeriod = 100000;
// Files of the kernel that tell about the host or act on it (Kubernetes' procMount: Default).
constexpr const char* kMasked[] = {"/proc/acpi",        "/proc/asound",  "/proc/interrupts",
                                   "/proc/kcore",       "/proc/keys",    "/proc/latency_stats",
                                   "/proc/sched_debug", "/proc/scsi",    "/proc/timer_list",
                                   "/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap"};
constexpr const char* kReadOnly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

absl::Status Bad(absl::string_view flag, const absl::Status& status) { return sys::Annotate(status, flag); }
absl::Status Bad(absl::string_view flag, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", text));
}

absl::Status SetResources(const RunOptions& options, cri::LinuxContainerResources& out) {
  if (!options.memory.empty()) {
    auto bytes = ParseBytes(options.memory);
    if (!bytes.ok()) return Bad("--memory", bytes.status());
    out.set_memory_limit_in_bytes(*bytes);
    out.set_memory_swap_limit_in_bytes(*bytes);  // no swap
  }
  if (!options.cpus.empty()) {
    auto quota = ParseCpus(options.cpus);
    if (!quota.ok()) return Bad("--cpus", quota.status());
    out.set_cpu_period(kCpuPeriod);
    out.set_cpu_quota(*quota);
  }
  if (options.pids_limit < 0) return Bad("--pids-limit", "must be 1 or more");
  // CRI has no field for it but this one.
  if (options.pids_limit > 0) (*out.mutable_unified())["pids.max"] = absl::StrCat(options.pids_limit);
  return absl::OkStatus();
}

absl::Status SetUser(const std::string& user, cri::LinuxContainerSecurityContext& out) {
  if (user.empty()) return absl::OkStatus();
  const std::vector<std::string> parts = absl::StrSplit(user, ':');
  uint32_t uid = 0, gid = 0;
  const bool numeric = absl::SimpleAtoi(parts[0], &uid);
  if (numeric)
    out.mutable_run_as_user()->set_value(uid);
  else
    out.set_run_as_username(parts[0]);
  if (parts.size() == 1) return absl::OkStatus();
  if (parts.size() > 2 || !absl::SimpleAtoi(parts[1], &gid))
    return Bad("--user", absl::StrCat("\"", user, "\" is not UID, UID:GID or NAME"));
  out.mutable_run_as_group()->set_value(gid);
  return absl::OkStatus();
}

absl::Status AddVolume(const std::string& volume, cri::ContainerConfig& out) {
  const std::vector<std::string> parts = absl::StrSplit(volume, ':');
  const bool ro = parts.size() == 3 && parts[2] == "ro";
  if (parts.size() < 2 || parts.size() > 3 || (parts.size() == 3 && !ro) || parts[0].empty() || parts[1].empty() ||
      parts[1][0] != '/')
    return Bad("--volume", absl::StrCat("\"", volume, "\" is not HOST:CONTAINER or HOST:CONTAINER:ro"));
  std::error_code error;
  const std::string host = std::filesystem::canonical(parts[0], error).string();
  if (error) return Bad("--volume", absl::StrCat("\"", parts[0], "\": ", error.message()));
  auto* mount = out.add_mounts();
  mount->set_host_path(host);
  mount->set_container_path(parts[1]);
  mount->set_readonly(ro);
  return absl::OkStatus();
}

absl::Status AddEnv(const std::string& env, cri::ContainerConfig& out) {
  const std::pair<std::string, std::string> pair = absl::StrSplit(env, absl::MaxSplits('=', 1));
  if (pair.first.empty()) return Bad("--env", absl::StrCat("\"", env, "\" has no name"));
  std::string value = pair.second;
  if (env.find('=') == std::string::npos) {
    const char* own = ::getenv(env.c_str());
    if (own == nullptr) return absl::OkStatus();
    value = own;
  }
  auto* entry = out.add_envs();
  entry->set_key(pair.first);
  entry->set_value(value);
  return absl::OkStatus();
}

// It becomes a host name and part of a file name.
bool IsName(absl::string_view name) {
  const auto plain = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-'; };
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), plain) && name[0] != '-';
}

void SetPod(const RunOptions& options, const RunNames& names, cri::PodSandboxConfig& pod) {
  pod.mutable_metadata()->set_name(names.name);
  pod.mutable_metadata()->set_uid(names.uid);
  pod.mutable_metadata()->set_namespace_("default");
  const bool host = options.network == "host";
  if (!host) pod.set_hostname(names.name);
  pod.set_log_directory(names.log_dir);
  (*pod.mutable_annotations())[kLogDirAnnotation] = names.log_dir;
  pod.mutable_linux()->set_cgroup_parent(options.cgroup_parent);
  auto* security = pod.mutable_linux()->mutable_security_context();
  security->mutable_namespace_options()->set_network(host ? cri::NODE : cri::POD);
  security->mutable_namespace_options()->set_pid(cri::CONTAINER);
  security->set_privileged(options.privileged);
  security->mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
}

}  // namespace

RunConfig::RunConfig()
    : pod(std::make_unique<cri::PodSandboxConfig>()), container(std::make_unique<cri::ContainerConfig>()) {}
RunConfig::RunConfig(RunConfig&&) noexcept = default;
RunConfig::~RunConfig() = default;

absl::Status MakeRunConfig(const RunOptions& options, const RunNames& names, RunConfig& config) {
  if (options.network != "pod" && options.network != "host") return Bad("--network", "must be pod or host");
  if (!IsName(names.name)) return Bad("--name", "must be 1 to 63 letters, digits and hyphens");
  SetPod(options, names, *config.pod);
  cri::ContainerConfig& out = *config.container;
  out.mutable_metadata()->set_name(names.name);
  out.mutable_image()->set_user_specified_image(options.image);
  for (const std::string& word : options.command) out.add_args(word);
  out.set_working_dir(options.workdir);
  out.set_log_path(names.name + ".log");
  for (const std::string& env : options.env) RETURN_IF_ERROR(AddEnv(env, out));
  for (const std::string& volume : options.volumes) RETURN_IF_ERROR(AddVolume(volume, out));
  RETURN_IF_ERROR(SetResources(options, *out.mutable_linux()->mutable_resources()));
  auto* security = out.mutable_linux()->mutable_security_context();
  *security->mutable_namespace_options() = config.pod->linux().security_context().namespace_options();
  if (options.privileged) {
    security->set_privileged(true);
    return SetUser(options.user, *security);
  }
  security->mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
  for (const char* path : kMasked) security->add_masked_paths(path);
  for (const char* path : kReadOnly) security->add_readonly_paths(path);
  return SetUser(options.user, *security);
}

}  // namespace wherry::cli

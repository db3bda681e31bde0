// wherry doctor: what this host has and lacks, one line each. A finding says what was tried, what it means when it is missing, and
// what to do about it; "lacks" is something that wherry does without, "FAULT" something that it does not. Everything is tried for
// real by runtime/sys/probe and runtime/cgroup, so that the answer also holds inside containers and under security modules.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/findings.h"
#include "cri/cli/format.h"
#include "cri/config/config.h"
#include "runtime/apparmor/apparmor.h"
#include "runtime/cgroup/layout.h"
#include "runtime/selinux/selinux.h"
#include "runtime/sys/file.h"
#include "runtime/sys/probe.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kCapSysResource = 24;

void CheckKernel(Findings& out) {
  const std::string release = sys::KernelRelease();
  out.Add("kernel", sys::ReleaseIsAtLeast(release, 5, 14), release, "wherry is made for Linux 5.14 and newer",
          "boot a newer kernel");
  if (::geteuid() != 0)
    out.Lacks("root", "not root: what follows is what this user may do", "run wherry doctor as root");
}

void CheckProcesses(Findings& out) {
  out.Probe("clone3, pidfd", sys::ProbeClone3(), "containers cannot be started", "boot Linux 5.3 or newer");
  out.Probe("pidfd_open", sys::ProbePidfd(), "processes cannot be waited for safely", "boot Linux 5.3 or newer");
  out.Probe("openat2", sys::ProbeOpenat2(), "paths in images cannot be resolved safely", "boot Linux 5.6 or newer");
  out.Probe("CLONE_INTO_CGROUP", sys::ProbeCloneIntoCgroup(), "a container enters its cgroup only after it was cloned",
            "boot Linux 5.7 or newer");
}

void CheckMounts(Findings& out, const std::string& root) {
  out.Probe("mount API (fsopen, fsmount)", sys::ProbeMountApi(), "root filesystems cannot be made",
            "boot Linux 5.2 or newer, as root");
  out.Probe("mount_setattr", sys::ProbeMountSetattr(), "mounts cannot be made read-only recursively",
            "boot Linux 5.12 or newer, as root");
  out.Optional("overlay lowerdir+", sys::ProbeOverlayLowerdirs(),
               "layers are given in one string, which limits their number", "boot Linux 6.7 or newer");
  out.Optional("clone of detached mounts", sys::ProbeCloneDetached(),
               "a small mount namespace per pod holds what its containers share", "boot Linux 6.15 or newer");
  std::error_code error;
  const std::string dir = fs::exists(root, error) ? root : "/";
  out.Optional(absl::StrCat("idmapped mounts (", dir, ")"), sys::ProbeIdmappedMount(dir),
               "pods with user namespaces cannot have volumes from this file system",
               "use ext4, xfs or btrfs on Linux 5.12 or newer");
  out.Optional("idmapped mounts (/run)", sys::ProbeIdmappedMount("/run"),
               "pods with user namespaces cannot have volumes in memory, such as secrets and tokens",
               "boot Linux 6.3 or newer");
  auto shared = sys::IsShared("/");
  out.Optional("/ is a shared mount", shared.ok() && *shared ? absl::OkStatus() : absl::NotFoundError("it is private"),
               "volumes with mount propagation (HostToContainer, Bidirectional) are refused", "mount --make-rshared /");
}

// Controllers of all trees, and what a container needs of them.
void CheckCgroups(Findings& out) {
  auto layout = cgroup::DetectLayout("/sys/fs/cgroup");
  if (!layout.ok()) {
    out.Fault("cgroups", std::string(layout.status().message()), "mount -t cgroup2 none /sys/fs/cgroup");
    return;
  }
  std::vector<std::string> controllers;
  for (const auto& hierarchy : layout->v1)
    controllers.insert(controllers.end(), hierarchy.controllers.begin(), hierarchy.controllers.end());
  if (!layout->unified.empty()) {
    auto text = sys::ReadFileAt(AT_FDCWD, layout->unified + "/cgroup.controllers");
    if (text.ok())
      for (absl::string_view name : absl::StrSplit(absl::StripAsciiWhitespace(*text), ' ', absl::SkipEmpty()))
        controllers.emplace_back(name);
  }
  if (layout->Name() == "v2")
    out.Ok("cgroup layout", "v2");
  else
    out.Lacks("cgroup layout", layout->Name() + ": works, but v1 is at its end in Kubernetes",
              "boot with systemd.unified_cgroup_hierarchy=1");
  std::vector<std::string> missing;
  for (const char* name : {"cpu", "cpuset", "memory", "pids"}) {
    if (std::find(controllers.begin(), controllers.end(), name) == controllers.end()) missing.emplace_back(name);
  }
  if (missing.empty())
    out.Ok("cgroup controllers", absl::StrJoin(controllers, " "));
  else
    out.Fault("cgroup controllers", absl::StrCat("without ", absl::StrJoin(missing, " "), ": such limits are refused"),
              "enable them on the kernel's command line (cgroup_enable=memory)");
  // The root cgroup has no cgroup.kill; any other has.
  out.Optional("cgroup.kill",
               layout->unified.empty() || !sys::ReleaseIsAtLeast(sys::KernelRelease(), 5, 14)
                   ? absl::NotFoundError("no v2 tree")
                   : absl::OkStatus(),
               "containers are killed by freezing and signalling", "mount a cgroup2 tree");
  if (layout->Name() == "v2")
    out.Probe("eBPF device filter", sys::ProbeBpfDevices(), "devices cannot be denied",
              "a kernel with CONFIG_CGROUP_BPF, as root");
}

void CheckSecurity(Findings& out) {
  out.Probe("seccomp filters", sys::ProbeSeccomp(), "pods with a seccomp profile are refused",
            "a kernel with CONFIG_SECCOMP_FILTER");
  const absl::Status apparmor = apparmor::CheckHost();
  out.Optional("AppArmor", apparmor, "pods that ask for a profile are refused",
               "boot with apparmor=1 security=apparmor, if the distribution uses it");
  if (apparmor.ok())
    out.Optional("AppArmor's default profile", apparmor::Loader::CheckDefault(),
                 "pods that ask for no profile run without one", "install Debian's package apparmor");
  const absl::Status selinux = selinux::CheckHost();
  out.Optional("SELinux", selinux, "pods that ask for a label are refused",
               "boot with selinux=1, if the distribution uses it");
  if (selinux.ok())
    out.Optional("SELinux's labels for containers", selinux::DefaultLabels().status(),
                 "containers get none, and pods that ask for one are refused", "install container-selinux");
  out.Optional("user namespaces", sys::ProbeUserNamespace(), "pods with hostUsers: false are refused",
               "sysctl user.max_user_namespaces=65536");
  auto resource = sys::HasCapability(kCapSysResource);
  out.Optional(
      "CAP_SYS_RESOURCE", resource.ok() && *resource ? absl::OkStatus() : absl::PermissionDeniedError("not held"),
      "oom_score_adj cannot be lowered and hard limits cannot be raised", "give this environment the capability");
}

// The plugin programs that a configuration names by "type".
void CheckPlugins(Findings& out, const std::string& file, const std::vector<std::string>& bin_dirs) {
  auto text = sys::ReadFileAt(AT_FDCWD, file);
  auto json = text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  if (!json.is_object()) return out.Fault("CNI configuration", file + " is not JSON", "correct it");
  auto plugins =
      json.contains("plugins") && json["plugins"].is_array() ? json["plugins"] : nlohmann::json::array({json});
  std::vector<std::string> missing, types;
  for (const auto& plugin : plugins) {
    const std::string type =
        plugin.is_object() && plugin.contains("type") && plugin["type"].is_string() ? plugin["type"] : "";
    types.push_back(type);
    const bool found = std::any_of(bin_dirs.begin(), bin_dirs.end(), [&](const std::string& dir) {
      return !type.empty() && ::access(absl::StrCat(dir, "/", type).c_str(), X_OK) == 0;
    });
    if (!found) missing.push_back(type);
  }
  if (missing.empty()) return out.Ok("CNI plugins", absl::StrJoin(types, " "));
  out.Fault("CNI plugins", absl::StrCat(absl::StrJoin(missing, " "), " in none of ", absl::StrJoin(bin_dirs, ":")),
            "install them there, or set [cni] bin_dirs");
}

void CheckNetwork(Findings& out, const config::Config& config) {
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(config.cni.conf_dir, error)) {
    const std::string extension = entry.path().extension();
    if (extension == ".conflist" || extension == ".conf" || extension == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    out.Fault("CNI configuration",
              absl::StrCat("none in ", config.cni.conf_dir, ": only pods with the host's network can run"),
              "install a network add-on, or write a .conflist");
  } else {
    out.Ok("CNI configuration", files.front());
    CheckPlugins(out, files.front(), config.cni.bin_dirs);
  }
  auto forward = sys::ReadFileAt(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", 16);
  out.Optional("IPv4 forwarding",
               forward.ok() && absl::StartsWith(*forward, "1") ? absl::OkStatus() : absl::NotFoundError("off"),
               "pods do not reach beyond this node", "sysctl net.ipv4.ip_forward=1");
}

void CheckDaemon(Findings& out, Client& client) {
  auto version = client.Get<cri::VersionResponse>(cri::VersionRequest(), absl::Seconds(5));
  if (!version.ok()) {
    out.Fault("wherryd", std::string(version.status().message()), "start wherryd, or name its socket with --endpoint");
    return;
  }
  out.Ok("wherryd", absl::StrCat(version->runtime_name(), " ", version->runtime_version()));
  auto status = client.Get<cri::StatusResponse>(cri::StatusRequest(), absl::Seconds(5));
  if (!status.ok()) return out.Fault("wherryd status", std::string(status.status().message()), "see wherryd's log");
  for (const auto& condition : status->status().conditions()) {
    if (condition.status())
      out.Ok(condition.type(), "");
    else
      out.Fault(condition.type(), absl::StrCat(condition.reason(), ": ", condition.message()), "see wherryd's log");
  }
}

}  // namespace

absl::StatusOr<int> Doctor(Client& client, const std::string& config_file) {
  config::Config config;
  Findings findings;
  if (::access(config_file.c_str(), F_OK) == 0) {
    auto loaded = config::Load(config_file);
    if (loaded.ok()) {
      config = *loaded;
      findings.Ok("configuration", config_file);
    } else {
      findings.Fault("configuration", std::string(loaded.status().message()), "correct it");
    }
  } else {
    findings.Ok("configuration", absl::StrCat("defaults (no ", config_file, ")"));
  }
  CheckKernel(findings);
  CheckProcesses(findings);
  CheckMounts(findings, config.root);
  CheckCgroups(findings);
  CheckSecurity(findings);
  CheckNetwork(findings, config);
  CheckDaemon(findings, client);
  std::cout << findings.Text();
  return findings.faults() == 0 ? 0 : 1;
}

}  // namespace wherry::cli

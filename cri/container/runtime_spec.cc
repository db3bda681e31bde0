#include "cri/container/runtime_spec.h"

#include "absl/strings/str_cat.h"

namespace wherry::container {
namespace {

using Json = nlohmann::json;

template <typename List>
Json ToList(const List& list) {
  Json out = Json::array();
  for (const auto& item : list) out.push_back(item);
  return out;
}

Json Process(const store::ContainerRecord& record, const shim::v1::Process& process) {
  const auto& user = record.user().linux();
  return {{"args", ToList(process.args())},
          {"cwd", process.cwd()},
          {"terminal", process.tty()},
          {"noNewPrivileges", process.no_new_privs()},
          {"apparmorProfile", process.apparmor_profile()},
          {"selinuxLabel", process.selinux_label()},
          {"oomScoreAdj", process.oom_score_adj()},
          {"user", {{"uid", user.uid()}, {"gid", user.gid()}, {"additionalGids", ToList(user.supplemental_groups())}}}};
}

Json Mounts(const shim::v1::Rootfs& rootfs) {
  Json out = Json::array();
  for (const auto& mount : rootfs.mounts()) {
    Json options = Json::array({mount.readonly() ? "ro" : "rw"});
    if (mount.nosuid()) options.push_back("nosuid");
    if (mount.nodev()) options.push_back("nodev");
    if (mount.noexec()) options.push_back("noexec");
    static const char* const kPropagation[] = {"rprivate", "rslave", "rshared"};
    if (mount.propagation() <= shim::v1::BIDIRECTIONAL) options.push_back(kPropagation[mount.propagation()]);
    out.push_back({{"destination", mount.destination()},
                   {"source", mount.source()},
                   {"type", mount.fs_type()},
                   {"options", std::move(options)}});
  }
  return out;
}

// Namespaces of a running container can be entered by these paths; the kinds that it shares with the host are left out.
Json Namespaces(const store::ContainerRecord& record, const shim::v1::StartContainerRequest& spec) {
  Json out = Json::array();
  auto add = [&](const char* type, const char* file) {
    Json one = {{"type", type}};
    if (record.state() == store::RUNNING) one["path"] = absl::StrCat("/proc/", record.pid(), "/ns/", file);
    out.push_back(std::move(one));
  };
  add("mount", "mnt");
  add("cgroup", "cgroup");
  if (spec.pid_namespace() != shim::v1::PID_HOST) add("pid", "pid");
  if (!spec.host_ipc()) add("ipc", "ipc");
  if (!spec.host_network()) {
    add("network", "net");
    add("uts", "uts");
  }
  return out;
}

Json Resources(const ::runtime::v1::LinuxContainerResources& resources) {
  Json cpu = {{"shares", resources.cpu_shares()},
              {"quota", resources.cpu_quota()},
              {"period", resources.cpu_period()},
              {"cpus", resources.cpuset_cpus()},
              {"mems", resources.cpuset_mems()}};
  Json pages = Json::array(), unified = Json::object();
  for (const auto& page : resources.hugepage_limits())
    pages.push_back({{"pageSize", page.page_size()}, {"limit", page.limit()}});
  for (const auto& [file, value] : resources.unified()) unified[file] = value;
  return {{"cpu", std::move(cpu)},
          {"memory", {{"limit", resources.memory_limit_in_bytes()}, {"swap", resources.memory_swap_limit_in_bytes()}}},
          {"hugepageLimits", std::move(pages)},
          {"unified", std::move(unified)}};
}

}  // namespace

Json RuntimeSpec(const store::ContainerRecord& record, const shim::v1::StartContainerRequest& spec) {
  Json devices = Json::array();
  for (const auto& device : spec.rootfs().devices()) devices.push_back({{"path", device.path()}});
  Json linux_part = {{"cgroupsPath", record.cgroup_path()},
                     {"namespaces", Namespaces(record, spec)},
                     {"resources", Resources(record.resources())},
                     {"devices", std::move(devices)},
                     {"mountLabel", spec.rootfs().mount_label()},
                     {"maskedPaths", ToList(spec.rootfs().masked_paths())},
                     {"readonlyPaths", ToList(spec.rootfs().readonly_paths())}};
  return {{"process", Process(record, spec.process())},
          {"root", {{"path", spec.work_directory()}, {"readonly", spec.rootfs().readonly()}}},
          {"mounts", Mounts(spec.rootfs())},
          {"linux", std::move(linux_part)}};
}

}  // namespace wherry::container

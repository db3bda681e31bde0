#pragma once

#include <string>

#include "cri/config/config.h"
#include "runtime/cgroup/unit.h"

// The names of everything that a pod or a container owns on the host. All derive from its id and the configuration and
// are written down nowhere: after a crash the same functions find what is left.
namespace wherry::container {

class Paths {
 public:
  explicit Paths(const config::Config& config)
      : root_(config.root), state_(config.state), cgroup_parent_(config.cgroup_parent) {}

  // Gone after a reboot (tmpfs), 0700.
  std::string pods() const { return state_ + "/pods"; }
  std::string pod(const std::string& id) const { return pods() + "/" + id; }
  std::string shim_socket(const std::string& id) const { return pod(id) + "/shim.sock"; }
  std::string resolv_conf(const std::string& id) const { return pod(id) + "/resolv.conf"; }
  std::string hostname(const std::string& id) const { return pod(id) + "/hostname"; }
  std::string hosts(const std::string& id) const { return pod(id) + "/hosts"; }
  // One bind mount of a network namespace for each pod with a network of its own.
  std::string all_netns() const { return state_ + "/netns"; }
  std::string netns(const std::string& id) const { return all_netns() + "/" + id; }

  // Survives reboots, 0700.
  std::string containers() const { return root_ + "/containers"; }
  std::string container(const std::string& id) const { return containers() + "/" + id; }
  std::string upper(const std::string& id) const { return container(id) + "/upper"; }
  std::string work(const std::string& id) const { return container(id) + "/work"; }
  // The lowest layer of image volumes: overlayfs wants two of them at least.
  std::string empty(const std::string& id) const { return container(id) + "/empty"; }
  std::string volumes(const std::string& id) const { return container(id) + "/volumes"; }

  // Below the cgroup root. Pods with a cgroup_parent have that as their cgroup, and no cgroup of wherry's own. With the systemd driver they
  // are slices: below the parent a.slice it is a-pods.slice, and in that a-pods-ID.slice.
  std::string own_cgroups() const {
    return cgroup::IsSlice(cgroup_parent_) ? Below("-pods") : cgroup_parent_ + "/pods";
  }
  std::string own_pod_cgroup(const std::string& id) const {
    return cgroup::IsSlice(cgroup_parent_) ? own_cgroups() + "/" + cgroup::UnitOf(Below("-pods-" + id))
                                           : own_cgroups() + "/" + id;
  }
  // The id of the pod to which a directory in own_cgroups() belongs; not an id if it belongs to none.
  std::string pod_of_own_cgroup(const std::string& name) const {
    if (!cgroup::IsSlice(name)) return name;
    return name.substr(name.rfind('-') + 1, name.rfind('.') - name.rfind('-') - 1);
  }
  // Where the PID 1 of a shared PID namespace lives: beside the pod's containers.
  static std::string pod_init_cgroup(const std::string& pod_cgroup, const std::string& pod_id) {
    return container_cgroup(pod_cgroup, pod_id);
  }
  static std::string container_cgroup(const std::string& pod_cgroup, const std::string& id) {
    return cgroup::IsSlice(pod_cgroup) ? pod_cgroup + "/wherry-" + id + ".scope" : pod_cgroup + "/" + id;
  }

 private:
  // "/a.slice/a-b.slice" of "/a.slice" and "-b".
  std::string Below(const std::string& suffix) const {
    const std::string unit = cgroup::UnitOf(cgroup_parent_);
    return cgroup_parent_ + "/" + unit.substr(0, unit.rfind('.')) + suffix + ".slice";
  }

  std::string root_, state_, cgroup_parent_;
};

}  // namespace wherry::container

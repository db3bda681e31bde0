#pragma once

#include <string>

#include "cri/config/config.h"

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

  // Below the cgroup root. Pods with a cgroup_parent have that as their cgroup, and no cgroup of wherry's own.
  std::string own_cgroups() const { return cgroup_parent_ + "/pods"; }
  std::string own_pod_cgroup(const std::string& id) const { return own_cgroups() + "/" + id; }
  // Where the PID 1 of a shared PID namespace lives: beside the pod's containers.
  static std::string pod_init_cgroup(const std::string& pod_cgroup, const std::string& pod_id) {
    return pod_cgroup + "/" + pod_id;
  }
  static std::string container_cgroup(const std::string& pod_cgroup, const std::string& id) {
    return pod_cgroup + "/" + id;
  }

 private:
  std::string root_, state_, cgroup_parent_;
};

}  // namespace wherry::container

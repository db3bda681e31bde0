#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace wherry::config {

enum class CgroupDriver { kAuto, kSystemd, kCgroupfs };

// What a RuntimeClass' handler changes. Pods without one, or with the handler "", have the defaults.
struct Handler {
  bool privileged_without_host_devices =
      false;               // privileged containers have the default devices and those they name only
  int64_t pids_limit = 0;  // of containers that come without a limit of their own; 0 = none
  int64_t memory_limit_bytes = 0;
};

// wherryd's configuration file (TOML). Every key is optional; unknown keys are refused, because a misspelt security
// setting must not be ignored. The names are an interface to outside tools and never change.
struct Config {
  std::string root = "/var/lib/wherry";              // images, writable layers, database: survives reboots
  std::string state = "/run/wherry";                 // sockets, namespaces: gone after a reboot
  std::string socket = "/run/wherry/wherry.sock";    // CRI and wherry's own service
  CgroupDriver cgroup_driver = CgroupDriver::kAuto;  // "auto" | "systemd" | "cgroupfs"
  std::string cgroup_parent = "/wherry";             // for pods without a cgroup_parent, and for the shims
  std::string libexec_dir = "";                      // wherry-shim and wherry-pull; "" = beside wherryd, then
                                                     // /usr/libexec/wherry
  struct {
    std::string conf_dir = "/etc/cni/net.d";
    std::vector<std::string> bin_dirs = {"/usr/libexec/wherry/cni", "/opt/cni/bin", "/usr/lib/cni"};
    std::string cache_dir = "/var/lib/cni";  // results/ below it, as libcni keeps them
    int timeout_seconds = 60;                // for one plugin chain
    int max_networks = 1;                    // how many of the configurations are in use: eth0, eth1 …
  } cni;
  struct {
    std::string config_path = "/etc/wherry/certs.d";
    int max_parallel_pulls = 16;  // more wait for their turn
    int max_parallel_layers = 4;  // of each pull
    int progress_timeout_seconds = 300;
  } registry;
  struct {
    std::vector<std::string> pinned{};  // references and patterns of images that the kubelet shall not collect
  } images;
  struct {
    std::string bin_dir = "";  // executables that may veto a pull; "" = none
    int max_verifiers = 10;    // with more than that, nothing is pulled; -1 = any number
    int per_verifier_timeout_seconds = 10;
  } image_verifier;
  struct {
    std::string address = "127.0.0.1";
    uint16_t port = 0;               // 0 = any free port
    std::string tls_cert_file = "";  // PEM files; both or none
    std::string tls_key_file = "";
  } streaming;
  struct {
    std::vector<std::string> spec_dirs = {"/etc/cdi", "/var/run/cdi"};  // later ones win
  } cdi;
  struct {
    bool enabled = true;        // labels for containers, where the host has SELinux
    int category_range = 1024;  // c0 to one less, of which each pod without a level of its own has two
  } selinux;
  std::map<std::string, Handler> handlers{};  // by name; never ""
  struct {
    std::string level = "info";  // trace | debug | info | warn | error
  } log;
};

// The handler that a pod asked for; "" has the defaults. NotFound names one that is not configured.
absl::StatusOr<Handler> FindHandler(const Config& config, const std::string& name);

// Reads and checks a file. InvalidArgument names file, line and key.
absl::StatusOr<Config> Load(const std::string& path);

// The default configuration as a commented TOML document; Load() of it gives Config{}.
std::string DefaultToml();

}  // namespace wherry::config

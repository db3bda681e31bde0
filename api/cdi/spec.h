#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Container Device Interface specifications, versions 0.3.0 to 1.1.0: what a device's vendor wants done to a container that is
// given the device. A file holds one specification, as JSON or YAML; it was written by a driver's installer, and is read with
// bounds all the same. An unknown key is refused: it may be what keeps a container from seeing somebody else's data.
namespace wherry::cdi {

struct DeviceNode {
  std::string path;       // in the container
  std::string host_path;  // empty: as `path`
  char type = 0;          // 'b', 'c', 'p' (FIFO); 0: as on the host
  int64_t major = 0;      // with `type`; both 0: as on the host
  int64_t minor = 0;
  std::optional<uint32_t> mode, uid, gid;  // absent: as on the host
  std::string permissions;                 // of "rwm"; empty: all; "none": the node alone
};

struct Mount {
  std::string host_path, container_path;
  std::string type;                  // empty: a bind mount
  std::vector<std::string> options;  // as of mount(8)
};

struct Hook {
  std::string name;  // "createContainer" …
  std::string path;  // absolute
  std::vector<std::string> args, env;
  std::optional<uint32_t> timeout_s;  // at least 1
};

struct Edits {
  std::vector<std::string> env;  // NAME=value
  std::vector<DeviceNode> device_nodes;
  std::vector<Mount> mounts;
  std::vector<Hook> hooks;
  std::vector<uint32_t> additional_gids;
  bool intel_rdt = false;    // asks for a class of cache and memory bandwidth
  bool net_devices = false;  // asks for network interfaces
};

struct Device {
  std::string name;
  Edits edits;
};

struct Spec {
  std::string kind;  // "vendor.com/class"
  Edits edits;       // for each container with one of the devices
  std::vector<Device> devices;
};

inline constexpr size_t kMaxSpecBytes = 8 << 20;

// InvalidArgument says which member is wrong.
absl::StatusOr<Spec> ParseJson(absl::string_view text);
absl::StatusOr<Spec> ParseYaml(absl::string_view text);

// "vendor.com/class=name", as a request names a device.
struct QualifiedName {
  std::string kind, device;
};
absl::StatusOr<QualifiedName> ParseQualifiedName(absl::string_view name);

}  // namespace wherry::cdi

#include "runtime/security/paths.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace wherry::security {

std::vector<std::string> DefaultMaskedPaths() {
  std::vector<std::string> paths = {
      "/proc/asound",      "/proc/acpi",          "/proc/interrupts", "/proc/kcore",
      "/proc/keys",        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
      "/proc/sched_debug", "/proc/scsi",          "/sys/firmware",    "/sys/devices/virtual/powercap",
  };
  const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
  for (long cpu = 0; cpu < cpus; ++cpu) {
    std::string path = absl::StrCat("/sys/devices/system/cpu/cpu", cpu, "/thermal_throttle");
    if (::access(path.c_str(), F_OK) == 0) paths.push_back(std::move(path));
  }
  return paths;
}

std::vector<std::string> DefaultReadonlyPaths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

}  // namespace wherry::security

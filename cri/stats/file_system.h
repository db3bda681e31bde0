#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

// Devices and file systems by the names that dashboards know them by.
namespace wherry::stats {

struct FileSystem {
  std::string device;  // "/dev/vda1"; of one without a device what it was mounted as, e.g. "tmpfs"
  uint64_t bytes = 0, inodes = 0, inodes_free = 0;
};

// The file system that `path` is on (statvfs(3)).
absl::StatusOr<FileSystem> ReadFileSystem(const std::string& path);

// "/dev/vda1" of a block device (/sys/dev/block); "" when there is none of that number.
std::string DeviceName(unsigned major, unsigned minor);

}  // namespace wherry::stats

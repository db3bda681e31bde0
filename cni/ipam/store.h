#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/cni/address.h"
#include "api/cni/config.h"
#include "runtime/sys/unique_fd.h"

// The leases of one network on disk, in the reference plugin's format, which is the interface between us and it:
//   <dataDir>/<network>/10.1.0.2            "CONTAINERID\r\nIFNAME", one file a lease, named by the address
//   <dataDir>/<network>/last_reserved_ip.0  the address given out last, for each range set
//   <dataDir>/<network>/lock                flock(2)ed by whoever reads or changes the directory
// The reference creates a lease and then writes it; killed in between it leaves an empty file that no DEL will ever match.
// We rename a written file into place, and take an empty file for a free address.
//
// No container survives a reboot, but its lease does when nobody lives to call DEL. So leases of ours carry the boot's id
// (/proc/sys/kernel/random/boot_id), as an extended attribute since the text is the reference's to compare; those of another
// boot are free.
namespace wherry::ipam {

struct Lease {
  cni::IpAddress address;
  std::string container_id;
  std::string ifname;  // empty in leases of very old versions, which stand for every interface

  bool HeldBy(const cni::Attachment& attachment) const;
};

// Holds the network's lock as long as it lives.
class Store {
 public:
  // Creates the directory (0755) and waits for the lock.
  static absl::StatusOr<Store> Open(const std::string& directory);

  // All leases. Removes empty lease files and those of another boot on the way.
  absl::StatusOr<std::vector<Lease>> Leases();
  // AlreadyExists when there is a lease for it.
  absl::Status Reserve(const cni::IpAddress& address, const cni::Attachment& attachment);
  // OK when there is none.
  absl::Status Release(const cni::IpAddress& address);

  // None when nothing (readable) is recorded for range set `index`.
  cni::IpAddress LastReserved(size_t index);
  absl::Status SetLastReserved(size_t index, const cni::IpAddress& address);

 private:
  Store(sys::UniqueFd directory, sys::UniqueFd lock, std::string path, std::string boot_id)
      : directory_(std::move(directory)),
        lock_(std::move(lock)),
        path_(std::move(path)),
        boot_id_(std::move(boot_id)) {}
  bool IsOfAnotherBoot(int lease) const;

  sys::UniqueFd directory_, lock_;
  std::string path_, boot_id_;
};

}  // namespace wherry::ipam

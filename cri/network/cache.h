#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/config.h"
#include "cri/network/capabilities.h"

namespace wherry::network {

// What ADD used and got, as libcni keeps it ("cniCacheV1"), so that DEL can use the same after a restart or a change of the
// configuration, and so that other tools find it in the standard place.
struct CacheEntry {
  std::string network, container_id;
  std::string ifname = "eth0";
  std::string netns;   // path; tells our entries from those of other runtimes
  std::string config;  // the document's text
  bool single = false;
  std::string args;  // CNI_ARGS
  Capabilities capabilities;
  std::string result;    // of the last plugin; empty while ADD is under way
  bool damaged = false;  // only the names are known: after a power cut a file may be empty
};

// The directory is shared with other runtimes and read by other tools. No fsync: after a power cut every pod is dead, and
// DEL copes with a damaged entry.
class ResultCache {
 public:
  explicit ResultCache(const std::string& dir) : dir_(dir + "/results") {}
  absl::Status Put(const CacheEntry& entry) const;
  // All entries of a container, whatever their network.
  absl::StatusOr<std::vector<CacheEntry>> Find(const std::string& container_id) const;
  // Ids of the containers whose namespace was `netns_dir`/<id>.
  std::vector<std::string> Containers(const std::string& netns_dir) const;
  // What is attached to `network`, by any runtime that keeps its results here. DataLoss when an entry cannot be read: then
  // nobody knows.
  absl::StatusOr<std::vector<cni::Attachment>> Attachments(const std::string& network) const;
  absl::Status Remove(const CacheEntry& entry) const;

 private:
  std::string PathOf(const CacheEntry& entry) const;

  const std::string dir_;
};

}  // namespace wherry::network

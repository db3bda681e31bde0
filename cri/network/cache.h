#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace wherry::network {

// What ADD used and got, as libcni keeps it ("cniCacheV1"), so that DEL can use the same after a restart or a change of the
// configuration, and so that other tools find it in the standard place.
struct CacheEntry {
  std::string network, container_id;
  std::string config;  // the document's text
  bool single = false;
  std::string args;    // CNI_ARGS
  std::string result;  // of the last plugin; empty while ADD is under way
};

class ResultCache {
 public:
  explicit ResultCache(const std::string& dir) : dir_(dir + "/results") {}
  absl::Status Put(const CacheEntry& entry) const;
  // All entries of a container, whatever their network.
  absl::StatusOr<std::vector<CacheEntry>> Find(const std::string& container_id) const;
  absl::Status Remove(const CacheEntry& entry) const;

 private:
  std::string PathOf(const CacheEntry& entry) const;

  const std::string dir_;
};

}  // namespace wherry::network

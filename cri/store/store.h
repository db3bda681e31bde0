#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/store/records.pb.h"

// wherryd's memory and its durable copy (SQLite, WAL). Reads never touch the disk. Writes that come at the same time are
// committed together (group commit); a call returns when its record is committed, and only then do readers see it. synchronous=NORMAL: a killed wherryd loses nothing; after a power cut the last records may be missing, but then
// every container is dead as well, and recovery works from what exists.
namespace wherry::store {

using Pod = std::shared_ptr<const PodRecord>;
using Container = std::shared_ptr<const ContainerRecord>;

// What a committed write did; null where there was, or is, no record.
struct Changed {
  Pod pod_before, pod_after;
  Container container_before, container_after;
};

class Store {
 public:
  // Opens or makes the database file (0600); a newer schema than this program knows is FailedPrecondition.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path);
  virtual ~Store() = default;

  // Commits and publishes. Inserts or replaces by id.
  virtual absl::Status Put(PodRecord record) = 0;
  virtual absl::Status Put(ContainerRecord record) = 0;
  virtual absl::Status DeletePod(const std::string& id) = 0;
  virtual absl::Status DeleteContainer(const std::string& id) = 0;

  // `observer` hears of every write once readers see it, in the order of commits; no other commits until it returns, and
  // it must not write. Replaces the observer before; when this returns, that one is not called any more.
  virtual void Observe(std::function<void(const Changed&)> observer) = 0;

  // By id or unambiguous id prefix (≥ 1 digit); NotFound, or InvalidArgument when several match.
  virtual absl::StatusOr<Pod> FindPod(const std::string& id) const = 0;
  virtual absl::StatusOr<Container> FindContainer(const std::string& id) const = 0;
  // In the order of creation.
  virtual std::vector<Pod> Pods() const = 0;
  virtual std::vector<Container> Containers() const = 0;
  virtual std::vector<Container> ContainersOf(const std::string& pod_id) const = 0;
};

}  // namespace wherry::store

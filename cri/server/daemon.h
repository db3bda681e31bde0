#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "cri/config/config.h"

namespace spdlog {
class logger;
}

namespace wherry::server {

// Everything that wherryd is made of, in the order in which it comes up.
class Daemon {
 public:
  // Locks, opens, recovers, then listens, and goes on with what needs no waiting for. Nothing listens before recovery is done. An error
  // leaves the host as it was.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const config::Config& config,
                                                       std::shared_ptr<spdlog::logger> log);
  ~Daemon();

  // Stops to serve; containers stay. False when requests still run: then do not destroy it, end the process.
  bool Stop();

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace wherry::server

#pragma once

#include "cri/container/service.h"
#include "cri/pod/service.h"
#include "cri/streaming/backend.h"

// What streaming sessions need, from the services that have it. Both outlive it and its processes.
namespace wherry::server {

class StreamingBackend final : public streaming::Backend {
 public:
  StreamingBackend(container::Service& containers, pod::Service& pods) : containers_(containers), pods_(pods) {}

  absl::StatusOr<std::unique_ptr<streaming::Process>> Exec(const std::string& container_id,
                                                           const std::vector<std::string>& command,
                                                           streaming::Streams streams) override {
    return containers_.Exec(container_id, command, streams);
  }
  absl::StatusOr<std::unique_ptr<streaming::Process>> Attach(const std::string& container_id,
                                                             streaming::Streams streams) override {
    return containers_.Attach(container_id, streams);
  }
  absl::StatusOr<sys::UniqueFd> Connect(const std::string& pod_id, uint16_t port) override {
    return pods_.Connect(pod_id, port);
  }

 private:
  container::Service& containers_;
  pod::Service& pods_;
};

}  // namespace wherry::server

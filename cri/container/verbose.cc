// The verbose part of ContainerStatus, for people (crictl inspect) and for agents that look for a container's pid, cgroup and
// namespaces.
#include <nlohmann/json.hpp>

#include "cri/container/runtime_spec.h"
#include "cri/container/view.h"

namespace wherry::container {
namespace {

using Json = nlohmann::json;

Json SpecOf(const store::ContainerRecord& record) {
  shim::v1::StartContainerRequest spec;
  if (!spec.ParseFromString(record.spec())) return nullptr;
  return RuntimeSpec(record, spec);
}

}  // namespace

std::string VerboseInfo(const store::ContainerRecord& record) {
  const Json info = {
      {"sandboxID", record.pod_id()},       {"pid", record.state() == store::RUNNING ? record.pid() : 0},
      {"cgroupPath", record.cgroup_path()}, {"state", store::ContainerRecordState_Name(record.state())},
      {"oomKilled", record.oom_killed()},   {"privileged", SecurityOf(record.config()).privileged()},
      {"runtimeSpec", SpecOf(record)},
  };
  return info.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace wherry::container

#pragma once

#include <nlohmann/json.hpp>

#include "api/shim/v1/shim.pb.h"
#include "cri/store/records.pb.h"

namespace wherry::container {

// The members of OCI's runtime configuration that agents and hooks read, from what the shim is told. It leaves out the environment, which
// may hold secrets.
nlohmann::json RuntimeSpec(const store::ContainerRecord& record, const shim::v1::StartContainerRequest& spec);

}  // namespace wherry::container

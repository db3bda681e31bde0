#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "test/e2e/node.h"

namespace wherry::e2e {

// What ContainerStatus says besides when it is asked to be verbose.
nlohmann::json Info(Node& node, const std::string& container);

}  // namespace wherry::e2e

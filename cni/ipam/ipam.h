#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/address.h"
#include "api/cni/config.h"
#include "api/cni/result.h"
#include "cni/ipam/arguments.h"

// IP address management on behalf of another plugin (CNI specification section 4). "host-local" and "static" run in this
// process: another exec would cost as much as all the rest of ADD. Every other type is run from CNI_PATH.
namespace wherry::ipam {

struct Request {
  std::string type;                // ipam.type
  const nlohmann::json& document;  // the whole network configuration …
  const std::string& text;         // … and as it came
  cni::Attachment attachment;      // empty for STATUS and GC
  Arguments arguments;             // of CNI_ARGS
  std::string cni_path;
};

// The attachments of "cni.dev/valid-attachments"; InvalidConfig (7) when that is missing or malformed.
absl::StatusOr<std::vector<cni::Attachment>> ValidAttachments(const nlohmann::json& document);

// At least one address. The delegated plugin has been told DEL when this fails.
absl::StatusOr<cni::Result> Add(const Request& request);
absl::Status Delete(const Request& request);
absl::Status Check(const Request& request);
absl::Status Status(const Request& request);
absl::Status Collect(const Request& request);

}  // namespace wherry::ipam

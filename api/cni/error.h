#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The error document of the CNI specification (section 5, "Error") and its codes. Inside the program an error is an
// absl::Status that carries its CNI code as a payload, so it passes through layers that know nothing of CNI.
namespace wherry::cni {

enum class ErrorCode : uint32_t {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,    // the text holds key and value
  kUnknownContainer = 3,    // nothing to clean up
  kInvalidEnvironment = 4,  // the text names the variables
  kIoFailure = 5,
  kDecodingFailure = 6,
  kInvalidConfig = 7,
  kTryAgainLater = 11,
  kNotAvailable = 50,
  kLimitedConnectivity = 51,
  // Free range of the specification; the reference plugins use 999 for whatever has no code of its own.
  kInternal = 999,
};

struct Error {
  uint32_t code = 0;
  std::string msg, details;
};

// A status with this code as its payload.
absl::Status MakeError(ErrorCode code, absl::string_view message);

// The document of a failed status: the code of its payload, else kInternal.
Error ToError(const absl::Status& status);

// The status of a plugin's document, prefixed by nothing. The code is kept.
absl::Status ToStatus(const Error& error);

// JSON with "cniVersion": `version`.
std::string PrintError(const Error& error, absl::string_view version);

// InvalidArgument when `text` is not an error document (no object, or no "code").
absl::StatusOr<Error> ParseError(absl::string_view text);

}  // namespace wherry::cni

#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Stop signals by their three names: CRI's enum (its own numbering), an image's text and the kernel's number.
namespace wherry::container {

// "SIGTERM", "TERM", "15", "SIGRTMIN+3" as images spell it, and "SIGRTMINPLUS3" as CRI does; any case. InvalidArgument
// for anything else.
absl::StatusOr<int> ParseSignal(absl::string_view text);

// The kernel's number of a value of runtime.v1.Signal; 0 for RUNTIME_DEFAULT. InvalidArgument for an unknown value.
absl::StatusOr<int> SignalFromCri(int cri_signal);

// The value of runtime.v1.Signal for a kernel's number; 0 (RUNTIME_DEFAULT) when CRI has no name for it.
int SignalToCri(int number);

}  // namespace wherry::container

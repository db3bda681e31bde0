#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace wherry::streaming {

// How an exec or attach ended, as the error stream tells it: from v4 on always a Status object (Kubernetes' meta/v1, as far as
// clients read it), which carries the exit code; before, a text, and nothing after a success.
std::string Verdict(const absl::StatusOr<int>& exit_code, bool as_object);

// The exit code that an object of these tells. Unknown, with its message, for one that tells of a failure without an exit code, and
// for what is none.
absl::StatusOr<int> ReadVerdict(absl::string_view text);

struct TerminalSize {
  uint16_t width = 0, height = 0;
};

// Splits what comes on the resize stream into {"Width":n,"Height":n} objects, however they are cut.
class ResizeReader {
 public:
  // The last size in what has come; OK and no change of `size` when there is none. InvalidArgument for anything else.
  absl::StatusOr<bool> Read(absl::string_view bytes, TerminalSize* size);

 private:
  std::string partial_;
};

}  // namespace wherry::streaming

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/sys/child.h"

// Programs of the administrator's that may veto a pull, called as containerd calls the image verifiers of its bin_dir
// (docs/image-verification.md): -name NAME -digest DIGEST -stdin-media-type TYPE, and a descriptor on standard input.
namespace wherry::image {

class Verifiers {
 public:
  struct Options {
    std::string bin_dir = "";                    // "" = nobody is asked
    int max_verifiers = 10;                      // -1 = any number
    absl::Duration timeout = absl::Seconds(10);  // for each
  };
  // What is about to be pulled: its normalised name, and the descriptor of the manifest or index that this resolved to.
  struct Subject {
    std::string name, digest, media_type;
    uint64_t size = 0;
  };

  explicit Verifiers(const Options& options) : options_(options) {}

  // Asks all in the order of their names until one refuses. PermissionDenied: a veto, with the verifier and its reason, or
  // one who could not be asked, which counts as one. Cancelled when the socket `cancel` hung up. Thread-safe.
  absl::Status Ask(const Subject& subject, int cancel);

 private:
  absl::StatusOr<std::vector<std::string>> Programs() const;
  absl::Status AskOne(const std::string& program, const Subject& subject, int cancel);

  const Options options_;
  sys::Children children_;
};

}  // namespace wherry::image

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cri/cli/client.h"

// What an operator means by a word: a container or a pod, by name or by the beginning of its id.
namespace wherry::cli {

struct Candidate {
  enum class Kind { kContainer, kPod } kind;
  std::string id;
  std::string name;       // of the container; of the pod
  std::string full_name;  // "POD/CONTAINER"; "NAMESPACE/POD"
  bool running = false;   // a container that runs; a pod that is ready
};

// The candidate whose id is `word`, or else the only one whose name or full name is, or else whose id begins with it. Among several of
// the same name the only running one wins, and a pod over its own containers. NotFound, or FailedPrecondition with the list when it is still ambiguous.
absl::StatusOr<Candidate> Choose(const std::vector<Candidate>& candidates, absl::string_view word);

// All containers, and with `pods` all pods, of the runtime.
absl::StatusOr<std::vector<Candidate>> ListCandidates(Client& client, bool pods);

// ListCandidates and Choose among containers only.
absl::StatusOr<Candidate> FindContainer(Client& client, absl::string_view word);

}  // namespace wherry::cli

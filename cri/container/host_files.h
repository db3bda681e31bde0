#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "cri/container/looks.h"

// Files of the host that a container gets. It is the only time that wherryd itself asks for them, and it asks from aside (looks.h).
namespace wherry::container {

struct HostFile {
  std::string field;  // of the request, for errors
  std::string path;   // absolute and clean
  // A directory, if nothing is there. So it is with all peers for a mount's host path, and pods that rely on it exist.
  bool make = false;
  bool follow = true;  // a symbolic link that is there
  std::string label;   // for SELinux, that it and all below it shall have; or empty
};

// Whether the container is still wanted, asked once after Looks knows of it.
using Wanted = absl::FunctionRef<absl::Status()>;

// What is there, in the order of `files`: types, modes, owners and devices' numbers. Errors are the system's, in the name of the field,
// and those of Looks::Take().
absl::StatusOr<Looks::Seen> LookAtHost(Looks& looks, const std::string& pod, const std::vector<HostFile>& files,
                                       Wanted wanted);

}  // namespace wherry::container

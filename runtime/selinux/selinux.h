#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// SELinux labels of this node. A label is the text of a context.
namespace wherry::selinux {

struct Context {
  std::string user, role, type;
  std::string level;  // empty in a policy without levels
};

// InvalidArgument for what has fewer than three parts.
absl::StatusOr<Context> Parse(absl::string_view label);
std::string Text(const Context& context);

// The label of a container's processes, and that of the files which they may use.
struct Labels {
  std::string process, file;
};

// What a file of default contexts says: KEY = "value" lines, with comments that begin with '#' or ';'.
std::map<std::string, std::string> ParseContexts(absl::string_view text);

// OK when the kernel has SELinux with a policy; Unimplemented otherwise.
absl::Status CheckHost();

// What the node's policy has for containers. `root` is the directory above "etc" and "usr". FailedPrecondition when there is nothing, with
// the files that were looked for.
absl::StatusOr<Labels> DefaultLabels(const std::string& root = "");

// A label as the kernel itself writes it. InvalidArgument when its policy does not allow the context.
absl::StatusOr<std::string> Canonical(const std::string& label);

// Writes `label` to what is at `path`, whose symbolic links are followed, and to all below it on the same mount, where none is. What is
// right already is only read; file systems that cannot hold labels are passed over. InvalidArgument for directories that are the host's
// own, by whatever path. Right to be called again after a failure. May hang with a file server.
absl::Status Relabel(const std::string& path, const std::string& label);
// The same for what wherry has made itself, without a look at the host's directories.
absl::Status RelabelOwn(const std::string& path, const std::string& label);

}  // namespace wherry::selinux

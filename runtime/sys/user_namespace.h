#pragma once

#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "runtime/sys/process.h"
#include "runtime/sys/unique_fd.h"

// User namespaces (user_namespaces(7)): root in there is an ordinary user out here.
namespace wherry::sys {

// One range of ids: 0 … length-1 in the namespace are first … first+length-1 in its parent.
struct IdMap {
  uint32_t first = 0, length = 0;

  // The id in the parent; unset when `id` has none.
  std::optional<uint32_t> Outside(uint32_t id) const;
};

struct UserNamespace {
  UniqueFd fd;
  IdMap uids, gids;

  bool valid() const { return fd.valid(); }
  // What its root is in the parent.
  uint32_t root_uid() const { return uids.first; }
  uint32_t root_gid() const { return gids.first; }
};

// Makes a user namespace with one range of uids and one of gids and, owned by it, the namespaces `types`
// (CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS), into which the caller moves; it stays in its own user namespace. `inside` runs
// in a process that is root in there, before anybody else is. The caller must be single-threaded and needs CAP_SYS_ADMIN,
// CAP_SETUID and CAP_SETGID.
absl::StatusOr<UserNamespace> MakeUserNamespace(const IdMap& uids, const IdMap& gids, int types,
                                                absl::FunctionRef<absl::Status()> inside);

// What a clone into a user namespace is told.
struct ForeignClone {
  int user_namespace = -1;
  int pid_namespace =
      -1;  // or a pidfd of one in it; -1: the caller's, or a new one. Only the child is in there: whoever is root
           // inside could stop a go-between that he sees, and the caller with it
  uint64_t namespaces = 0;  // CLONE_NEW*: owned by that user namespace
  const UniqueFd& cgroup;   // as for CloneProcess
};

// CloneProcess for a child that is born in `clone.user_namespace`, with all capabilities there and none in the caller's. Its
// uid is the caller's still, which has no name in there: see BecomeNamespaceRoot. `before` runs with the caller's rights in a
// process whose resource limits and oom_score_adj the child inherits; it may use the caller's memory. `child` runs in the
// child and must not return. The caller must be single-threaded; it is suspended meanwhile.
absl::StatusOr<CloneResult> CloneIntoUserNamespace(const ForeignClone& clone, absl::FunctionRef<absl::Status()> before,
                                                   absl::FunctionRef<void()> child);

// Uid and gid 0 of the caller's user namespace, no other groups. All capabilities stay; the parent death signal goes.
absl::Status BecomeNamespaceRoot();

}  // namespace wherry::sys

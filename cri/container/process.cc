// What a container runs: the command from request and image, its environment, directory and user.
#include <unistd.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cri/container/capabilities.h"
#include "cri/container/spec.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

constexpr absl::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool HasNul(absl::string_view text) { return text.find('\0') != absl::string_view::npos; }

// A command in the request replaces ENTRYPOINT and CMD, arguments alone replace CMD (Kubernetes' table).
absl::Status SetArguments(const SpecInput& input, shim::v1::Process& process) {
  const auto& config = input.config;
  for (const auto& arg : config.command()) process.add_args(arg);
  if (config.command().empty()) {
    for (const auto& arg : input.image.entrypoint) process.add_args(arg);
  }
  for (const auto& arg : config.args()) process.add_args(arg);
  if (config.command().empty() && config.args().empty()) {
    for (const auto& arg : input.image.cmd) process.add_args(arg);
  }
  if (process.args().empty() || process.args(0).empty()) {
    return absl::InvalidArgumentError("command: neither the request nor the image says what to run");
  }
  for (const auto& arg : process.args()) {
    if (HasNul(arg)) return absl::InvalidArgumentError("command: an argument has a NUL byte");
  }
  return absl::OkStatus();
}

class Environment {
 public:
  explicit Environment(shim::v1::Process& process) : process_(process) {}

  void Set(const std::string& assignment) {
    absl::string_view name = absl::string_view(assignment).substr(0, assignment.find('=') + 1);
    for (auto& known : *process_.mutable_env()) {
      if (absl::string_view(known).substr(0, name.size()) == name) {
        known = assignment;
        return;
      }
    }
    process_.add_env(assignment);
  }

 private:
  shim::v1::Process& process_;
};

std::string Hostname(const store::PodRecord& pod) {
  if (!pod.config().hostname().empty()) return pod.config().hostname();
  char name[65] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// Later ones win: PATH's default, HOSTNAME, TERM, the image's, the request's.
absl::Status SetEnvironment(const SpecInput& input, shim::v1::Process& process) {
  Environment env(process);
  env.Set(std::string(kDefaultPath));
  env.Set(absl::StrCat("HOSTNAME=", Hostname(input.pod)));
  if (input.config.tty()) env.Set("TERM=xterm");
  for (const auto& assignment : input.image.env) {
    if (assignment.find('=') == std::string::npos || assignment[0] == '=' || HasNul(assignment)) continue;
    env.Set(assignment);
  }
  for (const auto& pair : input.config.envs()) {
    if (pair.key().empty() || pair.key().find('=') != std::string::npos || HasNul(pair.key()) || HasNul(pair.value())) {
      return absl::InvalidArgumentError(absl::StrCat("envs: \"", pair.key(), "\" cannot be an environment variable"));
    }
    env.Set(absl::StrCat(pair.key(), "=", pair.value()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> WorkingDirectory(const SpecInput& input) {
  if (!input.config.working_dir().empty()) return CleanPath(input.config.working_dir(), "working_dir");
  const std::string& dir = input.image.working_dir;
  if (dir.empty()) return "/";
  return CleanPath(dir[0] == '/' ? dir : "/" + dir, "the image's WorkingDir");
}

absl::StatusOr<uint32_t> CheckId(int64_t id, absl::string_view field) {
  // 2^32-1 is "no id" to the kernel.
  if (id < 0 || id >= std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": ", id, " is out of range"));
  }
  return static_cast<uint32_t>(id);
}

}  // namespace

// The user: run_as_user (a number) or run_as_username, else the image's USER. Who it is in numbers, and which groups
// /etc/group gives it, is resolved inside the root file system by the shim, never here.
absl::StatusOr<shim::v1::UserSpec> BuildUser(const ::runtime::v1::LinuxContainerSecurityContext& security,
                                             const oci::ImageConfig& image) {
  shim::v1::UserSpec user;
  if (security.has_run_as_user() && !security.run_as_username().empty()) {
    return absl::InvalidArgumentError("run_as_user and run_as_username are both set");
  }
  if (security.has_run_as_user()) {
    ASSIGN_OR_RETURN(uint32_t uid, CheckId(security.run_as_user().value(), "run_as_user"));
    user.set_user(absl::StrCat(uid));
  } else if (!security.run_as_username().empty()) {
    user.set_user(security.run_as_username());
  } else {
    if (security.has_run_as_group()) {
      return absl::InvalidArgumentError("run_as_group is set without run_as_user or run_as_username");
    }
    user.set_user(image.user);
  }
  if (security.has_run_as_group()) {
    ASSIGN_OR_RETURN(uint32_t gid, CheckId(security.run_as_group().value(), "run_as_group"));
    user.set_gid(gid);
  }
  for (int64_t group : security.supplemental_groups()) {
    ASSIGN_OR_RETURN(uint32_t gid, CheckId(group, "supplemental_groups"));
    user.add_additional_groups(gid);
  }
  switch (security.supplemental_groups_policy()) {
    case ::runtime::v1::Merge:
      user.set_merge_image_groups(true);
      return user;
    case ::runtime::v1::Strict:
      return user;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("supplemental_groups_policy: unknown value ", security.supplemental_groups_policy()));
  }
}

absl::StatusOr<shim::v1::Process> BuildProcess(const SpecInput& input) {
  const auto& security = SecurityOf(input.config);
  shim::v1::Process process;
  RETURN_IF_ERROR(SetArguments(input, process));
  RETURN_IF_ERROR(SetEnvironment(input, process));
  ASSIGN_OR_RETURN(*process.mutable_cwd(), WorkingDirectory(input));
  ASSIGN_OR_RETURN(*process.mutable_user(), BuildUser(security, input.image));
  ASSIGN_OR_RETURN(*process.mutable_capabilities(),
                   ContainerCapabilities(security.capabilities(), security.privileged(), input.host.capabilities));
  ASSIGN_OR_RETURN(*process.mutable_apparmor_profile(), AppArmorProfile(security, input.host));
  process.set_no_new_privs(security.no_new_privs());
  process.set_tty(input.config.tty());
  int64_t oom_score_adj = input.config.linux().resources().oom_score_adj();
  if (oom_score_adj < -1000 || oom_score_adj > 1000) {
    return absl::InvalidArgumentError(
        absl::StrCat("resources.oom_score_adj = ", oom_score_adj, ": must be -1000..1000"));
  }
  process.set_oom_score_adj(static_cast<int32_t>(oom_score_adj));
  return process;
}

}  // namespace wherry::container

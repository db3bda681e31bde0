#include "cri/network/plugin.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/cni/error.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

// As libcni does it, plugins get the runtime's own environment (a proxy's address, say), but neither what belongs to the
// service manager nor what was meant for another call.
bool IsInherited(absl::string_view entry) {
  for (absl::string_view prefix : {"CNI_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"})
    if (absl::StartsWith(entry, prefix)) return false;
  return true;
}

std::vector<std::string> Environment(const PluginCall& call, const std::vector<std::string>& bin_dirs) {
  std::vector<std::string> out = {"CNI_COMMAND=" + call.command,
                                  "CNI_CONTAINERID=" + call.container_id,
                                  "CNI_NETNS=" + call.netns,
                                  "CNI_IFNAME=" + call.ifname,
                                  "CNI_ARGS=" + call.args,
                                  "WHERRY_NETNS_ENDS=1",  // read at DEL: a pod's namespace never outlives its network
                                  "CNI_PATH=" + absl::StrJoin(bin_dirs, ":")};
  bool path = false;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!IsInherited(*entry)) continue;
    path = path || absl::StartsWith(*entry, "PATH=");
    out.emplace_back(*entry);
  }
  if (!path) out.emplace_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  return out;
}

absl::StatusCode CodeFor(absl::StatusCode plugin) {
  switch (plugin) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kInternal:
      return plugin;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status Failure(const sys::Children::Ended& ended) {
  const std::string said = sys::Excerpt(ended.errors);
  if (auto error = cni::ParseError(ended.output); error.ok()) {
    const absl::Status status = cni::ToStatus(*error);
    const std::string text = sys::Excerpt(std::string(status.message()));
    return absl::Status(
        CodeFor(status.code()),
        absl::StrCat(text.empty() ? said : text, " (CNI error ", error->code, ")",
                     text.empty() || said.empty() ? "" : "; on standard error: ", text.empty() ? "" : said));
  }
  const std::string how = WIFSIGNALED(ended.status) ? absl::StrCat("signal ", WTERMSIG(ended.status))
                                                    : absl::StrCat("exit code ", WEXITSTATUS(ended.status));
  const std::string text = said.empty() ? sys::Excerpt(ended.output) : said;
  return absl::InternalError(absl::StrCat("ended with ", how, text.empty() ? "" : ": ", text));
}

// "Container unknown: nothing to clean up" (specification, section 5): what DEL wants.
bool IsNothingToDelete(const PluginCall& call, const sys::Children::Ended& ended) {
  if (call.command != "DEL") return false;
  auto error = cni::ParseError(ended.output);
  return error.ok() && error->code == static_cast<uint32_t>(cni::ErrorCode::kUnknownContainer);
}

bool IsExecutable(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

absl::StatusOr<std::string> Plugins::Find(const std::string& type) const {
  for (const std::string& dir : bin_dirs_)
    if (std::string path = absl::StrCat(dir, "/", type); IsExecutable(path)) return path;
  return absl::FailedPreconditionError(
      absl::StrCat("CNI plugin \"", type, "\" is in none of: ", absl::StrJoin(bin_dirs_, ", ")));
}

absl::StatusOr<std::string> Plugins::Run(const std::string& type, const PluginCall& call, Clock::time_point deadline) {
  ASSIGN_OR_RETURN(std::string program, Find(type));
  const std::string context = absl::StrCat("CNI ", call.command, " by plugin \"", type, "\"");
  WHERRY_FAIL_POINT("cni.call");
  ASSIGN_OR_RETURN_CTX(sys::Children::Ended ended,
                       children_.Run({program, {}, Environment(call, bin_dirs_), call.config}, deadline), context);
  WHERRY_CRASH_POINT("cni.called");
  if (ended.status != 0) {
    if (IsNothingToDelete(call, ended)) return std::string();
    return sys::Annotate(Failure(ended), context);
  }
  if (ended.output.size() > sys::Children::kMaxOutput)
    return absl::ResourceExhaustedError(absl::StrCat(context, ": printed more than 1 MiB"));
  return std::move(ended.output);
}

}  // namespace wherry::network

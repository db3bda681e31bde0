// The files that every container of a pod gets: they lie in the pod's state directory and are bound into each container.
#include <fcntl.h>

#include "absl/strings/str_join.h"
#include "cri/container/directories.h"
#include "cri/container/user_namespace.h"
#include "cri/pod/core.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::pod {
namespace {

namespace cri = ::runtime::v1;

absl::Status WriteFile(const std::string& path, const std::string& text) {
  WHERRY_FAIL_POINT("pod.file");
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenAt(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
  return sys::Annotate(sys::WriteAll(file.get(), text), absl::StrCat("\"", path, "\""));
}

// A line break in a value would be a line of its own in the file.
absl::Status CheckWords(const google::protobuf::RepeatedPtrField<std::string>& words, const char* field) {
  for (const std::string& word : words)
    for (unsigned char c : word)
      if (c < ' ' || c == 127)
        return absl::InvalidArgumentError(absl::StrCat("dns_config.", field, " has a control character"));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ResolvConf(const cri::PodSandboxConfig& config) {
  const cri::DNSConfig& dns = config.dns_config();
  // Without any instruction a pod sees names as its host does.
  if (dns.servers().empty() && dns.searches().empty() && dns.options().empty()) {
    auto host = sys::ReadFileAt(AT_FDCWD, "/etc/resolv.conf");
    return host.ok() ? *host : std::string();
  }
  RETURN_IF_ERROR(CheckWords(dns.servers(), "servers"));
  RETURN_IF_ERROR(CheckWords(dns.searches(), "searches"));
  RETURN_IF_ERROR(CheckWords(dns.options(), "options"));
  std::string out;
  if (!dns.searches().empty()) absl::StrAppend(&out, "search ", absl::StrJoin(dns.searches(), " "), "\n");
  for (const std::string& server : dns.servers()) absl::StrAppend(&out, "nameserver ", server, "\n");
  if (!dns.options().empty()) absl::StrAppend(&out, "options ", absl::StrJoin(dns.options(), " "), "\n");
  return out;
}

absl::StatusOr<std::string> Hostname(const cri::PodSandboxConfig& config) {
  if (!config.hostname().empty()) return config.hostname() + "\n";
  return sys::ReadFileAt(AT_FDCWD, "/proc/sys/kernel/hostname");
}

}  // namespace

absl::Status WriteFiles(const container::Paths& paths, const store::PodRecord& pod) {
  ASSIGN_OR_RETURN(std::string resolv_conf, ResolvConf(pod.config()));
  ASSIGN_OR_RETURN(std::string hostname, Hostname(pod.config()));
  RETURN_IF_ERROR(WriteFile(paths.resolv_conf(pod.id()), resolv_conf));
  RETURN_IF_ERROR(WriteFile(paths.hostname(pod.id()), hostname));
  RETURN_IF_ERROR(container::GiveToPod(paths.resolv_conf(pod.id()), pod.config()));
  RETURN_IF_ERROR(container::GiveToPod(paths.hostname(pod.id()), pod.config()));
  if (pod.config().log_directory().empty()) return absl::OkStatus();
  return container::MakeDirectories(pod.config().log_directory(), 0755);
}

}  // namespace wherry::pod

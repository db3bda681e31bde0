#include "cri/container/hosts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "cri/container/user_namespace.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

std::string OwnHosts(const store::PodRecord& pod) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  if (pod.config().hostname().empty()) return text;
  for (const auto& ip : pod.ips()) absl::StrAppend(&text, ip, "\t", pod.config().hostname(), "\n");
  return text;
}

}  // namespace

absl::Status EnsureHosts(const Paths& paths, const store::PodRecord& pod, const store::ContainerRecord& container) {
  for (const auto& mount : container.config().mounts()) {
    if (mount.container_path() == "/etc/hosts") return absl::OkStatus();
  }
  std::string path = paths.hosts(pod.id());
  if (::access(path.c_str(), F_OK) == 0) return absl::OkStatus();
  std::string text;
  if (pod.config().linux().security_context().namespace_options().network() == ::runtime::v1::NODE) {
    auto host = sys::ReadFileAt(AT_FDCWD, "/etc/hosts");
    text = host.ok() ? *host : OwnHosts(pod);
  } else {
    text = OwnHosts(pod);
  }
  // Two containers may come here at once: each writes a file of its own and renames it.
  std::string mine = absl::StrCat(path, ".", container.id());
  WHERRY_FAIL_POINT("hosts.write");
  ASSIGN_OR_RETURN(sys::UniqueFd fd, sys::OpenAt(AT_FDCWD, mine, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644));
  RETURN_IF_ERROR(sys::WriteAll(fd.get(), text));
  RETURN_IF_ERROR(GiveToPod(mine, pod.config()));
  WHERRY_FAIL_POINT("hosts.rename");
  if (::fchmod(fd.get(), 0644) != 0 || ::rename(mine.c_str(), path.c_str()) != 0) {
    return sys::Errno(absl::StrCat("rename \"", mine, "\""));
  }
  return absl::OkStatus();
}

}  // namespace wherry::container

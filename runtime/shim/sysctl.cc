// A sysctl of a pod reaches the kernel in exactly one way: one write(2) to one file, found beneath a procfs of our own.
// Nothing interprets the value in between: CVE-2022-0811 (cr8escape) put "+kernel.core_pattern=…" into a value and had a
// helper program take it for a second parameter. And the name must belong to a namespace of the pod, because
// /proc/sys/kernel and /proc/sys/fs otherwise are the host's.
#include "runtime/shim/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "runtime/shim/procfs.h"
#include "runtime/sys/file.h"

namespace wherry::shim {
namespace {

constexpr size_t kMaxName = 256;
constexpr size_t kMaxValue = 4096;
constexpr const char* kUts[] = {"kernel/hostname", "kernel/domainname"};

bool NameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

// Parameters outside net/ that belong to the IPC namespace (ipc_sysctl.c, mq_sysctl.c).
bool IsIpc(absl::string_view path) {
  static constexpr absl::string_view kNames[] = {
      "kernel/shmmax",      "kernel/shmall", "kernel/shmmni",      "kernel/shm_rmid_forced",
      "kernel/msgmax",      "kernel/msgmnb", "kernel/msgmni",      "kernel/auto_msgmni",
      "kernel/msg_next_id", "kernel/sem",    "kernel/sem_next_id", "kernel/shm_next_id"};
  if (absl::StartsWith(path, "fs/mqueue/")) return true;
  return std::find(std::begin(kNames), std::end(kNames), path) != std::end(kNames);
}

absl::Status Refuse(absl::string_view name, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("sysctl \"", name, "\": ", why));
}

absl::Status CheckOwner(absl::string_view name, absl::string_view path, const OwnNamespaces& own) {
  if (absl::StartsWith(path, "net/")) {
    return own.net ? absl::OkStatus() : Refuse(name, "the pod's network namespace is the host's");
  }
  if (IsIpc(path)) return own.ipc ? absl::OkStatus() : Refuse(name, "the pod's IPC namespace is the host's");
  if (std::find(std::begin(kUts), std::end(kUts), path) != std::end(kUts)) {
    return own.uts ? absl::OkStatus() : Refuse(name, "the pod's UTS namespace is the host's");
  }
  return Refuse(name, "not a parameter of a namespace, so it would change the host");
}

}  // namespace

absl::StatusOr<std::string> SysctlPath(absl::string_view name, absl::string_view value, const OwnNamespaces& own) {
  if (name.size() > kMaxName) return Refuse(name.substr(0, 32), "the name is too long");
  std::string path(name);
  const size_t separator = path.find_first_of("./");
  if (separator != std::string::npos && path[separator] == '.') {
    for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == "." || part == ".." || !std::all_of(part.begin(), part.end(), NameByte))
      return absl::InvalidArgumentError("a sysctl's name has bytes or parts that no parameter has");
  }
  if (value.size() > kMaxValue) return Refuse(name, "the value is too long");
  if (!std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; }))
    return Refuse(name, "the value has control bytes or is not ASCII");
  RETURN_IF_ERROR(CheckOwner(name, path, own));
  return path;
}

SysctlValues TakeUtsSysctls(SysctlValues& values) {
  SysctlValues taken;
  for (const char* path : kUts) {
    if (auto node = values.extract(path); !node.empty()) taken.insert(std::move(node));
  }
  return taken;
}

absl::Status WriteSysctls(int procfs, const SysctlValues& values) {
  for (const auto& [path, value] : values) {
    auto fd = OpenInProcfs(procfs, absl::StrCat("sys/", path), O_WRONLY);
    if (!fd.ok()) return absl::InvalidArgumentError(absl::StrCat("sysctl: ", fd.status().message()));
    const ssize_t n = ::write(fd->get(), value.data(), value.size());
    if (n < 0 || static_cast<size_t>(n) != value.size()) {
      const absl::Status cause = n < 0 ? sys::Errno("write") : absl::InternalError("write: cut short");
      return absl::InvalidArgumentError(absl::StrCat("sysctl ", path, " = \"", value, "\": ", cause.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace wherry::shim

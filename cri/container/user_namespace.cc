#include "cri/container/user_namespace.h"

#include <unistd.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

using Mappings = google::protobuf::RepeatedPtrField<::runtime::v1::IDMapping>;

absl::Status Wrong(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("namespace_options.userns_options", field, ": ", why));
}

absl::Status CheckMapping(const Mappings& mappings, absl::string_view field) {
  if (mappings.size() != 1)
    return Wrong(field, absl::StrCat("one mapping is needed, and ", mappings.size(), " were given"));
  const ::runtime::v1::IDMapping& mapping = mappings[0];
  if (mapping.container_id() != 0) return Wrong(field, "container id 0 has to be mapped");
  if (mapping.host_id() == 0) return Wrong(field, "host id 0 would make the container's root the host's");
  // The largest number stands for "no id" (user_namespaces(7)).
  if (mapping.length() == 0 || mapping.length() > std::numeric_limits<uint32_t>::max() - mapping.host_id())
    return Wrong(field, absl::StrCat("there are no ", mapping.length(), " ids from ", mapping.host_id(), " on"));
  return absl::OkStatus();
}

bool Same(const Mappings& a, const Mappings& b) {
  if (a.size() != 1 || b.size() != 1) return false;
  return a[0].host_id() == b[0].host_id() && a[0].container_id() == b[0].container_id() &&
         a[0].length() == b[0].length();
}

const ::runtime::v1::UserNamespace& OptionsOf(const ::runtime::v1::PodSandboxConfig& pod) {
  return pod.linux().security_context().namespace_options().userns_options();
}

}  // namespace

absl::Status CheckUserNamespace(const ::runtime::v1::NamespaceOption& sandbox) {
  if (!sandbox.has_userns_options()) return absl::OkStatus();
  const ::runtime::v1::UserNamespace& options = sandbox.userns_options();
  if (options.mode() == ::runtime::v1::NODE) {
    if (options.uids().empty() && options.gids().empty()) return absl::OkStatus();
    return Wrong("", "mode NODE has no mappings");
  }
  if (options.mode() != ::runtime::v1::POD) return Wrong(".mode", "must be POD or NODE");
  if (absl::Status status = CheckMapping(options.uids(), ".uids"); !status.ok()) return status;
  if (absl::Status status = CheckMapping(options.gids(), ".gids"); !status.ok()) return status;
  if (sandbox.ipc() == ::runtime::v1::NODE) return Wrong("", "cannot be had with the host's IPC namespace");
  if (sandbox.pid() == ::runtime::v1::NODE) return Wrong("", "cannot be had with the host's PID namespace");
  return absl::OkStatus();
}

std::optional<shim::v1::UserNamespace> UserNamespaceOf(const ::runtime::v1::PodSandboxConfig& pod) {
  const ::runtime::v1::UserNamespace& options = OptionsOf(pod);
  if (options.mode() != ::runtime::v1::POD || options.uids().empty() || options.gids().empty()) return std::nullopt;
  shim::v1::UserNamespace out;
  out.set_host_uid(options.uids(0).host_id());
  out.set_uids(options.uids(0).length());
  out.set_host_gid(options.gids(0).host_id());
  out.set_gids(options.gids(0).length());
  return out;
}

absl::StatusOr<bool> IsIdmapped(const ::runtime::v1::Mount& mount, const ::runtime::v1::PodSandboxConfig& pod,
                                const std::string& field) {
  if (mount.uidmappings().empty() && mount.gidmappings().empty()) return false;
  const ::runtime::v1::UserNamespace& options = OptionsOf(pod);
  if (UserNamespaceOf(pod) && Same(mount.uidmappings(), options.uids()) && Same(mount.gidmappings(), options.gids()))
    return true;
  return absl::InvalidArgumentError(
      absl::StrCat(field, ".uidMappings, gidMappings: not those of the sandbox's user namespace"));
}

absl::Status GiveToPod(const std::string& path, const ::runtime::v1::PodSandboxConfig& pod, uid_t uid, gid_t gid) {
  if (const auto users = UserNamespaceOf(pod)) {
    if (uid >= users->uids() || gid >= users->gids())
      return absl::InvalidArgumentError(
          absl::StrCat("owner ", uid, ":", gid, " has no id in the sandbox's user namespace"));
    uid += users->host_uid();
    gid += users->host_gid();
  }
  if (uid == 0 && gid == 0) return absl::OkStatus();
  if (::lchown(path.c_str(), uid, gid) != 0) return sys::Errno(absl::StrCat("lchown \"", path, "\""));
  return absl::OkStatus();
}

}  // namespace wherry::container

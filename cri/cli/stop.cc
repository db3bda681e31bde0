// wherry stop, rm. Names are resolved before the first is acted on, so that a typing error does not leave half of the work done.

#include <filesystem>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/format.h"
#include "cri/cli/target.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

absl::StatusOr<std::vector<Candidate>> Resolve(Client& client, const std::vector<std::string>& names) {
  ASSIGN_OR_RETURN(std::vector<Candidate> candidates, ListCandidates(client, true));
  std::vector<Candidate> out;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(Candidate found, Choose(candidates, name));
    out.push_back(std::move(found));
  }
  return out;
}

absl::Status StopContainer(Client& client, const std::string& id, int64_t timeout_seconds) {
  cri::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(timeout_seconds);
  return client.Get<cri::StopContainerResponse>(request, absl::Seconds(timeout_seconds) + absl::Minutes(2)).status();
}

// StopPodSandbox gives no grace: the kubelet stops a pod's containers first, and so do we.
absl::Status StopPod(Client& client, const std::string& id, int64_t timeout_seconds) {
  cri::ListContainersRequest containers;
  containers.mutable_filter()->set_pod_sandbox_id(id);
  containers.mutable_filter()->mutable_state()->set_state(cri::CONTAINER_RUNNING);
  ASSIGN_OR_RETURN(auto running, client.Get<cri::ListContainersResponse>(containers));
  for (const auto& container : running.containers())
    RETURN_IF_ERROR(StopContainer(client, container.id(), timeout_seconds));
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  return client.Get<cri::StopPodSandboxResponse>(request).status();
}

absl::Status RemovePod(Client& client, const std::string& id) {
  cri::PodSandboxStatusRequest ask;
  ask.set_pod_sandbox_id(id);
  auto status = client.Get<cri::PodSandboxStatusResponse>(ask);
  RETURN_IF_ERROR(StopPod(client, id, 0));
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  RETURN_IF_ERROR(client.Get<cri::RemovePodSandboxResponse>(request).status());
  if (!status.ok()) return absl::OkStatus();
  auto dir = status->status().annotations().find(kLogDirAnnotation);
  return dir == status->status().annotations().end() ? absl::OkStatus() : RemoveLogDir(dir->second);
}

absl::Status RemoveOne(Client& client, const Candidate& target, bool force) {
  if (target.running && !force)
    return absl::FailedPreconditionError(absl::StrCat(target.full_name, " is running: stop it first, or use rm -f"));
  if (target.kind == Candidate::Kind::kPod) return RemovePod(client, target.id);
  if (target.running) RETURN_IF_ERROR(StopContainer(client, target.id, 0));
  cri::RemoveContainerRequest request;
  request.set_container_id(target.id);
  return client.Get<cri::RemoveContainerResponse>(request).status();
}

}  // namespace

absl::Status RemoveLogDir(const std::string& dir) {
  absl::string_view name = dir;
  // Annotations come from whoever made the pod: only a direct child of our own directory is taken.
  if (!absl::ConsumePrefix(&name, absl::StrCat(kLogRoot, "/")) || name.empty() || name == "." || name == ".." ||
      absl::StrContains(name, "/"))
    return absl::OkStatus();
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  if (error) return absl::InternalError(absl::StrCat("remove \"", dir, "\": ", error.message()));
  return absl::OkStatus();
}

absl::StatusOr<int> Stop(Client& client, const std::vector<std::string>& names, int64_t timeout_seconds) {
  ASSIGN_OR_RETURN(std::vector<Candidate> targets, Resolve(client, names));
  for (const Candidate& target : targets) {
    RETURN_IF_ERROR_CTX(target.kind == Candidate::Kind::kPod ? StopPod(client, target.id, timeout_seconds)
                                                             : StopContainer(client, target.id, timeout_seconds),
                        target.full_name);
    std::cout << ShortId(target.id) << "\n";
  }
  return 0;
}

absl::StatusOr<int> Remove(Client& client, const std::vector<std::string>& names, bool force) {
  ASSIGN_OR_RETURN(std::vector<Candidate> targets, Resolve(client, names));
  for (const Candidate& target : targets) {
    RETURN_IF_ERROR_CTX(RemoveOne(client, target, force), target.full_name);
    std::cout << ShortId(target.id) << "\n";
  }
  return 0;
}

}  // namespace wherry::cli

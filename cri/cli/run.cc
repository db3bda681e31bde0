// wherry run: a pod with one container, its output, its exit code, and nothing left afterwards. It is what the kubelet does, in
// small: image, sandbox, container, log file. Each step pushes its undo, so that an error and the normal end tidy up by the
// same road. The container's user-visible defaults are Kubernetes': RuntimeDefault seccomp, a PID namespace of its own, masked paths.

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <iostream>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/format.h"
#include "cri/cli/run_config.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

// Runs what was pushed, last first, unless dismissed. Steps hold what they need by value: they run after later variables died. Failures are told, for nobody is left to handle them.
class Undo {
 public:
  ~Undo() {
    for (auto it = steps_.rbegin(); it != steps_.rend(); ++it) {
      if (absl::Status status = (*it)(); !status.ok())
        std::cerr << "wherry: while tidying up: " << ErrorLine(status) << "\n";
    }
  }
  void Push(std::function<absl::Status()> step) { steps_.push_back(std::move(step)); }
  void Dismiss() { steps_.clear(); }

 private:
  std::vector<std::function<absl::Status()>> steps_;
};

std::string RandomHex() {
  std::random_device random;
  return absl::StrFormat("%08x%08x", random(), random());
}

// The image's id. A pull is tried for an image that is not here.
absl::StatusOr<std::string> ImageId(Client& client, const std::string& name) {
  cri::ImageStatusRequest status;
  status.mutable_image()->set_image(name);
  ASSIGN_OR_RETURN(auto found, client.Get<cri::ImageStatusResponse>(status));
  if (found.has_image()) return found.image().id();
  cri::PullImageRequest pull;
  pull.mutable_image()->set_image(name);
  auto pulled = client.Get<cri::PullImageResponse>(pull, absl::InfiniteDuration());
  if (pulled.ok()) return pulled->image_ref();
  if (absl::IsUnimplemented(pulled.status()))
    return absl::NotFoundError(absl::StrCat("no image \"", name,
                                            "\": `wherry image ls` shows what there is, `wherry image "
                                            "import FILE` adds one from an archive"));
  return sys::Annotate(pulled.status(), absl::StrCat("image \"", name, "\""));
}

absl::Status MakeLogDir(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return absl::InternalError(absl::StrCat("mkdir \"", dir, "\": ", error.message()));
  return absl::OkStatus();
}

absl::Status RemovePod(Client& client, const std::string& id) {
  cri::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(id);
  RETURN_IF_ERROR(client.Get<cri::StopPodSandboxResponse>(stop).status());
  cri::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(id);
  return client.Get<cri::RemovePodSandboxResponse>(remove).status();
}

}  // namespace

absl::StatusOr<sys::UniqueFd> TakeStopSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  if (int err = ::pthread_sigmask(SIG_BLOCK, &set, nullptr)) return sys::Errno("pthread_sigmask", err);
  sys::UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd.valid()) return sys::Errno("signalfd");
  return fd;
}

absl::StatusOr<int> Run(Client& client, const RunOptions& options, int signals) {
  RunConfig config;
  const std::string uid = RandomHex(), name = options.name.empty() ? "run-" + uid.substr(0, 8) : options.name;
  const std::string log_dir = absl::StrCat(kLogRoot, "/", name, "_", uid);
  RETURN_IF_ERROR(MakeRunConfig(options, {name, uid, log_dir}, config));
  ASSIGN_OR_RETURN(std::string image, ImageId(client, options.image));
  config.container->mutable_image()->set_image(image);

  Undo undo;
  RETURN_IF_ERROR(MakeLogDir(log_dir));
  undo.Push([log_dir] { return RemoveLogDir(log_dir); });
  cri::RunPodSandboxRequest run;
  *run.mutable_config() = *config.pod;
  ASSIGN_OR_RETURN_CTX(auto pod, client.Get<cri::RunPodSandboxResponse>(run, absl::Minutes(4)), "pod");
  undo.Push([&client, id = pod.pod_sandbox_id()] { return RemovePod(client, id); });

  cri::CreateContainerRequest create;
  create.set_pod_sandbox_id(pod.pod_sandbox_id());
  *create.mutable_config() = *config.container;
  *create.mutable_sandbox_config() = *config.pod;
  ASSIGN_OR_RETURN_CTX(auto container, client.Get<cri::CreateContainerResponse>(create), "container");
  cri::StartContainerRequest start;
  start.set_container_id(container.container_id());
  RETURN_IF_ERROR_CTX(client.Get<cri::StartContainerResponse>(start).status(), "start");

  if (options.detach) {
    undo.Dismiss();
    std::cout << container.container_id() << "\n";
    return 0;
  }
  ASSIGN_OR_RETURN(int code, FollowUntilExit(client, container.container_id(), {}, signals));
  if (!options.remove) undo.Dismiss();
  return code;
}

}  // namespace wherry::cli

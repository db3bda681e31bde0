// CreateContainer: the record, the directories and the finished specification; no process, no cgroup. What can be wrong
// with a request is found here, so that Start only fails for what only running the program can show.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "cri/config/config.h"
#include "cri/container/cdi.h"
#include "cri/container/core.h"
#include "cri/container/directories.h"
#include "cri/container/hooks.h"
#include "cri/container/hosts.h"
#include "cri/container/ids.h"
#include "cri/container/resources.h"
#include "cri/container/rollback.h"
#include "cri/container/signals.h"
#include "cri/container/user_namespace.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::Status CheckReady(const store::PodRecord& pod) {
  if (pod.state() == store::POD_READY) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("sandbox ", pod.id(), " is not ready"));
}

absl::Status CheckUnique(Core& core, const std::string& pod_id, const ::runtime::v1::ContainerMetadata& metadata) {
  for (const auto& other : core.store.ContainersOf(pod_id)) {
    const auto& taken = other->config().metadata();
    if (taken.name() == metadata.name() && taken.attempt() == metadata.attempt()) {
      return absl::AlreadyExistsError(absl::StrCat("container \"", metadata.name(), "\" attempt ", metadata.attempt(),
                                                   " of sandbox ", pod_id, " exists: ", other->id()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> StopSignal(const ::runtime::v1::ContainerConfig& config, const oci::ImageConfig& image) {
  ASSIGN_OR_RETURN(int number, SignalFromCri(config.stop_signal()));
  if (number != 0) return number;
  if (image.stop_signal.empty()) return SIGTERM;
  return ParseSignal(image.stop_signal);
}

absl::StatusOr<store::ContainerRecord> NewRecord(Core& core, const store::PodRecord& pod,
                                                 const ::runtime::v1::ContainerConfig& config,
                                                 const image::Image& image) {
  store::ContainerRecord record;
  record.set_id(NewId());
  record.set_pod_id(pod.id());
  record.set_state(store::CREATING);
  *record.mutable_config() = config;
  record.set_image_id(image.id);
  record.set_image_ref(image.repo_digests.empty() ? image.id : image.repo_digests.front());
  record.set_created_at_ns(core.Now());
  record.set_cgroup_path(Paths::container_cgroup(pod.cgroup_path(), record.id()));
  *record.mutable_resources() = config.linux().resources();
  ASSIGN_OR_RETURN(config::Handler handler, config::FindHandler(core.config, pod.runtime_handler()));
  AddBaseLimits(handler, record);
  ASSIGN_OR_RETURN(int signal, StopSignal(config, image.config));
  record.set_stop_signal(signal);
  return record;
}

// The writable layer. Its own attributes become those of "/", so they are the image's.
absl::Status MakeDirs(Core& core, const std::string& id, const ::runtime::v1::PodSandboxConfig& pod,
                      const std::vector<std::string>& lowerdirs) {
  struct stat root = {};
  root.st_mode = 0755;
  if (!lowerdirs.empty() && ::stat(lowerdirs.front().c_str(), &root) != 0) {
    return sys::Errno(absl::StrCat("stat \"", lowerdirs.front(), "\""));
  }
  RETURN_IF_ERROR(MakeDirectories(core.paths.container(id), 0700));
  std::string upper = core.paths.upper(id);
  RETURN_IF_ERROR(MakeDirectories(upper, root.st_mode & 07777));
  RETURN_IF_ERROR(GiveToPod(upper, pod, root.st_uid, root.st_gid));
  return MakeDirectories(core.paths.work(id), 0700);
}

absl::Status Specify(Core& core, const store::PodRecord& pod, const image::Image& image,
                     const std::vector<std::string>& lowerdirs, store::ContainerRecord& record) {
  RETURN_IF_ERROR(EnsureHosts(core.paths, pod, record));
  ASSIGN_OR_RETURN(ImageLayers mounted, HoldMountedImages(core, record));
  ASSIGN_OR_RETURN(config::Handler handler, config::FindHandler(core.config, pod.runtime_handler()));
  SpecInput input{record.id(), record.config(), pod, image.config, lowerdirs, mounted, core.paths, core.host, handler};
  ASSIGN_OR_RETURN(shim::v1::StartContainerRequest spec, BuildSpec(input));
  RETURN_IF_ERROR(CheckLabels(spec));
  const std::string& label = spec.rootfs().mount_label();
  RETURN_IF_ERROR(LabelOwnFiles(core.paths, pod.id(), record.id(), label));
  const auto wanted = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(store::Pod now, core.store.FindPod(pod.id()));
    return CheckReady(*now);
  };
  RETURN_IF_ERROR(EnsureSources(core, record, label, wanted));
  ASSIGN_OR_RETURN(std::vector<std::string> devices, CdiNames(record.config()));
  if (!devices.empty()) {
    ASSIGN_OR_RETURN_CTX(cdi::Edits edits, ResolveCdi(core.config.cdi.spec_dirs, devices), "CDI_devices");
    RETURN_IF_ERROR(ApplyCdi(edits, core.looks, wanted, record, spec));
  }
  RETURN_IF_ERROR(EnsureAppArmor(core, spec.process().apparmor_profile()));
  // A wrong profile is found now. The default filter is made anew for each process and would only swell the record.
  ASSIGN_OR_RETURN(std::string filter, SeccompFilter(core, record.config(), spec.process().capabilities()));
  if (HasLocalhostSeccomp(record.config())) spec.mutable_process()->set_seccomp_bpf(std::move(filter));
  if (!spec.log().path().empty()) record.set_log_path(absl::StrCat(spec.log().directory(), "/", spec.log().path()));
  record.set_spec(spec.SerializeAsString());
  return MakeBundle(pod, record, spec);
}

absl::StatusOr<std::string> CreateOnce(Core& core, const store::PodRecord& pod,
                                       const ::runtime::v1::ContainerConfig& config) {
  RETURN_IF_ERROR(CheckReady(pod));
  RETURN_IF_ERROR(CheckUnique(core, pod.id(), config.metadata()));
  ASSIGN_OR_RETURN_CTX(std::shared_ptr<const image::Image> image, core.images.Find(config.image().image()), "image");
  ASSIGN_OR_RETURN(store::ContainerRecord record, NewRecord(core, pod, config, *image));
  const std::string id = record.id();
  auto lease = core.leases.Take(id);

  Rollback rollback;
  rollback.Push("record", [&] { return core.store.DeleteContainer(id); });
  auto work = [&]() -> absl::Status {
    RETURN_IF_ERROR(core.store.Put(record));
    // A Stop of the pod writes its record first and then looks for containers: one of us two sees the other.
    ASSIGN_OR_RETURN(store::Pod now, core.store.FindPod(pod.id()));
    RETURN_IF_ERROR(CheckReady(*now));
    rollback.Push("image hold", [&] {
      core.images.Release(id);
      return absl::OkStatus();
    });
    ASSIGN_OR_RETURN(std::vector<std::string> lowerdirs, core.images.Hold(image->id, id));
    rollback.Push("directories", [&] { return RemoveTree(core.paths.container(id)); });
    RETURN_IF_ERROR(MakeDirs(core, id, pod.config(), lowerdirs));
    RETURN_IF_ERROR(Specify(core, pod, *image, lowerdirs, record));
    record.set_state(store::CREATED);
    return core.store.Put(record);
  };
  if (absl::Status status = work(); !status.ok()) return rollback.Undo(status);
  rollback.Dismiss();
  return id;
}

}  // namespace

absl::StatusOr<std::string> Create(Core& core, const ::runtime::v1::CreateContainerRequest& request) {
  const auto& metadata = request.config().metadata();
  if (metadata.name().empty()) return absl::InvalidArgumentError("config.metadata.name is empty");
  if (request.config().image().image().empty()) return absl::InvalidArgumentError("config.image.image is empty");
  if (request.pod_sandbox_id().empty()) return absl::InvalidArgumentError("pod_sandbox_id is empty");
  ASSIGN_OR_RETURN(store::Pod pod, core.store.FindPod(request.pod_sandbox_id()));
  std::string key = absl::StrCat(pod->id(), "/", metadata.attempt(), "/", metadata.name());
  return core.creates.Run(key, [&] { return CreateOnce(core, *pod, request.config()); });
}

}  // namespace wherry::container

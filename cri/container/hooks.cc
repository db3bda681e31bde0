#include "cri/container/hooks.h"

#include <fcntl.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "cri/container/directories.h"
#include "cri/container/runtime_spec.h"
#include "cri/container/user_namespace.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

using Json = nlohmann::json;

constexpr char kOciVersion[] = "1.1.0";

std::string Text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::map<std::string, std::string> Annotations(const store::ContainerRecord& record) {
  return {record.config().annotations().begin(), record.config().annotations().end()};
}

absl::Status AddHook(const cdi::Hook& hook, shim::v1::Hooks& hooks) {
  static const std::map<std::string, shim::v1::Hook::Stage> kStages = {
      {"createContainer", shim::v1::Hook::CREATE_CONTAINER}, {"startContainer", shim::v1::Hook::START_CONTAINER}};
  const auto stage = kStages.find(hook.name);
  if (stage == kStages.end())
    return absl::UnimplementedError(absl::StrCat("CDI_devices: the specification wants a hook ", hook.name, " (",
                                                 hook.path, "), which is not run"));
  shim::v1::Hook& added = *hooks.add_list();
  added.set_stage(stage->second);
  added.set_path(hook.path);
  for (const std::string& arg : hook.args) added.add_args(arg);
  for (const std::string& variable : hook.env) added.add_env(variable);
  if (hook.timeout_s) added.set_timeout_s(*hook.timeout_s);
  return absl::OkStatus();
}

}  // namespace

absl::Status AddHooks(const std::vector<cdi::Hook>& hooks, const store::ContainerRecord& record,
                      shim::v1::StartContainerRequest& spec) {
  if (hooks.empty()) return absl::OkStatus();
  const std::string& bundle = spec.work_directory();
  spec.mutable_hooks()->set_bundle(bundle);
  const std::string state = Text(
      {{"ociVersion", kOciVersion}, {"id", record.id()}, {"bundle", bundle}, {"annotations", Annotations(record)}});
  spec.mutable_hooks()->set_state(state.substr(1, state.size() - 2));
  for (const cdi::Hook& hook : hooks) RETURN_IF_ERROR(AddHook(hook, *spec.mutable_hooks()));
  return absl::OkStatus();
}

absl::Status MakeBundle(const store::PodRecord& pod, const store::ContainerRecord& record,
                        const shim::v1::StartContainerRequest& spec) {
  if (!spec.has_hooks()) return absl::OkStatus();
  if (UserNamespaceOf(pod.config()))
    return absl::UnimplementedError(absl::StrCat("CDI_devices: the specification wants a hook (",
                                                 spec.hooks().list(0).path(),
                                                 "), which is not run in a pod with a user namespace"));
  const std::string rootfs = spec.hooks().bundle() + "/rootfs";
  RETURN_IF_ERROR(MakeDirectories(rootfs, 0755));
  Json config = RuntimeSpec(record, spec);
  config["ociVersion"] = kOciVersion;
  config["root"]["path"] = rootfs;
  config["process"]["env"] = Json::array();
  for (const std::string& variable : spec.process().env()) config["process"]["env"].push_back(variable);
  config["annotations"] = Annotations(record);
  return sys::ReplaceFileAt(AT_FDCWD, spec.hooks().bundle() + "/config.json", Text(config), 0600);
}

}  // namespace wherry::container

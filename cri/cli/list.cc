// wherry ps, pods.

#include <time.h>

#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/format.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

// "CONTAINER_RUNNING" as "Running".
std::string StateName(absl::string_view name) {
  absl::ConsumePrefix(&name, "CONTAINER_");
  absl::ConsumePrefix(&name, "SANDBOX_");
  if (name == "NOTREADY") return "NotReady";
  std::string out = absl::AsciiStrToLower(name);
  out[0] = absl::ascii_toupper(static_cast<unsigned char>(out[0]));
  return out;
}

// The addresses of a pod; empty with the host's network, or when the pod has gone meanwhile.
std::string PodIp(Client& client, const std::string& id) {
  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  auto response = client.Get<cri::PodSandboxStatusResponse>(request);
  if (!response.ok()) return "";
  std::string out = response->status().network().ip();
  for (const auto& ip : response->status().network().additional_ips()) absl::StrAppend(&out, ",", ip.ip());
  return out;
}

struct Row {
  std::string id, name, pod, state, image, ip;
  int64_t created = 0;
  int exit_code = 0;
};

// Exit codes are not in lists. A container that is gone meanwhile keeps its state.
void AddExit(Client& client, Row& row) {
  cri::ContainerStatusRequest request;
  request.set_container_id(row.id);
  auto response = client.Get<cri::ContainerStatusResponse>(request);
  if (!response.ok()) return;
  row.exit_code = response->status().exit_code();
  const std::string& reason = response->status().reason();
  row.state =
      absl::StrCat("Exited (", row.exit_code, reason.empty() || reason == "Completed" || reason == "Error" ? "" : ", ",
                   reason == "Completed" || reason == "Error" ? "" : reason, ")");
}

nlohmann::json Json(const Row& row) {
  return {{"id", row.id},       {"name", row.name},          {"pod", row.pod}, {"state", row.state},
          {"image", row.image}, {"created_at", row.created}, {"ip", row.ip},   {"exit_code", row.exit_code}};
}

absl::StatusOr<std::vector<Row>> Rows(Client& client, bool all) {
  cri::ListContainersRequest request;
  if (!all) request.mutable_filter()->mutable_state()->set_state(cri::CONTAINER_RUNNING);
  ASSIGN_OR_RETURN(auto containers, client.Get<cri::ListContainersResponse>(request));
  ASSIGN_OR_RETURN(auto pods, client.Get<cri::ListPodSandboxResponse>(cri::ListPodSandboxRequest()));
  ASSIGN_OR_RETURN(auto images, client.Get<cri::ListImagesResponse>(cri::ListImagesRequest()));
  std::map<std::string, std::string> names, ips, tags;
  for (const auto& image : images.images()) {
    if (!image.repo_tags().empty()) tags[image.id()] = image.repo_tags(0);
  }
  for (const auto& pod : pods.items()) names[pod.id()] = pod.metadata().name();
  std::vector<Row> rows;
  for (const auto& c : containers.containers()) {
    const std::string& pod = c.pod_sandbox_id();
    if (!ips.count(pod)) ips[pod] = PodIp(client, pod);
    // The name that was asked for, else one that the image has now, else its id.
    std::string image = c.image().user_specified_image();
    if (image.empty()) image = tags.count(c.image().image()) ? tags[c.image().image()] : c.image().image();
    Row row{c.id(),   c.metadata().name(), names[pod], StateName(cri::ContainerState_Name(c.state())), image,
            ips[pod], c.created_at(),      0};
    if (c.state() == cri::CONTAINER_EXITED) AddExit(client, row);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

absl::StatusOr<int> ListContainers(Client& client, bool all, Output output) {
  ASSIGN_OR_RETURN(std::vector<Row> rows, Rows(client, all));
  if (output == Output::kJson) {
    auto out = nlohmann::json::array();
    for (const Row& row : rows) out.push_back(Json(row));
    std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return 0;
  }
  const int64_t now = absl::GetCurrentTimeNanos();
  Table table({"CONTAINER", "NAME", "POD", "STATE", "AGE", "IP", "IMAGE"});
  for (const Row& row : rows)
    table.Add({ShortId(row.id), row.name, row.pod, row.state, Age(row.created, now), row.ip,
               row.image.rfind("sha256:", 0) == 0 ? ShortId(row.image) : row.image});
  std::cout << table.Text();
  return 0;
}

absl::StatusOr<int> ListPods(Client& client, Output output) {
  ASSIGN_OR_RETURN(auto pods, client.Get<cri::ListPodSandboxResponse>(cri::ListPodSandboxRequest()));
  const int64_t now = absl::GetCurrentTimeNanos();
  auto json = nlohmann::json::array();
  Table table({"POD", "NAMESPACE", "NAME", "ATTEMPT", "STATE", "AGE", "IP"});
  for (const auto& pod : pods.items()) {
    const auto& meta = pod.metadata();
    const std::string state = StateName(cri::PodSandboxState_Name(pod.state())), ip = PodIp(client, pod.id());
    table.Add({ShortId(pod.id()), meta.namespace_(), meta.name(), absl::StrCat(meta.attempt()), state,
               Age(pod.created_at(), now), ip});
    json.push_back({{"id", pod.id()},
                    {"namespace", meta.namespace_()},
                    {"name", meta.name()},
                    {"uid", meta.uid()},
                    {"attempt", meta.attempt()},
                    {"state", state},
                    {"created_at", pod.created_at()},
                    {"ip", ip}});
  }
  if (output == Output::kTable)
    std::cout << table.Text();
  else
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  return 0;
}

}  // namespace wherry::cli

// A pod's way through the kubelet: what it asks at each step, and what it makes of the answers. Each test quotes the number of
// the demand.

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;

class KubeletPodsTest : public NodeTest {
 protected:
  // A call that must succeed.
  template <typename Stub, typename Request, typename Response>
  static Response Get(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request) {
    Response response;
    grpc::ClientContext context;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  using Runtime = cri::RuntimeService::Stub;
  using Images = cri::ImageService::Stub;

  cri::PodSandboxStatus PodStatus(const std::string& pod) {
    cri::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod);
    return Get(node.runtime(), &Runtime::PodSandboxStatus, request).status();
  }
  std::vector<cri::Container> Containers(const std::string& pod) {
    cri::ListContainersRequest request;
    request.mutable_filter()->set_pod_sandbox_id(pod);
    const auto response = Get(node.runtime(), &Runtime::ListContainers, request);
    return {response.containers().begin(), response.containers().end()};
  }
  std::vector<cri::PodSandbox> Pods() {
    const auto response = Get(node.runtime(), &Runtime::ListPodSandbox, {});
    return {response.items().begin(), response.items().end()};
  }
  cri::ImageStatusResponse ImageStatus(const std::string& image) {
    cri::ImageStatusRequest request;
    request.mutable_image()->set_image(image);
    return Get(node.images(), &Images::ImageStatus, request);
  }
};

int64_t NowNs() { return static_cast<int64_t>(::time(nullptr)) * 1'000'000'000; }

// KUBELET 12, 21, 32: it asks by the image's id, and sends no command where the pod has none.
TEST_F(KubeletPodsTest, ListedContainersAreWhatWasAskedFor) {
  const std::string image = ImageStatus(kImage).image().id(), pod = node.RunPod("p");
  const std::string id = node.Create(pod, "c", {}, [&](cri::ContainerConfig& config) {
    config.mutable_metadata()->set_attempt(3);
    config.mutable_image()->set_image(image);
    config.mutable_image()->set_user_specified_image(kImage);
    (*config.mutable_labels())["io.kubernetes.container.name"] = "c";
    (*config.mutable_annotations())["io.kubernetes.container.hash"] = "a1 \"b2\"\n";
    auto& env = *config.add_envs();
    env.set_key("GREETING");
    env.set_value("grüße \x01");
    config.add_args("-c");
    config.add_args("echo $GREETING");
    config.add_command("sh");
  });
  const std::string shell = node.Create(pod, "image-command", {});
  node.StartContainer(id);
  node.StartContainer(shell);
  EXPECT_EQ(node.WaitExited(shell).reason(), "Completed") << "the image's sh, without any input";
  node.WaitExited(id);
  EXPECT_EQ(node.LogText(id), "grüße \x01\n");
  for (const cri::Container& listed : Containers(pod)) {
    EXPECT_EQ(listed.pod_sandbox_id(), pod);
    EXPECT_EQ(listed.image_id(), image);
    EXPECT_FALSE(listed.image_ref().empty());
    EXPECT_FALSE(listed.image().image().empty());
    EXPECT_EQ(listed.state(), cri::CONTAINER_EXITED);
    EXPECT_GT(listed.created_at(), NowNs() - int64_t{600'000'000'000});
    EXPECT_LE(listed.created_at(), NowNs() + int64_t{1'000'000'000});
    if (listed.id() != id) continue;
    EXPECT_EQ(listed.metadata().name(), "c");
    EXPECT_EQ(listed.metadata().attempt(), 3u);
    EXPECT_EQ(listed.labels().at("io.kubernetes.container.name"), "c");
    EXPECT_EQ(listed.annotations().at("io.kubernetes.container.hash"), "a1 \"b2\"\n");
  }
}

// KUBELET 13: what is sorted by its age stays in order, whoever answers.
TEST_F(KubeletPodsTest, TimesOfCreationGrowAndOutliveTheDaemon) {
  const std::string pod = node.RunPod("p");
  std::vector<std::string> ids;
  std::vector<int64_t> times, later;
  for (uint32_t attempt = 0; attempt < 4; ++attempt)
    ids.push_back(
        node.Create(pod, "c", {"true"}, [&](auto& config) { config.mutable_metadata()->set_attempt(attempt); }));
  for (const std::string& id : ids) times.push_back(node.Status(id).created_at());
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end(), std::less_equal<>()))
      << "some were created before the one before";
  const int64_t pods = PodStatus(pod).created_at();
  node.Kill9();
  node.Start();
  for (const std::string& id : ids) later.push_back(node.Status(id).created_at());
  EXPECT_EQ(later, times);
  EXPECT_EQ(PodStatus(pod).created_at(), pods);
}

// KUBELET 12, 19
TEST_F(KubeletPodsTest, APodsStatusSaysWhatItNeedsToKeepIt) {
  for (const cri::NamespaceMode network : {cri::POD, cri::NODE}) {
    const std::string name = cri::NamespaceMode_Name(network), pod = node.RunPod(name, [&](auto&config) {
      config.mutable_metadata()->set_attempt(2);
      (*config.mutable_labels())["io.kubernetes.pod.uid"] = "u";
      if (network == cri::NODE) config.clear_hostname();
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(network);
    });
    const cri::PodSandboxStatus status = PodStatus(pod);
    EXPECT_EQ(status.id(), pod);
    EXPECT_EQ(status.metadata().name(), name);
    EXPECT_EQ(status.metadata().uid(), "uid-" + name);
    EXPECT_EQ(status.metadata().namespace_(), "default");
    EXPECT_EQ(status.metadata().attempt(), 2u);
    EXPECT_EQ(status.labels().at("io.kubernetes.pod.uid"), "u");
    EXPECT_GT(status.created_at(), 0);
    EXPECT_EQ(status.state(), cri::SANDBOX_READY);
    EXPECT_EQ(status.network().ip().empty(), network == cri::NODE);
    EXPECT_EQ(status.linux().namespaces().options().network(), network);
  }
}

// KUBELET 20: a pod that could not be is not there, and its name is free.
TEST_F(KubeletPodsTest, ARefusedPodIsNotListedAndCanBeRunWhenMended) {
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = node.PodConfig("p");
  (*request.mutable_config()->mutable_linux()->mutable_sysctls())["net.core.no_such_thing"] = "1";
  cri::RunPodSandboxResponse response;
  grpc::ClientContext context;
  const grpc::Status refused = node.runtime().RunPodSandbox(&context, request, &response);
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(refused.error_message(), testing::HasSubstr("no_such_thing")) << "users read it in their pod's events";
  EXPECT_THAT(Pods(), IsEmpty());
  EXPECT_EQ(PodStatus(node.RunPod("p")).state(), cri::SANDBOX_READY);
}

// KUBELET 29, 34, 37: what is unknown is NotFound, and its end a success.
TEST_F(KubeletPodsTest, TheUnknownIsNotFoundAndCanBeStoppedAndRemoved) {
  const std::string unknown(64, 'f');
  cri::ContainerStatusRequest container;
  container.set_container_id(unknown);
  cri::ContainerStatusResponse container_status;
  grpc::ClientContext first, second;
  EXPECT_EQ(node.runtime().ContainerStatus(&first, container, &container_status).error_code(), StatusCode::NOT_FOUND);
  cri::PodSandboxStatusRequest pod;
  pod.set_pod_sandbox_id(unknown);
  cri::PodSandboxStatusResponse pod_status;
  EXPECT_EQ(node.runtime().PodSandboxStatus(&second, pod, &pod_status).error_code(), StatusCode::NOT_FOUND);
  const StatusCode stopped = node.TryStop(unknown, 1).error_code();
  EXPECT_TRUE(stopped == StatusCode::OK || stopped == StatusCode::NOT_FOUND) << stopped;
  EXPECT_TRUE(node.TryRemove(unknown).ok());
  EXPECT_TRUE(node.TryStopPod(unknown).ok());
  EXPECT_TRUE(node.TryRemovePod(unknown).ok());
}

// KUBELET 33, 35: all containers at once, then their pod, more than once.
TEST_F(KubeletPodsTest, APodsContainersAreStoppedTogether) {
  const std::string pod = node.RunPod("p");
  std::array<std::string, 5> ids;
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = node.Run(pod, absl::StrCat("c", i),
                      {"sh", "-c", absl::StrCat("trap 'exit ", i, "' TERM; echo up; while :; do usleep 9999; done")});
  for (const std::string& id : ids) Eventually("the trap", [&] { return node.LogText(id) == "up\n"; });
  for (const std::string& id : ids) EXPECT_EQ(node.Exec(id, {"true"}).exit_code(), 0) << "its preStop hook";
  std::array<std::thread, ids.size()> stops;
  for (size_t i = 0; i < ids.size(); ++i)
    stops[i] = std::thread([&, i] { EXPECT_TRUE(node.TryStop(ids[i], 20).ok()); });
  for (std::thread& stop : stops) stop.join();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(node.TryStopPod(pod).ok());
  EXPECT_EQ(PodStatus(pod).state(), cri::SANDBOX_NOTREADY);
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(node.Status(ids[i]).exit_code(), static_cast<int>(i));
}

// KUBELET 38: RestartAllContainers.
TEST_F(KubeletPodsTest, ContainersAreReplacedInTheSamePod) {
  const std::string pod = node.RunPod("p"), ip = PodStatus(pod).network().ip();
  for (uint32_t attempt = 0; attempt < 2; ++attempt) {
    const std::string id = node.Create(pod, "c", {"sh", "-c", "hostname -i; sleep 1000"},
                                       [&](auto& config) { config.mutable_metadata()->set_attempt(attempt); });
    node.StartContainer(id);
    EXPECT_EQ(node.Exec(id, {"true"}).exit_code(), 0) << "its postStart hook";
    EXPECT_TRUE(node.TryStop(id, 0).ok());
    EXPECT_TRUE(node.TryRemove(id).ok());
    EXPECT_THAT(Containers(pod), IsEmpty());
  }
  EXPECT_EQ(PodStatus(pod).state(), cri::SANDBOX_READY);
  EXPECT_EQ(PodStatus(pod).network().ip(), ip);
}

// KUBELET 40, 42, 43
TEST_F(KubeletPodsTest, ImagesAreFoundByEveryNameAndGoWithAllOfThem) {
  EXPECT_FALSE(ImageStatus("no.such/image:1").has_image());
  const cri::Image image = ImageStatus(kImage).image();
  EXPECT_GT(image.size(), 0u);
  EXPECT_TRUE(image.has_uid());
  EXPECT_THAT(image.repo_tags(), ElementsAre("docker.io/library/busybox:latest"));
  wherry::v1::TagImageRequest tag;
  tag.set_image(kImage);
  tag.set_tag("example.com/other:1");
  Get(node.own(), &wherry::v1::Wherry::Stub::TagImage, tag);
  const std::string bare = image.id().substr(image.id().find(':') + 1);
  for (const std::string& name : {image.id(), bare, bare.substr(0, 12), std::string("example.com/other:1")})
    EXPECT_EQ(ImageStatus(name).image().id(), image.id()) << name;
  const auto usage = Get(node.images(), &Images::ImageFsInfo, {});
  ASSERT_EQ(usage.image_filesystems_size(), 1);
  EXPECT_FALSE(usage.image_filesystems(0).fs_id().mountpoint().empty());
  EXPECT_GT(usage.image_filesystems(0).timestamp(), 0);
  EXPECT_GT(usage.image_filesystems(0).used_bytes().value(), 0u);
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(image.id());
  Get(node.images(), &Images::RemoveImage, remove);
  EXPECT_EQ(Get(node.images(), &Images::ListImages, {}).images_size(), 0);
}

}  // namespace
}  // namespace wherry::e2e

// How the kubelet comes to a runtime and to a pod: connections, first questions, and the calls of a pod's start in their order. Each test
// quotes the number of the demand.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

class KubeletStartTest : public NodeTest {
 protected:
  // As the kubelet makes one: by the socket's path, with a name that is no host's.
  std::shared_ptr<grpc::Channel> Connection() {
    grpc::ChannelArguments args;
    args.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    args.SetMaxReceiveMessageSize(16 << 20);
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("unix:" + node.dir() + "/run/wherry.sock", grpc::InsecureChannelCredentials(),
                                     args);
  }
  template <typename Stub, typename Request, typename Response>
  static Response Get(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request = {}) {
    Response response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(2));
    const grpc::Status status = (stub.*method)(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  using Runtime = cri::RuntimeService::Stub;
  using Images = cri::ImageService::Stub;
};

// KUBELET 1: requests of up to 16 MiB, and no more.
TEST_F(KubeletStartTest, MessagesMayBeSixteenMebibytes) {
  auto runtime = cri::RuntimeService::NewStub(Connection());
  auto ask = [&](size_t bytes) {
    cri::ListContainersRequest request;
    (*request.mutable_filter()->mutable_label_selector())["big"] = std::string(bytes, 'x');
    cri::ListContainersResponse response;
    grpc::ClientContext context;
    return runtime->ListContainers(&context, request, &response).error_code();
  };
  EXPECT_EQ(ask((16 << 20) - 1000), grpc::StatusCode::OK);
  EXPECT_EQ(ask(17 << 20), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// KUBELET 1, 4: two connections, and what is asked on them before the first pod.
TEST_F(KubeletStartTest, TheFirstQuestionsAreAnsweredAtOnce) {
  node.Kill9();
  node.Start();
  auto runtime = cri::RuntimeService::NewStub(Connection());
  auto images = cri::ImageService::NewStub(Connection());
  EXPECT_EQ(Get(*runtime, &Runtime::Version).version(), "0.1.0");
  EXPECT_GT(Get(*images, &Images::ImageFsInfo).image_filesystems_size(), 0);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Get(*runtime, &Runtime::RuntimeConfig).has_linux());
  cri::VersionRequest version;
  version.set_version("0.1.0");
  EXPECT_EQ(Get(*runtime, &Runtime::Version, version).runtime_name(), "wherry");
  const auto status = Get(*runtime, &Runtime::Status).status();
  std::map<std::string, bool> conditions;
  for (const auto& one : status.conditions()) conditions[one.type()] = one.status();
  EXPECT_TRUE(conditions["RuntimeReady"]);
  EXPECT_TRUE(conditions["NetworkReady"]);
  EXPECT_THAT(Get(*runtime, &Runtime::ListPodSandbox).items(), IsEmpty());
  EXPECT_THAT(Get(*runtime, &Runtime::ListContainers).containers(), IsEmpty());
}

// KUBELET 2: without a time-out of its own an ExecSync lasts as long as its command, a hook of the container's.
TEST_F(KubeletStartTest, AnExecWithoutATimeoutLastsAsLongAsItsCommand) {
  const std::string id = node.Run(node.RunPod("p"), "c", {"sleep", "1000"});
  cri::ExecSyncResponse response;
  grpc::Status status;
  std::thread exec([&] {
    cri::ExecSyncRequest request;
    request.set_container_id(id);
    for (const char* word : {"sh", "-c", "touch /waits; until [ -e /go ]; do usleep 1000; done; echo went; exit 3"})
      request.add_cmd(word);
    grpc::ClientContext context;
    status = node.runtime().ExecSync(&context, request, &response);
  });
  Eventually("the command to run", [&] { return node.Exec(id, {"test", "-e", "/waits"}).exit_code() == 0; });
  node.Exec(id, {"touch", "/go"});
  exec.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.stdout(), "went\n");
  EXPECT_EQ(response.exit_code(), 3);
}

// KUBELET 15, 2: the calls of a pod's start in their order, each with its deadline.
TEST_F(KubeletStartTest, APodsStartCallByCall) {
  cri::RunPodSandboxRequest run;
  *run.mutable_config() = node.PodConfig("p");
  cri::PodSandboxStatusRequest pod;
  pod.set_pod_sandbox_id(Get(node.runtime(), &Runtime::RunPodSandbox, run).pod_sandbox_id());
  EXPECT_FALSE(Get(node.runtime(), &Runtime::PodSandboxStatus, pod).status().network().ip().empty());
  cri::ImageStatusRequest image;
  image.mutable_image()->set_image(kImage);
  const std::string image_id = Get(node.images(), &Images::ImageStatus, image).image().id();
  image.mutable_image()->set_image(image_id);
  EXPECT_EQ(Get(node.images(), &Images::ImageStatus, image).image().id(), image_id) << "asked again by its id";
  cri::CreateContainerRequest create =
      node.CreateRequest(pod.pod_sandbox_id(), "c", {"sh", "-c", "echo up; sleep 1000"});
  create.mutable_config()->mutable_image()->set_image(image_id);
  cri::StartContainerRequest start;
  start.set_container_id(Get(node.runtime(), &Runtime::CreateContainer, create).container_id());
  Get(node.runtime(), &Runtime::StartContainer, start);
  const std::string log = run.config().log_directory() + "/" + create.config().log_path();
  EXPECT_TRUE(fs::exists(log)) << "the kubelet links to it now";
  fs::create_symlink(log, node.dir() + "/link.log");
  cri::ExecSyncRequest hook;
  hook.set_container_id(start.container_id());
  hook.add_cmd("true");
  EXPECT_EQ(Get(node.runtime(), &Runtime::ExecSync, hook).exit_code(), 0);
  Eventually("the log to be read through the link", [&] {
    std::string line;
    std::ifstream file(node.dir() + "/link.log");
    return std::getline(file, line) && line.size() > 2 && line.substr(line.size() - 2) == "up";
  });
}

// KUBELET 54 is not met: there are no checkpoints. What is asked of one instead: that it says so, and leaves the container alone.
TEST_F(KubeletStartTest, ACheckpointIsRefusedAndTheContainerGoesOn) {
  const std::string id = node.Run(node.RunPod("p"), "c", {"sleep", "1000"});
  cri::CheckpointContainerRequest request;
  request.set_container_id(id);
  request.set_location(node.dir() + "/checkpoint.tar");
  cri::CheckpointContainerResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(node.runtime().CheckpointContainer(&context, request, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_FALSE(fs::exists(request.location()));
  EXPECT_EQ(node.Status(id).state(), cri::CONTAINER_RUNNING);
}

}  // namespace
}  // namespace wherry::e2e

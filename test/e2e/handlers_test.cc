// RuntimeClass handlers (KUBELET 7).

#include <gmock/gmock.h>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using testing::HasSubstr;

class HandlersTest : public NodeTest {
 protected:
  std::string RunPod(const std::string& name, const std::string& handler) {
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = node.PodConfig(name);
    request.mutable_config()->mutable_linux()->mutable_security_context()->set_privileged(true);
    request.set_runtime_handler(handler);
    cri::RunPodSandboxResponse response;
    grpc::ClientContext context;
    status_ = node.runtime().RunPodSandbox(&context, request, &response);
    return response.pod_sandbox_id();
  }
  std::string Output(const std::string& pod, const std::string& name, const std::string& script) {
    std::string id = node.Run(pod, name, {"sh", "-c", script}, [](auto& config) {
      config.mutable_linux()->mutable_security_context()->set_privileged(true);
    });
    node.WaitExited(id);
    return node.LogText(id);
  }
  grpc::Status status_;
};

TEST_F(HandlersTest, StatusListsEachWithItsFeatures) {
  cri::StatusResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(node.runtime().Status(&context, {}, &response).ok());
  std::vector<std::string> names;
  for (const auto& handler : response.runtime_handlers()) {
    names.push_back(handler.name());
    EXPECT_TRUE(handler.features().recursive_read_only_mounts());
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("", "limited"));
}

TEST_F(HandlersTest, AnUnknownOneIsRefusedByName) {
  RunPod("p", "kata");
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status_.error_message(), HasSubstr("\"kata\""));
}

TEST_F(HandlersTest, PrivilegedWithoutTheHostsDevices) {
  const std::string pod = RunPod("p", "limited");
  ASSERT_TRUE(status_.ok()) << status_.error_message();
  const std::string script = "ls /dev | wc -l; mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg >/dev/null && echo opened";
  const std::string all = Output(RunPod("q", ""), "c", script);
  const std::string few = Output(pod, "c", script);
  EXPECT_THAT(all, HasSubstr("opened"));
  EXPECT_THAT(few, testing::Not(HasSubstr("opened")));
  EXPECT_LT(std::stoi(few), std::stoi(all));
}

TEST_F(HandlersTest, ItsLimitsHoldWhereTheRequestHasNone) {
  const std::string pod = RunPod("p", "limited");
  std::string id = node.Create(pod, "c", {"true"});
  EXPECT_EQ(node.Status(id).resources().linux().memory_limit_in_bytes(), 64 << 20);
  std::string own = node.Create(pod, "own", {"true"}, [](auto& config) {
    config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(128 << 20);
  });
  EXPECT_EQ(node.Status(own).resources().linux().memory_limit_in_bytes(), 128 << 20);
  EXPECT_THAT(Output(pod, "bomb", "for i in $(seq 50); do sleep 5 & done"), HasSubstr("fork"));
}

}  // namespace
}  // namespace wherry::e2e

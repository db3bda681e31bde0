// Requests that cannot be served: the right gRPC code, a text that says what is wrong, and nothing left
// behind.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "test/e2e/census.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

class BadInputTest : public NodeTest {
 protected:
  grpc::Status RunPod(const cri::PodSandboxConfig& config, const std::string& handler = "") {
    cri::RunPodSandboxRequest req;
    *req.mutable_config() = config;
    req.set_runtime_handler(handler);
    cri::RunPodSandboxResponse resp;
    grpc::ClientContext ctx;
    return node.runtime().RunPodSandbox(&ctx, req, &resp);
  }
  grpc::Status Create(const cri::CreateContainerRequest& req, std::string* id = nullptr) {
    cri::CreateContainerResponse resp;
    grpc::ClientContext ctx;
    auto st = node.runtime().CreateContainer(&ctx, req, &resp);
    if (id != nullptr) *id = resp.container_id();
    return st;
  }
  grpc::Status Start(const std::string& id) {
    cri::StartContainerRequest req;
    req.set_container_id(id);
    cri::StartContainerResponse resp;
    grpc::ClientContext ctx;
    return node.runtime().StartContainer(&ctx, req, &resp);
  }
  void ExpectNothingSince(const Census& before) {
    std::string difference;
    Eventually("the host to be as before", [&] {
      difference = Difference(before, Take(node.dir(), node.cgroup(), node.pid()));
      return difference.empty();
    });
    EXPECT_EQ(difference, "");
  }
  Census Now() { return Take(node.dir(), node.cgroup(), node.pid()); }
};

TEST_F(BadInputTest, UnknownImageIsNotFound) {
  std::string pod = node.RunPod("p");
  Census before = Now();
  auto req = node.CreateRequest(pod, "c", {"true"});
  req.mutable_config()->mutable_image()->set_image("nosuch/image:1");
  auto st = Create(req);
  EXPECT_EQ(st.error_code(), StatusCode::NOT_FOUND) << st.error_message();
  EXPECT_THAT(st.error_message(), HasSubstr("nosuch/image:1"));
  ExpectNothingSince(before);
}

TEST_F(BadInputTest, MissingCommandFailsTheStartAndNamesIt) {
  std::string pod = node.RunPod("p"), id;
  ASSERT_TRUE(Create(node.CreateRequest(pod, "c", {"/no/such/program"}), &id).ok());
  auto st = Start(id);
  EXPECT_FALSE(st.ok());
  EXPECT_THAT(st.error_message(), HasSubstr("/no/such/program"));
  auto s = node.Status(id);
  EXPECT_EQ(s.state(), cri::CONTAINER_EXITED);
  EXPECT_NE(s.exit_code(), 0);
  EXPECT_FALSE(Start(id).ok()) << "a container that failed to start is never started again (KUBELET 26)";
}

TEST_F(BadInputTest, MissingNetworkConfigurationFailsThePodButNotTheNode) {
  node.RemovePod(node.RunPod("warm"));
  Census before = TakeAtRest(node.dir(), node.cgroup(), node.pid());
  std::string conf = node.dir() + "/net.d/10-test.conflist";
  std::filesystem::rename(conf, node.dir() + "/net.d/aside");
  Eventually("the removal to be noticed", [&] {
    cri::StatusResponse resp;
    grpc::ClientContext ctx;
    if (!node.runtime().Status(&ctx, {}, &resp).ok()) return false;
    for (const auto& c : resp.status().conditions())
      if (c.type() == "NetworkReady") return !c.status() && !c.message().empty();
    return false;
  });
  auto st = RunPod(node.PodConfig("p"));
  EXPECT_FALSE(st.ok());
  EXPECT_THAT(st.error_message(), HasSubstr("net.d"));
  auto host = node.PodConfig("h");
  host.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(cri::NODE);
  EXPECT_TRUE(RunPod(host).ok()) << "host-network pods need no CNI";
  std::filesystem::rename(node.dir() + "/net.d/aside", conf);
  cri::ListPodSandboxResponse pods;
  grpc::ClientContext ctx;
  ASSERT_TRUE(node.runtime().ListPodSandbox(&ctx, {}, &pods).ok());
  for (const auto& p : pods.items()) node.RemovePod(p.id());
  ExpectNothingSince(before);
}

TEST_F(BadInputTest, MissingPluginIsNamedAndNothingStays) {
  node.RemovePod(node.RunPod("warm"));
  Census before = TakeAtRest(node.dir(), node.cgroup(), node.pid());
  std::string conf = node.dir() + "/net.d/05-first.conflist";
  std::ofstream(conf) << R"({"cniVersion":"1.0.0","name":"first","plugins":[{"type":"nosuchplugin"}]})";
  grpc::Status st;
  Eventually("the new configuration to be used", [&] {
    st = RunPod(node.PodConfig("p"));
    if (!st.ok()) return true;
    cri::ListPodSandboxResponse pods;
    grpc::ClientContext ctx;
    EXPECT_TRUE(node.runtime().ListPodSandbox(&ctx, {}, &pods).ok());
    for (const auto& p : pods.items()) node.RemovePod(p.id());
    return false;
  });
  EXPECT_THAT(st.error_message(), HasSubstr("nosuchplugin"));
  std::filesystem::remove(conf);
  ExpectNothingSince(before);
}

TEST_F(BadInputTest, DuplicatePodNameAndAttemptIsAlreadyExists) {
  node.RunPod("p");
  auto st = RunPod(node.PodConfig("p"));
  EXPECT_EQ(st.error_code(), StatusCode::ALREADY_EXISTS) << st.error_message();
}

TEST_F(BadInputTest, UnknownIdsAreNotFoundWhereTheyMustBeAndFineWhereIdempotent) {
  const std::string id(64, 'f');
  EXPECT_EQ(Start(id).error_code(), StatusCode::NOT_FOUND);
  {
    cri::ContainerStatusRequest req;
    req.set_container_id(id);
    cri::ContainerStatusResponse resp;
    grpc::ClientContext ctx;
    EXPECT_EQ(node.runtime().ContainerStatus(&ctx, req, &resp).error_code(), StatusCode::NOT_FOUND);
  }
  {
    cri::RemoveContainerRequest req;
    req.set_container_id(id);
    cri::RemoveContainerResponse resp;
    grpc::ClientContext ctx;
    EXPECT_TRUE(node.runtime().RemoveContainer(&ctx, req, &resp).ok());
  }
  {
    cri::RemovePodSandboxRequest req;
    req.set_pod_sandbox_id(id);
    cri::RemovePodSandboxResponse resp;
    grpc::ClientContext ctx;
    EXPECT_TRUE(node.runtime().RemovePodSandbox(&ctx, req, &resp).ok());
  }
  {
    cri::StopContainerRequest req;
    req.set_container_id(id);
    cri::StopContainerResponse resp;
    grpc::ClientContext ctx;
    EXPECT_TRUE(node.runtime().StopContainer(&ctx, req, &resp).ok());
  }
  {
    cri::StopPodSandboxRequest req;
    req.set_pod_sandbox_id(id);
    cri::StopPodSandboxResponse resp;
    grpc::ClientContext ctx;
    EXPECT_TRUE(node.runtime().StopPodSandbox(&ctx, req, &resp).ok());
  }
}

TEST_F(BadInputTest, AbsurdLimitsAreRefusedWithTheirName) {
  std::string pod = node.RunPod("p"), id;
  auto req = node.CreateRequest(pod, "c", {"true"});
  req.mutable_config()->mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(-5);
  auto st = Create(req, &id);
  if (st.ok()) st = Start(id);
  EXPECT_EQ(st.error_code(), StatusCode::INVALID_ARGUMENT) << st.error_message();
  EXPECT_THAT(st.error_message(), HasSubstr("memory"));
  auto cpus = node.CreateRequest(pod, "d", {"true"});
  cpus.mutable_config()->mutable_linux()->mutable_resources()->set_cpuset_cpus("900-999");
  st = Create(cpus, &id);
  if (st.ok()) st = Start(id);
  EXPECT_EQ(st.error_code(), StatusCode::INVALID_ARGUMENT) << st.error_message();
  EXPECT_THAT(st.error_message(), HasSubstr("cpuset"));
}

TEST_F(BadInputTest, WhatCannotBeHonouredIsRefused) {
  EXPECT_FALSE(RunPod(node.PodConfig("p"), "no-such-handler").ok());
  auto nameless = node.PodConfig("p");
  nameless.clear_metadata();
  EXPECT_EQ(RunPod(nameless).error_code(), StatusCode::INVALID_ARGUMENT);
  auto sysctl = node.PodConfig("p");
  (*sysctl.mutable_linux()->mutable_sysctls())["kernel.core_pattern"] = "|/bin/evil";
  EXPECT_EQ(RunPod(sysctl).error_code(), StatusCode::INVALID_ARGUMENT);
  std::string pod = node.RunPod("q");
  auto log = node.CreateRequest(pod, "c", {"true"});
  log.mutable_config()->set_log_path("../../../etc/cron.d/evil");
  EXPECT_EQ(Create(log).error_code(), StatusCode::INVALID_ARGUMENT);
  auto cap = node.CreateRequest(pod, "c", {"true"});
  cap.mutable_config()->mutable_linux()->mutable_security_context()->mutable_capabilities()->add_add_capabilities(
      "FLY");
  EXPECT_EQ(Create(cap).error_code(), StatusCode::INVALID_ARGUMENT);
}

// Every part of a label counts; what the kubelet sends for pods that name none, and on all hosts, is fine.
TEST_F(BadInputTest, SELinuxLabelsAreRefusedAndNotIgnored) {
  const std::vector<std::function<void(cri::SELinuxOption&)>> parts = {
      [](auto& label) { label.set_user("system_u"); }, [](auto& label) { label.set_role("system_r"); },
      [](auto& label) { label.set_type("container_t"); }, [](auto& label) { label.set_level("s0:c1,c2"); }};
  const std::string pod = node.RunPod("p");
  for (const auto& part : parts) {
    auto config = node.PodConfig("q");
    part(*config.mutable_linux()->mutable_security_context()->mutable_selinux_options());
    EXPECT_THAT(RunPod(config).error_message(), HasSubstr("selinux_options"));
    auto request = node.CreateRequest(pod, "c", {"true"});
    part(*request.mutable_config()->mutable_linux()->mutable_security_context()->mutable_selinux_options());
    EXPECT_THAT(Create(request).error_message(), HasSubstr("selinux_options"));
  }
  auto usual = node.CreateRequest(pod, "c", {"true"});
  usual.mutable_config()->mutable_linux()->mutable_security_context()->mutable_selinux_options();
  auto& mount = *usual.mutable_config()->add_mounts();
  mount.set_host_path(node.dir() + "/volume"), mount.set_container_path("/volume"), mount.set_selinux_relabel(true);
  EXPECT_TRUE(Create(usual).ok());
}

// KUBELET 23: only the kubelet's pods with a user namespace may mean "none" by an empty list.
TEST_F(BadInputTest, ARequestWithoutMasksGetsTheUsualOnes) {
  const std::string c = node.Run(node.RunPod("p"), "c", {"sleep", "1000"});
  const cri::ExecSyncResponse seen = node.Exec(
      c, {"sh", "-c", "ls -A /sys/firmware; grep -c ' /proc/sys ' /proc/mounts; echo 1 >/proc/sys/vm/swappiness"});
  EXPECT_EQ(seen.stdout(), "1\n");
  EXPECT_THAT(seen.stderr(), HasSubstr("Read-only file system"));
}

TEST_F(BadInputTest, CorruptArchiveLeavesNothing) {
  std::filesystem::create_directories(node.dir() + "/logs");
  Census before = TakeAtRest(node.dir(), node.cgroup(), node.pid());
  std::string path = node.dir() + "/logs/corrupt.tar";
  std::filesystem::copy_file("/mnt/busybox.tar", path);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  wherry::v1::ImportImageRequest req;
  req.set_path(path);
  wherry::v1::ImportImageResponse resp;
  grpc::ClientContext ctx;
  auto st = node.own().ImportImage(&ctx, req, &resp);
  EXPECT_EQ(st.error_code(), StatusCode::DATA_LOSS) << st.error_message();
  ExpectNothingSince(before);
}

TEST_F(BadInputTest, WhatIsNotBuiltYetSaysSo) {
  cri::CheckpointContainerRequest req;
  cri::CheckpointContainerResponse resp;
  grpc::ClientContext ctx;
  auto st = node.runtime().CheckpointContainer(&ctx, req, &resp);
  EXPECT_EQ(st.error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(st.error_message(), HasSubstr("CheckpointContainer"));
}

}  // namespace
}  // namespace wherry::e2e

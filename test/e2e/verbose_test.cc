// What tools read from the verbose parts of the status RPCs.

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "test/e2e/info.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using nlohmann::json;

class VerboseTest : public NodeTest {
 protected:
  json Pod(const std::string& id) {
    cri::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id);
    request.set_verbose(true);
    cri::PodSandboxStatusResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(node.runtime().PodSandboxStatus(&context, request, &response).ok());
    return json::parse(response.info().at("info"));
  }
  static std::string NamespacePath(const json& info, const std::string& type) {
    for (const json& one : info["runtimeSpec"]["linux"]["namespaces"])
      if (one["type"] == type) return one["path"];
    return "";
  }
  static ino_t Inode(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
    return st.st_ino;
  }
};

TEST_F(VerboseTest, AContainersPidCgroupAndNamespacesAreItsOwn) {
  const std::string pod = node.RunPod("p");
  const std::string id = node.Run(pod, "c", {"sleep", "1000"}, [](auto& config) {
    auto& env = *config.add_envs();
    env.set_key("PASSWORD");
    env.set_value("never-shown");
    config.mutable_linux()->mutable_resources()->set_cpu_shares(512);
  });
  const json info = Info(node, id);
  const std::string proc = "/proc/" + std::to_string(info["pid"].get<int>());
  EXPECT_EQ(std::filesystem::read_symlink(proc + "/exe").filename(), "sleep");
  EXPECT_EQ(info["sandboxID"], pod);
  EXPECT_EQ(Inode(NamespacePath(info, "pid")), Inode(proc + "/ns/pid"));
  EXPECT_EQ(info["runtimeSpec"]["process"]["args"], json({"sleep", "1000"}));
  EXPECT_EQ(info["runtimeSpec"]["linux"]["resources"]["cpu"]["shares"], 512);
  EXPECT_EQ(info["runtimeSpec"]["linux"]["cgroupsPath"], info["cgroupPath"]);
  EXPECT_THAT(info["cgroupPath"].get<std::string>(), testing::EndsWith("/" + id));
  EXPECT_THAT(info.dump(), testing::Not(testing::HasSubstr("never-shown")));
  EXPECT_EQ(Inode(NamespacePath(Pod(pod), "network")), Inode(proc + "/ns/net"));
}

TEST_F(VerboseTest, AnEndedContainerHasNoPid) {
  const std::string id = node.Run(node.RunPod("p"), "c", {"true"});
  node.WaitExited(id);
  EXPECT_EQ(Info(node, id)["pid"], 0);
}

TEST_F(VerboseTest, StatusHasTheConfiguration) {
  cri::StatusRequest request;
  request.set_verbose(true);
  cri::StatusResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(node.runtime().Status(&context, request, &response).ok());
  const json config = json::parse(response.info().at("config"));
  EXPECT_EQ(config["root"], node.dir() + "/lib");
  EXPECT_EQ(config["handlers"]["limited"]["pids_limit"], 20);
}

}  // namespace
}  // namespace wherry::e2e

// Devices by CDI name, from specifications in two directories of the node.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "test/e2e/census.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using testing::HasSubstr;

class CdiTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    pod_ = node.RunPod("p");
  }
  void Write(const std::string& file, const std::string& device, const std::string& edits) {
    const std::filesystem::path path = node.dir() + "/" + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << R"({"cdiVersion": "0.6.0", "kind": "v.com/c", "devices": [{"name": ")" << device
                        << R"(", "containerEdits": {)" << edits << "}}]}";
  }
  static std::function<void(cri::ContainerConfig&)> Asks(const std::string& name) {
    return [name](cri::ContainerConfig& config) { config.add_cdi_devices()->set_name(name); };
  }
  grpc::Status TryCreate(const std::string& device) {
    cri::CreateContainerRequest request = node.CreateRequest(pod_, "refused", {"true"});
    Asks(device)(*request.mutable_config());
    cri::CreateContainerResponse response;
    grpc::ClientContext context;
    return node.runtime().CreateContainer(&context, request, &response);
  }
  std::string pod_;
};

TEST_F(CdiTest, ADeviceBringsItsNodesMountsVariablesAndGroups) {
  std::ofstream(node.dir() + "/library") << "library";
  std::filesystem::create_directories(node.dir() + "/cdi");
  std::ofstream(node.dir() + "/cdi/v.yaml")
      << "cdiVersion: 0.6.0\nkind: v.com/c\ndevices:\n- name: a\n  containerEdits:\n"
         "    deviceNodes: [{path: /dev/mine, type: c, major: 240, minor: 3, fileMode: 0640, gid: 7, permissions: r}]\n"
         "    additionalGids: [1234]\n"
         "containerEdits:\n  env: [DEVICE=set, PATH=/bin]\n"
         "  mounts: [{hostPath: "
      << node.dir() << "/library, containerPath: /usr/lib/library, options: [ro, bind]}]\n";
  std::string id = node.Run(pod_, "c", {"sleep", "1000"}, Asks("v.com/c=a"));
  auto sh = [&](const std::string& script) { return node.Exec(id, {"sh", "-c", script}); };
  EXPECT_EQ(sh("stat -c '%t:%T %a %g' /dev/mine").stdout(), "f0:3 640 7\n");
  EXPECT_EQ(sh("echo $DEVICE $PATH; cat /usr/lib/library; id -G | grep -wc 1234").stdout(), "set /bin\nlibrary1\n");
  // No driver has this number: who may open it gets to hear that.
  EXPECT_THAT(sh("cat /dev/mine").stderr(), HasSubstr("No such device"));
  EXPECT_THAT(sh("echo x > /dev/mine").stderr(), HasSubstr("not permitted"));
  EXPECT_NE(sh("echo x > /usr/lib/library").exit_code(), 0);
}

// As NVIDIA's do: they find the container's root by the bundle that the state names, and make links and caches there.
TEST_F(CdiTest, AHookFindsTheContainersRootThroughTheBundle) {
  const std::string hook = node.dir() + "/hook";
  std::ofstream(hook) << "#!/bin/sh\n"
                         "bundle=$(sed 's/.*\"bundle\":\"\\([^\"]*\\)\".*/\\1/')\n"
                         "root=$(sed 's/.*\"root\":{\"path\":\"\\([^\"]*\\)\".*/\\1/' $bundle/config.json)\n"
                         "ln -s $2 $root/usr-link && echo \"$SAYS\" >$root/said\n";
  std::filesystem::permissions(hook, std::filesystem::perms::owner_all);
  Write(
      "cdi/v.json", "a",
      R"("hooks": [{"hookName": "createContainer", "path": ")" + hook +
          R"(", "args": ["hook", "create-symlinks", "/bin/busybox"], "env": ["SAYS=this", "PATH=/bin"], "timeout": 30}])");
  const std::string id = node.Run(pod_, "c", {"sh", "-c", "readlink /usr-link; cat /said"}, Asks("v.com/c=a"));
  EXPECT_EQ(node.WaitExited(id).exit_code(), 0);
  EXPECT_EQ(node.LogText(id), "/bin/busybox\nthis\n");
}

TEST_F(CdiTest, AHookThatFailsFailsTheStartAndLeavesNothing) {
  ASSERT_TRUE(node.TryRemove(node.Run(pod_, "warm", {"true"})).ok());  // directories come to be
  const Census before = Take(node.dir(), node.cgroup(), node.pid());
  Write(
      "cdi/v.json", "a",
      R"("hooks": [{"hookName": "createContainer", "path": "/bin/sh", "args": ["sh", "-c", "echo no card; exit 3"]}])");
  const std::string id = node.Create(pod_, "c", {"true"}, Asks("v.com/c=a"));
  const grpc::Status status = node.TryStart(id);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("exit code 3: no card"));
  EXPECT_EQ(node.Status(id).reason(), "StartError");
  ASSERT_TRUE(node.TryRemove(id).ok());
  std::filesystem::remove_all(node.dir() + "/cdi");
  EXPECT_EQ(Difference(before, Take(node.dir(), node.cgroup(), node.pid())), "");
}

TEST_F(CdiTest, AnAnnotationAsksForDevicesToo) {
  Write("cdi/v.json", "a", R"("env": ["DEVICE=a"])");
  std::string id = node.Run(pod_, "c", {"sh", "-c", "echo $DEVICE"},
                            [](auto& config) { (*config.mutable_annotations())["cdi.k8s.io/plugin"] = "v.com/c=a"; });
  node.WaitExited(id);
  EXPECT_EQ(node.LogText(id), "a\n");
}

TEST_F(CdiTest, TheLaterDirectoryWinsAndEqualsConflict) {
  Write("cdi/v.json", "a", R"("env": ["FROM=first"])");
  Write("cdi2/v.json", "a", R"("env": ["FROM=second"])");
  std::string id = node.Run(pod_, "c", {"sh", "-c", "echo $FROM"}, Asks("v.com/c=a"));
  node.WaitExited(id);
  EXPECT_EQ(node.LogText(id), "second\n");
  Write("cdi2/w.json", "a", R"("env": ["FROM=other"])");
  grpc::Status status = TryCreate("v.com/c=a");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("w.json"));
}

TEST_F(CdiTest, WhatCannotBeHonouredIsRefusedByName) {
  EXPECT_EQ(TryCreate("no name").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  std::filesystem::create_directories(node.dir() + "/cdi");
  std::ofstream(node.dir() + "/cdi/broken.json") << "{";
  grpc::Status status = TryCreate("v.com/c=absent");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("v.com/c=absent"));
  EXPECT_THAT(status.error_message(), HasSubstr("broken.json"));
  Write("cdi/v.json", "a", R"("hooks": [{"hookName": "poststop", "path": "/usr/bin/a-hook"}])");
  status = TryCreate("v.com/c=a");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("/usr/bin/a-hook"));
  Write("cdi/v.json", "a", R"("deviceNodes": [{"path": "/dev/there-is-none"}])");
  EXPECT_EQ(TryCreate("v.com/c=a").error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace wherry::e2e

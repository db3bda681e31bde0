// Pods with a user namespace of their own (KUBELET 18): root in a container is an ordinary user of the host, and files keep the
// owners that they have.

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/sys/probe.h"
#include "test/e2e/census.h"
#include "test/e2e/info.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using testing::HasSubstr;

constexpr uint32_t kLength = 65536;

void Map(google::protobuf::RepeatedPtrField<cri::IDMapping>* to, uint32_t host) {
  cri::IDMapping& mapping = *to->Add();
  mapping.set_host_id(host);
  mapping.set_length(kLength);
}

class UserNamespacesTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    cri::StatusResponse status;
    grpc::ClientContext context;
    ASSERT_TRUE(node.runtime().Status(&context, {}, &status).ok());
    if (!status.runtime_handlers(0).features().user_namespaces()) GTEST_SKIP() << "this host has no idmapped mounts";
    EXPECT_TRUE(status.features().user_namespaces_host_network());
  }
  static std::function<void(cri::PodSandboxConfig&)> From(uint32_t first) {
    return [first](cri::PodSandboxConfig& config) {
      auto& namespaces = *config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
      Map(namespaces.mutable_userns_options()->mutable_uids(), first);
      Map(namespaces.mutable_userns_options()->mutable_gids(), first);
    };
  }
  // The same options as the kubelet gives them to each container.
  static std::function<void(cri::ContainerConfig&)> In(uint32_t first) {
    return [first](cri::ContainerConfig& config) {
      auto& users =
          *config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->mutable_userns_options();
      Map(users.mutable_uids(), first);
      Map(users.mutable_gids(), first);
    };
  }
  static cri::Mount Volume(const std::string& path, uint32_t first) {
    cri::Mount mount;
    mount.set_host_path(path);
    mount.set_container_path("/vol");
    Map(mount.mutable_uidmappings(), first);
    Map(mount.mutable_gidmappings(), first);
    return mount;
  }
  std::string Shell(const std::string& container, const std::string& script) {
    const cri::ExecSyncResponse response = node.Exec(container, {"sh", "-c", script});
    return response.stdout() + response.stderr();
  }
  // A file of /proc/<pid of the container's init>, as the host sees it.
  std::string OnHost(const std::string& container, const std::string& file) {
    std::ostringstream text;
    text << std::ifstream("/proc/" + Info(node, container)["pid"].dump() + "/" + file).rdbuf();
    return text.str();
  }
  grpc::Status TryPod(const std::function<void(cri::PodSandboxConfig&)>& edit) {
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = node.PodConfig("refused");
    edit(*request.mutable_config());
    cri::RunPodSandboxResponse response;
    grpc::ClientContext context;
    return node.runtime().RunPodSandbox(&context, request, &response);
  }
};

TEST_F(UserNamespacesTest, TwoPodsHaveUsersOfTheirOwn) {
  const std::string a = node.Run(node.RunPod("a", From(200000)), "c", {"sleep", "1000"}, In(200000));
  const std::string b = node.Run(node.RunPod("b", From(300000)), "c", {"sleep", "1000"}, In(300000));
  EXPECT_THAT(OnHost(a, "uid_map"), testing::MatchesRegex(" +0 +200000 +65536\n"));
  EXPECT_THAT(OnHost(b, "gid_map"), testing::MatchesRegex(" +0 +300000 +65536\n"));
  EXPECT_THAT(OnHost(a, "status"), HasSubstr("Uid:\t200000\t200000\t200000\t200000"));
  EXPECT_EQ(Shell(a, "id -u; stat -c %u:%g / /bin /etc/hosts /etc/hostname /etc/resolv.conf /dev/null /dev/shm"),
            "0\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n");
  EXPECT_EQ(node.Status(a).user().linux().uid(), 0);
}

// Owners of CDI's device nodes are the container's.
TEST_F(UserNamespacesTest, ADevicesOwnerIsAUserOfThePod) {
  std::filesystem::create_directories(node.dir() + "/cdi");
  const auto device = [](const std::string& name, int gid) {
    return R"({"name": ")" + name +
           R"(", "containerEdits": {"deviceNodes": [{"path": "/dev/mine", "type": "c", "major": 240,)" +
           R"("minor": 3, "fileMode": 416, "uid": 5, "gid": )" + std::to_string(gid) + "}]}}";
  };
  std::ofstream(node.dir() + "/cdi/v.json") << R"({"cdiVersion": "0.6.0", "kind": "v.com/c", "devices": [)"
                                            << device("a", 7) << "," << device("beyond", kLength) << "]}";
  const std::string pod = node.RunPod("p", From(100'000));
  const auto with = [](const std::string& name) {
    return [name](cri::ContainerConfig& config) {
      In(100'000)(config);
      config.add_cdi_devices()->set_name("v.com/c=" + name);
    };
  };
  EXPECT_EQ(Shell(node.Run(pod, "c", {"sleep", "1000"}, with("a")), "stat -c '%a %u %g' /dev/mine"), "640 5 7\n");
  const grpc::Status refused = node.TryStart(node.Create(pod, "d", {"true"}, with("beyond")));
  EXPECT_THAT(refused.error_message(), HasSubstr("its owner 65536 has no id in the pod's user namespace"));
}

TEST_F(UserNamespacesTest, FilesOfVolumesKeepTheirOwners) {
  const std::string volume = node.dir() + "/volume";
  std::filesystem::create_directory(volume);
  std::ofstream(volume + "/roots") << "secret";
  const std::string c = node.Run(node.RunPod("p", From(200000)), "c", {"sleep", "1000"},
                                 [&](cri::ContainerConfig& config) { *config.add_mounts() = Volume(volume, 200000); });
  EXPECT_EQ(Shell(c, "stat -c %u:%g /vol/roots; touch /vol/mine; touch /vol/theirs; chown 7:8 /vol/theirs"), "0:0\n");
  struct stat mine, theirs;
  ASSERT_EQ(::stat((volume + "/mine").c_str(), &mine), 0);
  ASSERT_EQ(::stat((volume + "/theirs").c_str(), &theirs), 0);
  EXPECT_EQ(mine.st_uid, 0u);
  EXPECT_EQ(theirs.st_uid, 7u);
  EXPECT_EQ(theirs.st_gid, 8u);
}

TEST_F(UserNamespacesTest, AVolumeWithoutMappingsBelongsToNobodyInside) {
  const std::string volume = node.dir() + "/volume";
  std::filesystem::create_directory(volume);
  const std::string c =
      node.Run(node.RunPod("p", From(200000)), "c", {"sleep", "1000"}, [&](cri::ContainerConfig& config) {
        cri::Mount& mount = *config.add_mounts();
        mount.set_host_path(volume);
        mount.set_container_path("/vol");
      });
  EXPECT_THAT(Shell(c, "stat -c %u /vol; touch /vol/file"), testing::AllOf(HasSubstr("65534\n"), HasSubstr("denied")));
}

// No kernel gives sysfs other owners; kernels before 6.3 do not give a tmpfs any, in which the kubelet has secrets.
TEST_F(UserNamespacesTest, AVolumeThatCannotHaveThePodsOwnersIsRefused) {
  const std::string memory = node.dir() + "/memory", pod = node.RunPod("p", From(200000));
  std::filesystem::create_directory(memory);
  ASSERT_EQ(::mount("memory", memory.c_str(), "tmpfs", 0, nullptr), 0);
  const auto start = [&](const std::string& name, const std::string& volume) {
    return node.TryStart(node.Create(pod, name, {"sleep", "1000"}, [&](cri::ContainerConfig& config) {
      *config.add_mounts() = Volume(volume, 200000);
    }));
  };
  const grpc::Status in_sysfs = start("in-sysfs", "/sys/kernel"), in_memory = start("in-memory", memory);
  const std::string why = "its file system cannot be mounted with another user namespace's ids";
  EXPECT_EQ(in_sysfs.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(in_sysfs.error_message(), HasSubstr(why));
  if (sys::ProbeIdmappedMount(memory).ok())
    EXPECT_TRUE(in_memory.ok()) << in_memory.error_message();
  else
    EXPECT_THAT(in_memory.error_message(), HasSubstr(why));
}

TEST_F(UserNamespacesTest, ImageVolumesBelongToThePodsRoot) {
  const std::string c =
      node.Run(node.RunPod("p", From(200000)), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
        for (const char* sub_path : {"", "bin"}) {
          auto& mount = *config.add_mounts();
          mount.set_container_path(std::string("/vol") + sub_path);
          mount.set_readonly(true);
          mount.mutable_image()->set_image(kImage);
          mount.set_image_sub_path(sub_path);
        }
      });
  EXPECT_EQ(Shell(c, "stat -c %u:%g /vol /vol/bin/busybox /volbin/busybox; touch /vol/x 2>/dev/null || echo read-only"),
            "0:0\n0:0\n0:0\nread-only\n");
}

// What root in there may do with its own namespaces, and may not with the host.
TEST_F(UserNamespacesTest, RootInsideRulesItsOwnNamespacesOnly) {
  const std::string c =
      node.Run(node.RunPod("p", From(200000)), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
        auto& security = *config.mutable_linux()->mutable_security_context();
        for (const char* capability : {"SYS_ADMIN", "NET_ADMIN"})
          security.mutable_capabilities()->add_add_capabilities(capability);
        // The default profiles allow nobody to mount.
        for (auto* profile : {security.mutable_seccomp(), security.mutable_apparmor()})
          profile->set_profile_type(cri::SecurityProfile::Unconfined);
        security.add_masked_paths("/proc/version");
      });
  EXPECT_EQ(Shell(c, "ip link set lo mtu 1400 && cat /sys/class/net/lo/mtu"), "1400\n");
  EXPECT_EQ(
      Shell(c, "mount -t tmpfs tmpfs /mnt 2>/dev/null || mkdir /mnt && mount -t tmpfs tmpfs /mnt && echo mounted"),
      "mounted\n");
  EXPECT_EQ(Shell(c, "wc -c </proc/version; umount /proc/version 2>/dev/null || echo locked"), "0\nlocked\n");
  EXPECT_EQ(Shell(c, "mount -o remount,rw /sys 2>/dev/null || echo locked"), "locked\n");
  EXPECT_THAT(Shell(c, "echo 1 >/proc/sys/vm/swappiness; dmesg -n 1"), HasSubstr("denied"));
}

// As in pods without one: a namespace that a program makes for itself is no affair of the container's.
TEST_F(UserNamespacesTest, AnExecIsInThePodsNamespaceWhateverTheInitMade) {
  const std::string id = node.Run(node.RunPod("p", From(100'000)), "c",
                                  {"sh", "-c", "exec unshare -U sh -c 'echo made; exec sleep 1000'"}, In(100'000));
  Eventually("the init to have its own", [&] { return node.LogText(id) == "made\n"; });
  EXPECT_EQ(Shell(id, "id -u; awk '{print $1, $2, $3}' /proc/self/uid_map"), "0\n0 100000 65536\n");
}

// Who looks it up is outside of the user namespace, and before the mask.
TEST_F(UserNamespacesTest, AMaskedPasswdStillSaysWhoTheProgramIs) {
  const std::string c =
      node.Run(node.RunPod("p", From(200000)), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
        auto& security = *config.mutable_linux()->mutable_security_context();
        security.add_masked_paths("/etc/passwd");
        security.set_run_as_username("www-data");
      });
  EXPECT_EQ(Shell(c, "id -u; id -g; cat /etc/passwd; tr '\\0' '\\n' </proc/1/environ | grep ^HOME"),
            "33\n33\nHOME=/www\n");
}

// KUBELET 23: procMount Unmasked is for such pods, and comes as empty lists.
TEST_F(UserNamespacesTest, AnEmptyListOfMasksMeansNone) {
  const std::string c = node.Run(node.RunPod("p", From(200000)), "c", {"sleep", "1000"});
  EXPECT_EQ(Shell(c, "grep -c -e ' /proc/' -e ' /sys/firmware' /proc/mounts"), "0\n");
}

TEST_F(UserNamespacesTest, WorksWithTheHostsNetworkAndASharedPidNamespace) {
  const std::string host = node.RunPod("host", [](cri::PodSandboxConfig& config) {
    From(200000)(config);
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(cri::NODE);
  });
  const std::string a = node.Run(host, "a", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(cri::NODE);
  });
  EXPECT_EQ(Shell(a, "ls /sys/class/net/lo >/dev/null && id -u"), "0\n");
  EXPECT_THAT(Shell(a, "ip link set lo mtu 1400"), HasSubstr("permitted"));
  const std::string shared = node.RunPod("shared", [](cri::PodSandboxConfig& config) {
    From(300000)(config);
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::POD);
  });
  const std::string b = node.Run(shared, "b", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    auto& security = *config.mutable_linux()->mutable_security_context();
    security.mutable_namespace_options()->set_pid(cri::POD);
    // AppArmor's default profile allows signals among containers only.
    security.mutable_apparmor()->set_profile_type(cri::SecurityProfile::Unconfined);
  });
  EXPECT_EQ(Shell(b, "grep Uid: /proc/1/status; kill -0 1 && echo reaches"),
            "Uid:\t65535\t65535\t65535\t65535\nreaches\n");
}

TEST_F(UserNamespacesTest, UsersAreCheckedAgainstTheMapping) {
  const std::string pod = node.RunPod("p", From(200000));
  auto as = [](int64_t uid) {
    return [uid](cri::ContainerConfig& config) {
      config.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(uid);
    };
  };
  EXPECT_THAT(OnHost(node.Run(pod, "in", {"sleep", "1000"}, as(1000)), "status"), HasSubstr("Uid:\t201000\t"));
  const grpc::Status status = node.TryStart(node.Create(pod, "out", {"true"}, as(70000)));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("user 70000 is not among the 65536"));
}

TEST_F(UserNamespacesTest, ARestartOfTheDaemonChangesNothingAndNothingStays) {
  const std::string warm = node.RunPod("warm", From(200000));
  node.Run(warm, "c", {"sleep", "1000"});
  node.Kill9();
  node.Start();
  node.RemovePod(warm);
  const Census before = TakeAtRest(node.dir(), node.cgroup(), node.pid());
  const std::string pod = node.RunPod("p", From(200000)), c = node.Run(pod, "c", {"sh", "-c", "echo said; sleep 1000"});
  Eventually("the log to be written", [&] { return node.LogText(c) == "said\n"; });
  node.Kill9();
  node.Start();
  EXPECT_EQ(Shell(c, "id -u; stat -c %u /etc/passwd"), "0\n0\n");
  const std::string later = node.Run(pod, "later", {"sleep", "1000"});
  EXPECT_THAT(OnHost(later, "uid_map"), HasSubstr("200000"));
  node.RemovePod(pod);
  std::string difference;
  Eventually("the host to be as before", [&] {
    Census after = Take(node.dir(), node.cgroup(), node.pid());
    after.daemon_fds = before.daemon_fds;  // another process than before
    difference = Difference(before, after);
    return difference.empty();
  });
  EXPECT_EQ(difference, "");
}

TEST_F(UserNamespacesTest, WhatCannotBeHadIsRefused) {
  auto expect_refused = [&](const std::function<void(cri::NamespaceOption&)>& edit, const std::string& why) {
    const grpc::Status status = TryPod([&](cri::PodSandboxConfig& config) {
      From(200000)(config);
      edit(*config.mutable_linux()->mutable_security_context()->mutable_namespace_options());
    });
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << why;
    EXPECT_THAT(status.error_message(), HasSubstr(why));
  };
  expect_refused([](auto& o) { Map(o.mutable_userns_options()->mutable_uids(), 400000); }, "2 were given");
  expect_refused([](auto& o) { o.mutable_userns_options()->clear_gids(); }, "gids: one mapping is needed");
  expect_refused([](auto& o) { o.mutable_userns_options()->mutable_uids(0)->set_container_id(1); }, "container id 0");
  expect_refused([](auto& o) { o.mutable_userns_options()->mutable_uids(0)->set_host_id(0); }, "host id 0");
  expect_refused([](auto& o) { o.mutable_userns_options()->mutable_gids(0)->set_length(0); }, "no 0 ids");
  expect_refused([](auto& o) { o.mutable_userns_options()->mutable_uids(0)->set_length(4294900000u); },
                 "no 4294900000 ids");
  expect_refused([](auto& o) { o.set_pid(cri::NODE); }, "PID namespace");
  expect_refused([](auto& o) { o.set_ipc(cri::NODE); }, "IPC namespace");
  expect_refused([](auto& o) { o.mutable_userns_options()->set_mode(cri::CONTAINER); }, "POD or NODE");
  expect_refused([](auto& o) { o.mutable_userns_options()->set_mode(cri::NODE); }, "no mappings");
  auto create = [&](const std::function<void(cri::ContainerConfig&)>& edit) {
    static int number = 0;
    cri::CreateContainerRequest request =
        node.CreateRequest(node.RunPod("p" + std::to_string(++number), From(200000)), "c", {"true"});
    edit(*request.mutable_config());
    cri::CreateContainerResponse response;
    grpc::ClientContext context;
    return node.runtime().CreateContainer(&context, request, &response);
  };
  EXPECT_THAT(create(In(300000)).error_message(), HasSubstr("not its sandbox's"));
  const std::string path = node.dir();
  EXPECT_THAT(create([&](auto& config) { *config.add_mounts() = Volume(path, 300000); }).error_message(),
              HasSubstr("mounts[0].uidMappings"));
}

}  // namespace
}  // namespace wherry::e2e

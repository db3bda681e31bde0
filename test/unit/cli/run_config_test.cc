// The flags of `wherry run` become the CRI messages that a kubelet would send.

#include "cri/cli/run_config.h"

#include <stdlib.h>

#include "api/cri/v1/api.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wherry::cli {
namespace {

using ::testing::HasSubstr;

const RunNames kNames = {"web", "uid1", "/var/log/wherry/web_uid1"};

RunConfig Make(const RunOptions& options) {
  RunConfig config;
  EXPECT_TRUE(MakeRunConfig(options, kNames, config).ok());
  return config;
}

TEST(RunConfigTest, SaysWhatZeroValuesWouldNotSay) {
  RunConfig config = Make({.image = "busybox", .command = {"echo", "hi"}});
  const auto& namespaces = config.pod->linux().security_context().namespace_options();
  EXPECT_EQ(namespaces.pid(), cri::CONTAINER);
  EXPECT_EQ(namespaces.network(), cri::POD);
  EXPECT_EQ(config.pod->hostname(), "web");
  EXPECT_EQ(config.pod->log_directory(), kNames.log_dir);
  const auto& security = config.container->linux().security_context();
  EXPECT_TRUE(security.has_seccomp());
  EXPECT_EQ(security.seccomp().profile_type(), cri::SecurityProfile::RuntimeDefault);
  EXPECT_GT(security.masked_paths_size(), 5);
  EXPECT_FALSE(security.has_run_as_user()) << "the image's user";
  EXPECT_EQ(config.container->args_size(), 2);
  EXPECT_EQ(config.container->command_size(), 0) << "the entrypoint stays";
  EXPECT_EQ(config.container->linux().resources().memory_limit_in_bytes(), 0);
}

TEST(RunConfigTest, FlagsArriveInTheirFields) {
  ::setenv("WHERRY_TEST_OWN", "mine", 1);
  RunOptions options{.image = "busybox", .network = "host", .memory = "64m", .cpus = "0.5", .pids_limit = 30};
  options.env = {"A=b=c", "EMPTY=", "WHERRY_TEST_OWN", "WHERRY_TEST_UNSET"};
  options.volumes = {"/tmp:/data:ro", "/:/host"};
  options.user = "1000:0";
  options.workdir = "/w";
  RunConfig config = Make(options);
  EXPECT_EQ(config.pod->linux().security_context().namespace_options().network(), cri::NODE);
  EXPECT_EQ(config.pod->hostname(), "");
  const auto& c = *config.container;
  EXPECT_EQ(c.linux().resources().memory_limit_in_bytes(), 64 << 20);
  EXPECT_EQ(c.linux().resources().memory_swap_limit_in_bytes(), 64 << 20);
  EXPECT_EQ(c.linux().resources().cpu_quota(), 50000);
  EXPECT_EQ(c.linux().resources().unified().at("pids.max"), "30");
  ASSERT_EQ(c.envs_size(), 3);
  EXPECT_EQ(c.envs(0).value(), "b=c");
  EXPECT_EQ(c.envs(1).value(), "");
  EXPECT_EQ(c.envs(2).value(), "mine");
  ASSERT_EQ(c.mounts_size(), 2);
  EXPECT_TRUE(c.mounts(0).readonly());
  EXPECT_EQ(c.mounts(1).host_path(), "/");
  EXPECT_EQ(c.linux().security_context().run_as_user().value(), 1000);
  EXPECT_TRUE(c.linux().security_context().has_run_as_group());
  EXPECT_EQ(c.working_dir(), "/w");
}

TEST(RunConfigTest, PrivilegedIsForPodAndContainerAndMasksNothing) {
  RunConfig config = Make({.image = "busybox", .privileged = true});
  EXPECT_TRUE(config.pod->linux().security_context().privileged());
  const auto& security = config.container->linux().security_context();
  EXPECT_TRUE(security.privileged());
  EXPECT_FALSE(security.has_seccomp());
  EXPECT_EQ(security.masked_paths_size() + security.readonly_paths_size(), 0);
}

TEST(RunConfigTest, AWrongFlagIsNamed) {
  auto message = [](const RunOptions& options, const RunNames& names) {
    RunConfig config;
    absl::Status status = MakeRunConfig(options, names, config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message({.memory = "lots"}, kNames), HasSubstr("--memory"));
  EXPECT_THAT(message({.cpus = "0"}, kNames), HasSubstr("--cpus"));
  EXPECT_THAT(message({.pids_limit = -1}, kNames), HasSubstr("--pids-limit"));
  EXPECT_THAT(message({.env = {"=x"}}, kNames), HasSubstr("--env"));
  EXPECT_THAT(message({.volumes = {"/tmp"}}, kNames), HasSubstr("--volume"));
  EXPECT_THAT(message({.volumes = {"/tmp:data"}}, kNames), HasSubstr("--volume"));
  EXPECT_THAT(message({.volumes = {"/tmp:/data:rx"}}, kNames), HasSubstr("--volume"));
  EXPECT_THAT(message({.volumes = {"/no/such/dir:/data"}}, kNames), HasSubstr("/no/such/dir"));
  EXPECT_THAT(message({.user = "1:2:3"}, kNames), HasSubstr("--user"));
  EXPECT_THAT(message({}, {"../x", "u", "/l"}), HasSubstr("--name"));
}

TEST(RemoveLogDirTest, OnlyDirectoriesOfOurOwnAreRemoved) {
  char name[] = "/tmp/wherry-logdir-XXXXXX";
  const std::string dir = ::mkdtemp(name);
  for (const std::string& other :
       {dir, std::string(kLogRoot) + "/../../.." + dir, std::string(kLogRoot), std::string(kLogRoot) + "/.."})
    EXPECT_TRUE(RemoveLogDir(other).ok());
  EXPECT_EQ(::rmdir(dir.c_str()), 0) << "still there";
}

}  // namespace
}  // namespace wherry::cli

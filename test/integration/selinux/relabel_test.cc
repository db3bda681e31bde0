// Labels on files, as the attribute that they are. That needs no SELinux; a kernel with it must know the labels.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/selinux/selinux.h"

namespace wherry::selinux {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kLabel[] = "system_u:object_r:container_file_t:s0:c1,c2";

std::string LabelOf(const fs::path& path) {
  char value[256] = {};
  return ::lgetxattr(path.c_str(), "security.selinux", value, sizeof value - 1) < 0 ? "" : value;
}

class RelabelTest : public testing::Test {
 protected:
  void SetUp() override {
    if (CheckHost().ok()) GTEST_SKIP() << "this host's policy need not know the labels";
    fs::create_directories(dir_ / "volume/a/b");
    ASSERT_EQ(::mount("tmpfs", dir_.c_str(), "tmpfs", 0, ""), 0);
    fs::create_directories(dir_ / "volume/a/b");
    fs::create_directories(dir_ / "outside/deep");
    Write("volume/file");
    Write("volume/a/b/file");
    Write("outside/file");
  }
  void TearDown() override {
    ::umount2(dir_.c_str(), MNT_DETACH);
    fs::remove_all(dir_);
  }
  void Write(const std::string& path) { std::ofstream(dir_ / path) << "x"; }
  const fs::path dir_ = "/run/wherry-relabel-test";
};

TEST_F(RelabelTest, AllThatIsInAVolumeGetsTheLabel) {
  ASSERT_EQ(::mkfifo((dir_ / "volume/a/fifo").c_str(), 0600), 0);
  ASSERT_EQ(::setxattr((dir_ / "volume/file").c_str(), "security.selinux", "other", 6, 0), 0);
  auto status = Relabel(dir_ / "volume", kLabel);
  ASSERT_TRUE(status.ok()) << status;
  for (const char* path : {"volume", "volume/file", "volume/a", "volume/a/b", "volume/a/b/file", "volume/a/fifo"})
    EXPECT_EQ(LabelOf(dir_ / path), kLabel) << path;
  EXPECT_EQ(LabelOf(dir_ / "outside"), "");
  EXPECT_TRUE(Relabel(dir_ / "outside/file", kLabel).ok());
  EXPECT_EQ(LabelOf(dir_ / "outside/file"), kLabel);
}

TEST_F(RelabelTest, ALinkIsLabelledAndNotWhatItPointsTo) {
  fs::create_symlink("../outside", dir_ / "volume/directory");
  fs::create_symlink((dir_ / "outside/file").string(), dir_ / "volume/a/link");
  ASSERT_TRUE(Relabel(dir_ / "volume", kLabel).ok());
  EXPECT_EQ(LabelOf(dir_ / "volume/directory"), kLabel);
  EXPECT_EQ(LabelOf(dir_ / "volume/a/link"), kLabel);
  for (const char* path : {"outside", "outside/file", "outside/deep"}) EXPECT_EQ(LabelOf(dir_ / path), "") << path;
}

TEST_F(RelabelTest, WhatIsMountedInAVolumeIsLeftAlone) {
  ASSERT_EQ(::mount((dir_ / "outside").c_str(), (dir_ / "volume/a/b").c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(::mount((dir_ / "outside/file").c_str(), (dir_ / "volume/file").c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_TRUE(Relabel(dir_ / "volume", kLabel).ok());
  EXPECT_EQ(LabelOf(dir_ / "volume/a"), kLabel);
  for (const char* path : {"outside", "outside/file", "outside/deep"}) EXPECT_EQ(LabelOf(dir_ / path), "") << path;
}

// Of those one where no harm is done if they are not; test/e2e tries another.
TEST_F(RelabelTest, TheHostsOwnDirectoriesAreRefusedByWhateverName) {
  fs::create_symlink("/proc", dir_ / "link");
  fs::create_directories(dir_ / "bind");
  ASSERT_EQ(::mount("/proc", (dir_ / "bind").c_str(), nullptr, MS_BIND, nullptr), 0);
  for (const std::string path : {"/proc", "/proc/", "/run/../proc", "link", "bind"}) {
    auto status = Relabel(path[0] == '/' ? path : (dir_ / path).string(), kLabel);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << path << ": " << status;
    EXPECT_THAT(status.message(), HasSubstr("is the host's own \"/proc\"")) << path;
  }
}

TEST_F(RelabelTest, DirectoriesInDirectoriesNeedNoDescriptorEach) {
  fs::path path = dir_ / "volume";
  for (int i = 0; i < 500; ++i) path /= "d";
  fs::create_directories(path);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{64, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const absl::Status status = Relabel(dir_ / "volume", kLabel);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(LabelOf(path), kLabel);
}

TEST_F(RelabelTest, AFileSystemWithoutLabelsIsPassedOver) {
  EXPECT_TRUE(Relabel("/proc/self/status", kLabel).ok()) << Relabel("/proc/self/status", kLabel);
}

}  // namespace
}  // namespace wherry::selinux

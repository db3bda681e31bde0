#include "runtime/rootfs/image_volume.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "runtime/sys/process.h"
#include "test/integration/process/support.h"

namespace wherry::process {
namespace {

using rootfs::SubPathWay;

// Those that this kernel has.
std::vector<SubPathWay> Ways() {
  std::vector<SubPathWay> ways = {SubPathWay::kAuto, SubPathWay::kPrivateNamespace};
  if (sys::ProbeCloneDetached().ok()) ways.push_back(SubPathWay::kDetached);
  return ways;
}

// Two layers and an empty one; the upper one hides /data/old and has links that try to leave.
shim::v1::Mount Image(const Pod& pod) {
  pod.Write("low/data/old", "old");
  pod.Write("low/data/kept", "kept");
  pod.Write("top/data/new", "new");
  const std::string top = pod.directory() + "/top";
  EXPECT_EQ(mknod((top + "/data/old").c_str(), S_IFCHR, 0), 0);
  std::filesystem::create_symlink("/data", top + "/absolute");
  std::filesystem::create_symlink("../../../../data", top + "/up");
  std::filesystem::create_symlink("/proc/self/root", top + "/magic");
  std::filesystem::create_directories(pod.directory() + "/empty");
  shim::v1::Mount mount;
  for (const char* layer : {"top", "low", "empty"}) mount.add_layers(pod.directory() + "/" + layer);
  return mount;
}

absl::StatusOr<std::string> Read(const shim::v1::Mount& mount, SubPathWay way, const std::string& file) {
  auto procfs = sys::OpenProcfs();
  if (!procfs.ok()) return procfs.status();
  auto volume = rootfs::TakeImageVolume(mount, "", *procfs, sys::UserNamespace(), way);
  if (!volume.ok()) return volume.status();
  return sys::ReadFileAt(volume->get(), file);
}

TEST(ImageVolume, IsTheLayersUnderEachOther) {
  InPod([] {
    Pod pod;
    shim::v1::Mount mount = Image(pod);
    EXPECT_EQ(Read(mount, SubPathWay::kAuto, "data/new").value_or("?"), "new");
    EXPECT_EQ(Read(mount, SubPathWay::kAuto, "data/kept").value_or("?"), "kept");
    EXPECT_EQ(Read(mount, SubPathWay::kAuto, "data/old").status().code(), absl::StatusCode::kNotFound);
  });
}

TEST(ImageVolume, ASubPathIsLookedUpWithTheImageAsRootInEachWay) {
  InPod([] {
    Pod pod;
    shim::v1::Mount mount = Image(pod);
    for (SubPathWay way : Ways()) {
      for (const char* path : {"data", "/data/", "absolute", "up", "../data"}) {
        mount.set_sub_path(path);
        auto text = Read(mount, way, "new");
        ASSERT_TRUE(text.ok()) << path << ": " << text.status();
        EXPECT_EQ(*text, "new");
      }
    }
  });
}

TEST(ImageVolume, WhatIsNoDirectoryInItIsRefused) {
  InPod([] {
    Pod pod;
    shim::v1::Mount mount = Image(pod);
    for (SubPathWay way : Ways()) {
      mount.set_sub_path("nothing");
      EXPECT_EQ(Read(mount, way, "new").status().code(), absl::StatusCode::kNotFound);
      mount.set_sub_path("data/new");
      EXPECT_EQ(Read(mount, way, "new").status().code(), absl::StatusCode::kInvalidArgument);
      mount.set_sub_path("magic/etc");
      EXPECT_EQ(Read(mount, way, "passwd").status().code(), absl::StatusCode::kNotFound);
    }
    EXPECT_EQ(rootfs::CheckImageVolume(mount).code(), absl::StatusCode::kNotFound);
    mount.set_sub_path("data");
    EXPECT_TRUE(rootfs::CheckImageVolume(mount).ok());
  });
}

TEST(ImageVolume, LeavesTheMountNamespaceAsItWas) {
  InPod([] {
    Pod pod;
    shim::v1::Mount mount = Image(pod);
    mount.set_sub_path("data");
    const auto before = sys::ReadFileAt(AT_FDCWD, "/proc/self/mountinfo");
    for (SubPathWay way : Ways()) EXPECT_EQ(Read(mount, way, "new").value_or("?"), "new");
    EXPECT_EQ(sys::ReadFileAt(AT_FDCWD, "/proc/self/mountinfo").value_or(""), before.value_or("?"));
  });
}

TEST(ImageVolume, CannotBeWrittenTo) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("cat /vol/new && ! touch /vol/file && ! mount -o remount,rw /vol");
    auto& mount = *request.mutable_rootfs()->add_mounts();
    mount = Image(pod);
    mount.set_fs_type("image");
    mount.set_destination("/vol");
    mount.set_readonly(true);
    mount.set_sub_path("data");
    Ended ended = pod.Run(request);
    EXPECT_EQ(ended.code, 0) << ended.start << ended.output;
    EXPECT_EQ(ended.output.substr(0, 3), "new");
  });
}

}  // namespace
}  // namespace wherry::process

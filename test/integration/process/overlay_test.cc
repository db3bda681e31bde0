#include "runtime/rootfs/overlay.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "runtime/sys/probe.h"
#include "test/integration/process/support.h"

namespace wherry::process {
namespace {

using rootfs::OverlayWay;

absl::StatusOr<std::string> ReadThrough(const shim::v1::Rootfs& rootfs, OverlayWay way) {
  auto mount = rootfs::MountOverlay(rootfs, way);
  if (!mount.ok()) return mount.status();
  return sys::ReadFileAt(mount->get(), "etc/motd");
}

shim::v1::Rootfs Layers(const Pod& pod, int count, const std::string& name) {
  shim::v1::Rootfs rootfs;
  for (int i = 0; i < count; ++i) {
    const std::string layer = name + std::to_string(i);
    pod.Write(layer + "/etc/motd", "layer " + std::to_string(i));
    rootfs.add_lowerdirs(pod.directory() + "/" + layer);
  }
  static int serial = 0;
  const std::string own = pod.directory() + "/own" + std::to_string(serial++);
  rootfs.set_upperdir(own + "/upper");
  rootfs.set_workdir(own + "/work");
  std::filesystem::create_directories(rootfs.upperdir());
  std::filesystem::create_directories(rootfs.workdir());
  return rootfs;
}

bool HasLayerByLayer() { return sys::ProbeOverlayLowerdirs().ok(); }

std::vector<OverlayWay> Ways() {
  std::vector<OverlayWay> ways = {OverlayWay::kAuto, OverlayWay::kOneString, OverlayWay::kOptionPage};
  if (HasLayerByLayer()) ways.push_back(OverlayWay::kLayerByLayer);
  return ways;
}

TEST(Overlay, EachWayGivesTheSame) {
  InPod([] {
    Pod pod;
    for (OverlayWay way : Ways()) {
      for (int count : {1, 3}) {
        auto text = ReadThrough(Layers(pod, count, "l"), way);
        ASSERT_TRUE(text.ok()) << text.status();
        EXPECT_EQ(*text, "layer 0");
      }
    }
  });
}

TEST(Overlay, SeparatorsInNamesAreNames) {
  InPod([] {
    Pod pod;
    for (OverlayWay way : Ways()) {
      // The kernels that lack the one way know no comma in the other.
      const bool comma = way != OverlayWay::kOneString || HasLayerByLayer();
      auto text = ReadThrough(Layers(pod, 2, comma ? "a:b,c\\d" : "a:b\\d"), way);
      ASSERT_TRUE(text.ok()) << static_cast<int>(way) << text.status();
      EXPECT_EQ(*text, "layer 0");
    }
  });
}

TEST(Overlay, ManyAndLongLayers) {
  InPod([] {
    Pod pod;
    auto text = ReadThrough(Layers(pod, 60, "many"), OverlayWay::kAuto);
    ASSERT_TRUE(text.ok()) << text.status();
    text = ReadThrough(Layers(pod, 60, "many"), OverlayWay::kOptionPage);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(ReadThrough(Layers(pod, 60, "many"), OverlayWay::kOneString).status().code(),
              absl::StatusCode::kInvalidArgument);
    const std::string deep = "deep/" + std::string(120, 'x') + "/" + std::string(120, 'y') + "/l";
    text = ReadThrough(Layers(pod, 3, deep), OverlayWay::kAuto);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(*text, "layer 0");
  });
}

TEST(Overlay, NoLayersIsAnError) {
  InPod([] {
    Pod pod;
    EXPECT_EQ(rootfs::MountOverlay(Layers(pod, 0, "none")).status().code(), absl::StatusCode::kInvalidArgument);
  });
}

// A level has commas, which separate options where there is a page of them.
TEST(Overlay, AllFilesHaveTheLabelInEachWay) {
  if (::access("/sys/fs/selinux/enforce", F_OK) != 0) GTEST_SKIP() << "this host has no SELinux";
  InPod([] {
    Pod pod;
    for (OverlayWay way : {OverlayWay::kLayerByLayer, OverlayWay::kOneString, OverlayWay::kOptionPage}) {
      if (way == OverlayWay::kLayerByLayer && !HasLayerByLayer()) continue;
      shim::v1::Rootfs rootfs = Layers(pod, 2, "labelled" + std::to_string(static_cast<int>(way)));
      rootfs.set_mount_label("system_u:object_r:container_file_t:s0:c1,c2");
      auto mount = rootfs::MountOverlay(rootfs, way);
      ASSERT_TRUE(mount.ok()) << mount.status();
      auto file = sys::OpenAt(mount->get(), "etc/motd", O_RDONLY);
      ASSERT_TRUE(file.ok()) << file.status();
      char label[256] = {};
      ASSERT_GT(::fgetxattr(file->get(), "security.selinux", label, sizeof label - 1), 0);
      EXPECT_EQ(std::string(label), rootfs.mount_label());
    }
  });
}

}  // namespace
}  // namespace wherry::process

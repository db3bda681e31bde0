// Volumes: Mount, with all that it can say of a host path.

#include <sys/mount.h>

#include <filesystem>
#include <fstream>

#include "test/conformance/runtime.h"

namespace wherry::conformance {
namespace {

namespace fs = std::filesystem;

class MountsTest : public ConformanceTest {
 protected:
  // A tmpfs of the test's own, shared with whoever is there already, so that mounts can travel.
  MountsTest() : shared_(directory() + "/shared") {
    fs::create_directories(shared_);
    EXPECT_EQ(::mount("conformance", shared_.c_str(), "tmpfs", 0, nullptr), 0);
    EXPECT_EQ(::mount(nullptr, shared_.c_str(), nullptr, MS_SHARED, nullptr), 0);
    fs::create_directories(shared_ + "/volume/below");
  }
  ~MountsTest() override {
    ::umount2((shared_ + "/volume/below").c_str(), MNT_DETACH);
    ::umount2((shared_ + "/volume/inside").c_str(), MNT_DETACH);
    ::umount2(shared_.c_str(), MNT_DETACH);
  }
  std::string volume() const { return shared_ + "/volume"; }
  void MountBelow() { ASSERT_EQ(::mount("below", (volume() + "/below").c_str(), "tmpfs", 0, nullptr), 0); }
  static cri::Mount& Add(const std::string& from, const std::string& to, cri::ContainerConfig& config) {
    cri::Mount& mount = *config.add_mounts();
    mount.set_host_path(from);
    mount.set_container_path(to);
    return mount;
  }
  // Runs a container with the volume at /v.
  std::string RunWith(const std::function<void(cri::Mount&)>& edit, bool privileged = false) {
    RunPod([&](auto& config) { SecurityOf(config).set_privileged(privileged); });
    return Run({"sleep", "1000"}, [&](cri::ContainerConfig& config) {
      SecurityOf(config).set_privileged(privileged);
      edit(Add(volume(), "/v", config));
    });
  }

 private:
  const std::string shared_;
};

TEST_F(MountsTest, WhatOneSideWritesTheOtherReads) {
  const std::string id = RunWith([](auto&) {});
  std::ofstream(volume() + "/out") << "from the host" << std::flush;
  EXPECT_EQ(Sh(id, "cat /v/out; echo from inside >/v/in"), "from the host");
  std::ifstream written(volume() + "/in");
  std::string text;
  std::getline(written, text);
  EXPECT_EQ(text, "from inside");
  const cri::ContainerStatus status = Status(id);
  ASSERT_EQ(status.mounts_size(), 1);
  EXPECT_EQ(status.mounts(0).container_path(), "/v");
  EXPECT_EQ(status.mounts(0).host_path(), volume());
}

TEST_F(MountsTest, ASingleFileIsAVolumeToo) {
  std::ofstream(volume() + "/file") << "content" << std::flush;
  RunPod();
  EXPECT_EQ(OutputOf({"cat", "/new/directory/file"},
                     [&](auto& config) { Add(volume() + "/file", "/new/directory/file", config); }),
            "content");
}

TEST_F(MountsTest, AHostPathThatIsASymlinkMeansWhatItPointsTo) {
  fs::create_directory_symlink(volume(), directory() + "/link");
  std::ofstream(volume() + "/file") << "content" << std::flush;
  RunPod();
  EXPECT_EQ(OutputOf({"cat", "/v/file"}, [&](auto& config) { Add(directory() + "/link", "/v", config); }), "content");
}

TEST_F(MountsTest, OrderDoesNotHideAVolumeThatIsInAnother) {
  fs::create_directories(volume() + "/outer/inner");
  fs::create_directories(volume() + "/other");
  std::ofstream(volume() + "/other/file") << "inner" << std::flush;
  RunPod();
  EXPECT_EQ(OutputOf({"cat", "/a/inner/file"},
                     [&](auto& config) {
                       Add(volume() + "/other", "/a/inner", config);
                       Add(volume() + "/outer", "/a", config);
                     }),
            "inner");
}

TEST_F(MountsTest, ReadOnlyIsForTheVolumeAndNotForWhatIsMountedInIt) {
  MountBelow();
  const std::string id = RunWith([](cri::Mount& mount) { mount.set_readonly(true); });
  EXPECT_NE(Exec(id, {"touch", "/v/file"}).exit_code(), 0);
  EXPECT_EQ(Exec(id, {"touch", "/v/below/file"}).exit_code(), 0);
}

TEST_F(MountsTest, RecursiveReadOnlyIsForBoth) {
  ASSERT_TRUE(HasFeature([](auto& features) { return features.recursive_read_only_mounts(); }));
  MountBelow();
  const std::string id = RunWith([](cri::Mount& mount) {
    mount.set_readonly(true);
    mount.set_recursive_read_only(true);
  });
  EXPECT_NE(Exec(id, {"touch", "/v/file"}).exit_code(), 0);
  EXPECT_NE(Exec(id, {"touch", "/v/below/file"}).exit_code(), 0);
}

TEST_F(MountsTest, RecursiveReadOnlyNeedsReadOnlyAndNoPropagation) {
  RunPod();
  auto refused = [&](bool readonly, cri::MountPropagation propagation) {
    return !TryCreate({"true"}, [&](auto& config) {
              cri::Mount& mount = Add(volume(), "/v", config);
              mount.set_readonly(readonly);
              mount.set_recursive_read_only(true);
              mount.set_propagation(propagation);
            }).ok();
  };
  EXPECT_TRUE(refused(false, cri::PROPAGATION_PRIVATE));
  EXPECT_TRUE(refused(true, cri::PROPAGATION_HOST_TO_CONTAINER));
  EXPECT_TRUE(refused(true, cri::PROPAGATION_BIDIRECTIONAL));
}

class PropagationTest : public MountsTest {
 protected:
  // Whether a mount that is made on one side after the start is seen on the other.
  bool HostsIsSeenInside(const std::string& id) {
    MountBelow();
    std::ofstream(volume() + "/below/file") << "x" << std::flush;
    return Exec(id, {"test", "-e", "/v/below/file"}).exit_code() == 0;
  }
  bool InsidesIsSeenByTheHost(const std::string& id) {
    EXPECT_EQ(Sh(id, "mkdir -p /v/inside && mount -t tmpfs t /v/inside && touch /v/inside/file && echo done"), "done");
    return fs::exists(volume() + "/inside/file");
  }
  std::string RunWithPropagation(cri::MountPropagation propagation) {
    return RunWith([&](cri::Mount& mount) { mount.set_propagation(propagation); }, true);
  }
};

TEST_F(PropagationTest, PrivateMountsStayOnTheirSide) {
  const std::string id = RunWithPropagation(cri::PROPAGATION_PRIVATE);
  EXPECT_FALSE(HostsIsSeenInside(id));
  EXPECT_FALSE(InsidesIsSeenByTheHost(id));
}

TEST_F(PropagationTest, HostToContainerGoesOneWay) {
  const std::string id = RunWithPropagation(cri::PROPAGATION_HOST_TO_CONTAINER);
  EXPECT_TRUE(HostsIsSeenInside(id));
  EXPECT_FALSE(InsidesIsSeenByTheHost(id));
}

TEST_F(PropagationTest, BidirectionalGoesBoth) {
  const std::string id = RunWithPropagation(cri::PROPAGATION_BIDIRECTIONAL);
  EXPECT_TRUE(HostsIsSeenInside(id));
  EXPECT_TRUE(InsidesIsSeenByTheHost(id));
}

TEST_F(PropagationTest, BidirectionalFromWhatIsNotSharedIsRefused) {
  ASSERT_EQ(::mount("private", (volume() + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  ASSERT_EQ(::mount(nullptr, (volume() + "/below").c_str(), nullptr, MS_PRIVATE, nullptr), 0);
  RunPod([](auto& config) { SecurityOf(config).set_privileged(true); });
  std::string id;
  grpc::Status status = TryCreate(
      {"true"},
      [&](auto& config) {
        SecurityOf(config).set_privileged(true);
        Add(volume() + "/below", "/v", config).set_propagation(cri::PROPAGATION_BIDIRECTIONAL);
      },
      &id);
  if (status.ok()) status = TryStart(id);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.error_message(), testing::HasSubstr("shared"));
}

}  // namespace
}  // namespace wherry::conformance

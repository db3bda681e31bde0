// Volumes whose content is an image (KUBELET 32, 41).

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class ImageVolumeTest : public NodeTest {
 protected:
  static void AddVolume(cri::ContainerConfig& config, const std::string& sub_path = "") {
    auto& mount = *config.add_mounts();
    mount.set_container_path("/vol");
    mount.set_readonly(true);
    mount.mutable_image()->set_image(kImage);
    mount.set_image_sub_path(sub_path);
  }
  grpc::Status TryCreate(const std::function<void(cri::Mount&)>& edit) {
    cri::CreateContainerRequest request = node.CreateRequest(pod_, "refused", {"true"});
    AddVolume(*request.mutable_config());
    edit(*request.mutable_config()->mutable_mounts(0));
    cri::CreateContainerResponse response;
    grpc::ClientContext context;
    return node.runtime().CreateContainer(&context, request, &response);
  }
  void SetUp() override {
    NodeTest::SetUp();
    pod_ = node.RunPod("p");
  }
  static auto Entries(const std::string& directory) {
    return std::distance(std::filesystem::directory_iterator(directory), std::filesystem::directory_iterator());
  }
  std::string pod_;
};

TEST_F(ImageVolumeTest, HasTheImagesFilesReadOnlyAndExecutable) {
  std::string id = node.Run(pod_, "c", {"sleep", "1000"}, [](auto& config) { AddVolume(config); });
  EXPECT_EQ(node.Exec(id, {"/vol/bin/busybox", "echo", "works"}).stdout(), "works\n");
  EXPECT_THAT(node.Exec(id, {"touch", "/vol/file"}).stderr(), HasSubstr("Read-only"));
}

TEST_F(ImageVolumeTest, ASubPathIsTheVolumesRoot) {
  std::string id = node.Run(pod_, "c", {"sleep", "1000"}, [](auto& config) { AddVolume(config, "bin"); });
  EXPECT_EQ(node.Exec(id, {"/vol/busybox", "echo", "works"}).stdout(), "works\n");
  EXPECT_EQ(node.Exec(id, {"ls", "/vol/bin"}).exit_code(), 1);
}

// KUBELET 32: the mount's image in the status is what ListImages calls it.
TEST_F(ImageVolumeTest, TheStatusNamesTheImage) {
  cri::ListImagesResponse images;
  grpc::ClientContext context;
  ASSERT_TRUE(node.images().ListImages(&context, {}, &images).ok());
  std::string id = node.Create(pod_, "c", {"true"}, [](auto& config) { AddVolume(config, "bin"); });
  const cri::ContainerStatus status = node.Status(id);
  ASSERT_EQ(status.mounts_size(), 1);
  EXPECT_EQ(status.mounts(0).image().image(), images.images(0).id());
  EXPECT_EQ(status.mounts(0).image().image_ref(), images.images(0).id());
  EXPECT_EQ(status.mounts(0).image().user_specified_image(), kImage);
  EXPECT_EQ(status.mounts(0).image_sub_path(), "bin");
}

// KUBELET 41: the kubelet makes a reason of errors that begin so.
TEST_F(ImageVolumeTest, RefusalsBeginAsTheKubeletExpects) {
  grpc::Status status = TryCreate([](auto& mount) { mount.mutable_image()->set_image("absent:latest"); });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), AllOf(StartsWith("ImageVolumeMountFailed"), HasSubstr("absent")));
  status = TryCreate([](auto& mount) { mount.set_image_sub_path("no/such/directory"); });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), AllOf(StartsWith("ImageVolumeMountFailed"), HasSubstr("no/such/directory")));
  status = TryCreate([](auto& mount) { mount.set_readonly(false); });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), StartsWith("ImageVolumeMountFailed"));
  status = TryCreate([](auto& mount) { mount.set_host_path("/tmp"); });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ImageVolumeTest, ARemovedImageStaysMountedAcrossARestart) {
  std::filesystem::create_directories("/mnt/other");
  std::filesystem::copy_file("/bin/busybox", "/mnt/other/busybox");
  std::ofstream("/mnt/other/busybox", std::ios::app) << "other";
  ASSERT_NO_FATAL_FAILURE(node.ImportImage("/mnt/other.tar", "other:latest", "/mnt/other/busybox"));
  auto add = [](cri::ContainerConfig& config) {
    AddVolume(config);
    config.mutable_mounts(0)->mutable_image()->set_image("other:latest");
  };
  std::string id = node.Run(pod_, "c", {"sleep", "1000"}, add);
  std::string created = node.Create(pod_, "created", {"/vol/bin/busybox", "true"}, add);
  const auto layers = [&] { return Entries(node.dir() + "/lib/images/layers"); };
  ASSERT_EQ(layers(), 2);
  cri::RemoveImageRequest request;
  request.mutable_image()->set_image("other:latest");
  cri::RemoveImageResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(node.images().RemoveImage(&context, request, &response).ok());
  node.Kill9();
  ASSERT_NO_FATAL_FAILURE(node.Start());
  EXPECT_EQ(node.Exec(id, {"/vol/bin/busybox", "echo", "works"}).stdout(), "works\n");
  node.StartContainer(created);
  EXPECT_EQ(node.WaitExited(created).exit_code(), 0);
  node.RemovePod(pod_);
  Eventually("the layers to go with the last container", [&] { return layers() == 1; });
}

}  // namespace
}  // namespace wherry::e2e

// An image that is removed while containers use it.

#include <gmock/gmock.h>

#include <filesystem>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

class ContainerImageTest : public NodeTest {
 protected:
  void RemoveImage() {
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(kImage);
    cri::RemoveImageResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(node.images().RemoveImage(&context, request, &response).ok());
  }
  size_t Layers() {
    const std::filesystem::directory_iterator layers(node.dir() + "/lib/images/layers");
    return std::distance(layers, std::filesystem::directory_iterator());
  }
};

TEST_F(ContainerImageTest, RemovedImagesLayersLastAsLongAsTheirContainersAcrossARestart) {
  std::string pod = node.RunPod("p");
  std::string running = node.Run(pod, "running", {"sleep", "1000"});
  std::string created = node.Create(pod, "created", {"sh", "-c", "echo works"});
  RemoveImage();
  node.Kill9();
  ASSERT_NO_FATAL_FAILURE(node.Start());
  EXPECT_EQ(node.Exec(running, {"ls", "/bin/busybox"}).exit_code(), 0);
  node.StartContainer(created);
  EXPECT_EQ(node.WaitExited(created).exit_code(), 0);
  EXPECT_EQ(node.LogText(created), "works\n");
  EXPECT_GT(Layers(), 0U);
  node.RemovePod(pod);
  Eventually("the layers to go with the last container", [&] { return Layers() == 0; });
}

TEST_F(ContainerImageTest, LayersThatLostTheirLastUserBeforeARestartGoAfterIt) {
  std::string pod = node.RunPod("p");
  std::string id = node.Create(pod, "c", {"true"});
  RemoveImage();
  EXPECT_GT(Layers(), 0U);
  node.Kill9();
  // As a crash between the removal of the record and of the layers leaves it.
  std::filesystem::remove(node.dir() + "/lib/wherry.db");
  std::filesystem::remove(node.dir() + "/lib/wherry.db-wal");
  std::filesystem::remove(node.dir() + "/lib/wherry.db-shm");
  ASSERT_NO_FATAL_FAILURE(node.Start());
  Eventually("the layers to go", [&] { return Layers() == 0; });
}

}  // namespace
}  // namespace wherry::e2e

// Lists as streams: what the plain lists say, in bounded messages, each item once.

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

class ListsTest : public NodeTest {};

const auto& Items(const cri::StreamContainersResponse& message) { return message.containers(); }
const auto& Items(const cri::StreamPodSandboxesResponse& message) { return message.pod_sandboxes(); }
const auto& Items(const cri::StreamImagesResponse& message) { return message.images(); }

// Reads a stream to its end: the ids of its items in order; each message within `max` bytes and not empty.
template <typename Message>
std::vector<std::string> ReadIds(grpc::ClientReader<Message>& reader, size_t max, int* messages) {
  std::vector<std::string> ids;
  Message message;
  for (*messages = 0; reader.Read(&message); ++*messages) {
    EXPECT_LE(message.ByteSizeLong(), max);
    EXPECT_FALSE(Items(message).empty());
    for (const auto& item : Items(message)) ids.push_back(item.id());
  }
  auto status = reader.Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return ids;
}

template <typename List>
std::vector<std::string> Ids(const List& items) {
  std::vector<std::string> ids;
  for (const auto& item : items) ids.push_back(item.id());
  return ids;
}

// KUBELET 14
TEST_F(ListsTest, AStreamGivesTheListInPieces) {
  std::string pod = node.RunPod("p");
  node.RunPod("q");
  // 40 containers of 64 KiB each fit no single MiB.
  for (int i = 0; i < 40; ++i) {
    node.Create(pod, "c" + std::to_string(i), {"true"}, [](cri::ContainerConfig& config) {
      (*config.mutable_annotations())["note"] = std::string(64 << 10, 'x');
    });
  }
  cri::ListContainersResponse list;
  grpc::ClientContext context, stream_context;
  ASSERT_TRUE(node.runtime().ListContainers(&context, {}, &list).ok());
  ASSERT_EQ(list.containers_size(), 40);
  int messages = 0;
  auto reader = node.runtime().StreamContainers(&stream_context, {});
  EXPECT_EQ(ReadIds(*reader, 2 << 20, &messages), Ids(list.containers()));
  EXPECT_GE(messages, 3);

  cri::ListPodSandboxResponse pods;
  grpc::ClientContext pods_context, pods_stream;
  ASSERT_TRUE(node.runtime().ListPodSandbox(&pods_context, {}, &pods).ok());
  ASSERT_EQ(pods.items_size(), 2);
  auto pods_reader = node.runtime().StreamPodSandboxes(&pods_stream, {});
  EXPECT_EQ(ReadIds(*pods_reader, 2 << 20, &messages), Ids(pods.items()));

  grpc::ClientContext images_stream;
  auto images = node.images().StreamImages(&images_stream, {});
  EXPECT_EQ(ReadIds(*images, 2 << 20, &messages).size(), 1u);
}

TEST_F(ListsTest, AStreamTakesTheFilterOfTheList) {
  std::string pod = node.RunPod("p"), other = node.RunPod("q");
  std::string wanted = node.Create(pod, "c", {"true"});
  node.Create(other, "c", {"true"});
  cri::StreamContainersRequest request;
  request.mutable_filter()->set_pod_sandbox_id(pod);
  int messages = 0;
  grpc::ClientContext context, empty_context;
  auto reader = node.runtime().StreamContainers(&context, request);
  EXPECT_EQ(ReadIds(*reader, 1 << 20, &messages), std::vector<std::string>{wanted});
  request.mutable_filter()->set_id("ffff");
  reader = node.runtime().StreamContainers(&empty_context, request);
  EXPECT_TRUE(ReadIds(*reader, 1 << 20, &messages).empty());
  EXPECT_EQ(messages, 0);
}

}  // namespace
}  // namespace wherry::e2e

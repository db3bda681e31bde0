// GetContainerEvents: what a kubelet follows instead of listing.

#include <gmock/gmock.h>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using Event = cri::ContainerEventResponse;

// One client of the stream, which has begun when the constructor returns.
class Follower {
 public:
  explicit Follower(Node& node) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    reader_ = node.runtime().GetContainerEvents(&context_, {});
    reader_->WaitForInitialMetadata();
  }
  ~Follower() {
    context_.TryCancel();
    Event event;
    while (reader_->Read(&event)) continue;
    reader_->Finish();
  }
  // The next `n` events, fewer when the stream ends.
  std::vector<Event> Take(size_t n) {
    std::vector<Event> events;
    for (Event event; events.size() < n && reader_->Read(&event);) events.push_back(event);
    return events;
  }
  grpc::Status Finish() { return reader_->Finish(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<Event>> reader_;
};

class EventsTest : public NodeTest {
 protected:
  // "name C" for what was created, S started, X stopped, D deleted.
  std::vector<std::string> Told(const std::vector<Event>& events, const std::map<std::string, std::string>& names) {
    std::vector<std::string> out;
    for (const Event& event : events) {
      auto name = names.find(event.container_id());
      out.push_back((name == names.end() ? event.container_id() : name->second) + " " +
                    std::string(1, "CSXD"[event.container_event_type()]));
    }
    return out;
  }
};

// KUBELET 53
TEST_F(EventsTest, TellALifeInOrderWithThePodAndAllItsContainers) {
  Follower follower(node);
  std::string pod = node.RunPod("p");
  std::string one = node.Create(pod, "one", {"sh", "-c", "exit 3"});
  std::string two = node.Create(pod, "two", {"sleep", "1000"});
  node.StartContainer(two);
  node.StartContainer(one);
  node.WaitExited(one);
  node.RemovePod(pod);
  std::vector<Event> events = follower.Take(12);
  EXPECT_THAT(Told(events, {{pod, "pod"}, {one, "one"}, {two, "two"}}),
              testing::ElementsAre("pod C", "pod S", "one C", "two C", "two S", "one S", "one X", "pod X", "two X",
                                   testing::AnyOf("one D", "two D"), testing::AnyOf("one D", "two D"), "pod D"));
  int64_t last = 0;
  for (const Event& event : events) {
    EXPECT_GT(event.created_at(), last);
    last = event.created_at();
    EXPECT_EQ(event.pod_sandbox_status().id(), pod);
    EXPECT_EQ(event.pod_sandbox_status().metadata().uid(), "uid-p");
  }
  ASSERT_EQ(events.size(), 12U);
  ASSERT_EQ(events[6].containers_statuses_size(), 2);
  EXPECT_EQ(events[6].containers_statuses(0).exit_code(), 3);
  EXPECT_EQ(events[6].containers_statuses(0).state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(events[6].containers_statuses(1).state(), cri::CONTAINER_RUNNING);
  EXPECT_EQ(events[6].pod_sandbox_status().network().ip(), events[0].pod_sandbox_status().network().ip());
  EXPECT_NE(events[0].pod_sandbox_status().network().ip(), "");
  EXPECT_EQ(events[11].pod_sandbox_status().state(), cri::SANDBOX_NOTREADY);
  EXPECT_EQ(events[11].containers_statuses_size(), 0);
}

// KUBELET 53
TEST_F(EventsTest, ANewFollowerHearsNothingOfThePast) {
  Follower early(node);
  std::string pod = node.RunPod("p");
  EXPECT_EQ(early.Take(2).size(), 2U);
  Follower late(node);
  std::string id = node.Create(pod, "c", {"true"});
  EXPECT_THAT(Told(late.Take(1), {{id, "c"}}), testing::ElementsAre("c C"));
  EXPECT_THAT(Told(early.Take(1), {{id, "c"}}), testing::ElementsAre("c C"));
}

// KUBELET 26
TEST_F(EventsTest, AFailedStartEndsTheContainer) {
  std::string pod = node.RunPod("p");
  Follower follower(node);
  std::string id = node.Create(pod, "c", {"/no/such/program"});
  EXPECT_FALSE(node.TryStart(id).ok());
  EXPECT_THAT(Told(follower.Take(2), {{id, "c"}}), testing::ElementsAre("c C", "c X"));
}

TEST_F(EventsTest, FollowersThatGoMakeRoomForOthers) {
  // Many more than may follow at once.
  for (int i = 0; i < 200; ++i) Follower brief(node);
  std::unique_ptr<Follower> last;
  std::string pod = node.RunPod("p");
  Eventually("a place to follow from", [&] {
    last = std::make_unique<Follower>(node);
    std::string id = node.Create(pod, "c", {"true"});
    const bool heard = last->Take(1).size() == 1;
    EXPECT_TRUE(node.TryRemove(id).ok());
    return heard;
  });
}

}  // namespace
}  // namespace wherry::e2e

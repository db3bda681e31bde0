// What bounds a pull: how much at a time, how long without progress; and what is told of it meanwhile.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "test/integration/image/fake_registry.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::HttpServer;
using test::RegistryImage;
using test::Request;
using test::Response;
using test::TarWriter;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;

class PullLimitsTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    std::vector<std::string> tars;
    tars.reserve(5);
    for (int i = 0; i < 5; ++i) tars.push_back(TarWriter().File("f" + std::to_string(i), std::string(i, 'x')).Bytes());
    image_ = test::MakeImage(tars);
  }
  bool IsLayer(const Request& r) {
    return std::any_of(image_.layer_digests.begin(), image_.layer_digests.end(),
                       [&](const std::string& digest) { return r.path.find(digest) != std::string::npos; });
  }

  // Counts those that are between their request and the end of their answer.
  struct Meter {
    std::atomic<int> now{0}, most{0};
    void Enter() {
      const int n = ++now;
      for (int m = most; m < n && !most.compare_exchange_weak(m, n);) {
      }
    }
  };

  RegistryImage image_;
};

TEST_F(PullLimitsTest, LayersAtATime) {
  for (uint32_t limit : {1U, 2U}) {
    options_.parallel_layers = limit;
    Reopen();
    Meter meter;
    HttpServer server([&](const Request& r) {
      Response response = Answer(image_, r);
      if (!IsLayer(r)) return response;
      meter.Enter();
      response.before_body = [&] {
        for (int i = 0; i < 1000; ++i) std::this_thread::yield();
        --meter.now;
      };
      return response;
    });
    auto image = store_->Pull(server.host() + "/a:1", {}, nullptr);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_THAT(meter.most, Le(static_cast<int>(limit)));
    ASSERT_TRUE(store_->Remove((*image)->id).ok());
  }
}

TEST_F(PullLimitsTest, PullsAtATime) {
  options_.max_pulls = 1;
  Reopen();
  std::atomic<bool> go{false};
  std::atomic<int> manifests{0};
  HttpServer server([&](const Request& r) {
    if (r.path.find("/manifests/") != std::string::npos) {
      ++manifests;
      while (!go) std::this_thread::yield();
    }
    return Answer(image_, r);
  });
  std::atomic<int> asking{0};
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      bool first = true;
      EXPECT_TRUE(store_
                      ->Pull(server.host() + "/a:" + std::to_string(i), {},
                             [&] {
                               if (std::exchange(first, false)) ++asking;
                               return false;
                             })
                      .ok());
    });
  while (asking < 3 || manifests < 1) std::this_thread::yield();
  EXPECT_EQ(manifests, 1);
  go = true;
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(manifests, 3);
}

TEST_F(PullLimitsTest, OneThatWaitsForItsTurnCanBeCancelled) {
  options_.max_pulls = 1;
  Reopen();
  std::atomic<bool> go{false}, begun{false};
  HttpServer server([&](const Request& r) {
    begun = true;
    while (!go) std::this_thread::yield();
    return Answer(image_, r);
  });
  std::thread first([&] { EXPECT_TRUE(store_->Pull(server.host() + "/a:1", {}, nullptr).ok()); });
  while (!begun) std::this_thread::yield();
  EXPECT_TRUE(absl::IsCancelled(store_->Pull(server.host() + "/a:2", {}, [] { return true; }).status()));
  go = true;
  first.join();
}

TEST_F(PullLimitsTest, APullThatStandsStillIsGivenUp) {
  options_.progress_timeout = absl::Milliseconds(300);
  Reopen();
  std::atomic<bool> over{false};
  HttpServer server([&](const Request& r) {
    Response response = Answer(image_, r);
    if (r.path.find(image_.layer_digests[4]) != std::string::npos)
      response.before_body = [&] {
        while (!over) std::this_thread::yield();
      };
    return response;
  });
  auto image = store_->Pull(server.host() + "/a:1", {}, nullptr);
  over = true;
  EXPECT_EQ(image.status().code(), absl::StatusCode::kDeadlineExceeded) << image.status();
  EXPECT_THAT(std::string(image.status().message()), HasSubstr("/a:1\": no progress for 300ms"));
  EXPECT_THAT(Pulls(), IsEmpty());
  EXPECT_THAT(LeftInStaging(), IsEmpty());
  EXPECT_THAT(Layers(), IsEmpty());
}

TEST_F(PullLimitsTest, TellsItsProgress) {
  image_ = test::MakeImage({TarWriter().File("a", "one").Bytes()});
  const uint64_t size = image_.blobs[image_.layer_digests[0]].size();
  std::atomic<bool> seen{false};
  HttpServer server([&](const Request& r) {
    Response response = Answer(image_, r);
    if (IsLayer(r))
      response.before_body = [&] {
        while (!seen) std::this_thread::yield();
      };
    return response;
  });
  std::vector<LayerProgress> first, last;
  auto image = store_->Pull(server.host() + "/a:1", {}, nullptr, [&](const std::vector<LayerProgress>& layers) {
    if (layers.empty()) return;
    if (!seen.exchange(true)) first = layers;
    last = layers;
  });
  ASSERT_TRUE(image.ok()) << image.status();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].digest, image_.layer_digests[0]);
  EXPECT_EQ(first[0].size, size);
  EXPECT_EQ(first[0].done, 0U);
}

}  // namespace
}  // namespace wherry::image

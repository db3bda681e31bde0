// 200 pods come and go; the host must not be able to tell.

#include <atomic>
#include <thread>

#include "test/e2e/census.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

class LeakTest : public NodeTest {};

TEST_F(LeakTest, TwoHundredPodsLeaveNothing) {
  auto cycle = [this](int i) {
    std::string pod = node.RunPod("p" + std::to_string(i));
    std::string c = node.Run(pod, "c", {"sleep", "1000"});
    EXPECT_EQ(node.Exec(c, {"true"}).exit_code(), 0);
    node.RemovePod(pod);
  };
  auto parallel = [&](int first, int count) {
    std::atomic<int> next{first};
    std::vector<std::thread> threads;
    threads.reserve(8);
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&] {
        for (int i; (i = next++) < first + count;) cycle(i);
      });
    for (auto& t : threads) t.join();
  };
  parallel(0, 16);  // bridge, thread pools and caches come to be
  Census before = TakeAtRest(node.dir(), node.cgroup(), node.pid());
  parallel(16, 200);
  std::string difference;
  Eventually("the host to be as before", [&] {
    difference = Difference(before, Take(node.dir(), node.cgroup(), node.pid()));
    return difference.empty();
  });
  EXPECT_EQ(difference, "");
}

}  // namespace
}  // namespace wherry::e2e

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "test/integration/cni/node.h"

// How long the bridge plugin takes, beside the reference's. Reports and does not judge, since machines and their load differ: not
// one of the suite's programs, but run by name. IPv4 alone: the reference waits for the detection of duplicates of IPv6 addresses.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

class TimesTest : public Node {
 protected:
  void SetUp() override {
    if (access(theirs_.c_str(), X_OK) != 0) GTEST_SKIP() << "no " << theirs_ << " (containernetworking-plugins)";
    Node::SetUp();
    conf_ = BridgeConf();
    conf_["ipam"]["ranges"] = json::parse(R"([[{"subnet": "10.88.0.0/16"}]])");
  }
  static double Milliseconds(const std::function<void()>& act) {
    timespec before{}, after{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    act();
    clock_gettime(CLOCK_MONOTONIC, &after);
    return static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 +
           static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6;
  }

  const std::string theirs_ = std::string(kReference) + "/bridge";
  const std::vector<std::string> plugins_ = {"bridge", theirs_};
  json conf_;
};

TEST_F(TimesTest, OneAfterAnother) {
  constexpr int kRuns = 20;
  MakePod("a");
  std::map<std::string, std::vector<double>> times;
  for (int i = 0; i < kRuns; ++i) {
    for (const std::string& plugin : plugins_) {
      for (const char* command : {"ADD", "DEL"}) {
        times[plugin + " " + command].push_back(
            Milliseconds([&] { EXPECT_TRUE(Call(plugin, command, "a", conf_).ok()); }));
      }
    }
  }
  for (auto& [what, values] : times) {
    std::sort(values.begin(), values.end());
    std::printf("%-28s median %6.2f ms, least %6.2f ms\n", what.c_str(), values[values.size() / 2], values.front());
  }
}

TEST_F(TimesTest, TwoHundredAtOnce) {
  constexpr int kRuns = 3, kPods = 200;
  std::vector<std::string> ids;
  for (int i = 0; i < kPods; ++i) MakePod(ids.emplace_back("p" + std::to_string(i)));
  for (int run = 0; run < kRuns; ++run) {
    for (const std::string& plugin : plugins_) {
      for (const char* command : {"ADD", "DEL"}) {
        const double ms = Milliseconds([&] { AtOnce(ids, plugin, command, conf_); });
        std::printf("%-28s %s of %d at once: %7.1f ms, %5.2f ms each\n", plugin.c_str(), command, kPods, ms,
                    ms / kPods);
      }
    }
  }
}

}  // namespace
}  // namespace wherry::cni_test

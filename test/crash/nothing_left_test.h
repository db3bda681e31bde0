#pragma once

#include <gtest/gtest.h>

#include <string>

#include "test/e2e/census.h"
#include "test/e2e/node.h"

namespace wherry::crash {

// A node of its own that knows what the host was like before the test did anything to it.
class NothingLeftTest : public e2e::NodeTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(NodeTest::SetUp());
    const std::string warm = node.RunPod("warm");  // bridge and directories come to be
    node.Run(warm, "c", {"true"});
    node.RemovePod(warm);
    before_ = e2e::TakeAtRest(node.dir(), node.cgroup(), node.pid());
    before_.daemon_fds = 0;  // some belong to connections that the test holds
  }

  // To be called once the test has removed its pods.
  void ExpectNothingLeft() {
    std::string difference;
    e2e::Eventually("the host to be as before", [&] {
      e2e::Census now = e2e::Take(node.dir(), node.cgroup(), node.pid());
      now.daemon_fds = 0;
      return (difference = e2e::Difference(before_, now)).empty();
    });
    EXPECT_EQ(difference, "");
  }

 private:
  e2e::Census before_;
};

}  // namespace wherry::crash

#include "cri/pod/levels.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace wherry::pod {
namespace {

std::set<std::string> None() { return {}; }

TEST(SelinuxLevels, APairIsGivenOnceWhileItIsKept) {
  Levels levels;
  std::set<std::string> given;
  std::vector<Levels::Reserved> kept;
  for (int i = 0; i < 6; ++i) {  // all pairs of four
    auto level = levels.Take(4, None);
    ASSERT_TRUE(level.ok()) << level.status();
    EXPECT_TRUE(given.insert(**level).second) << **level;
    kept.push_back(*std::move(level));
  }
  EXPECT_EQ(given, (std::set<std::string>{"s0:c0,c1", "s0:c0,c2", "s0:c0,c3", "s0:c1,c2", "s0:c1,c3", "s0:c2,c3"}));
  EXPECT_TRUE(absl::IsResourceExhausted(levels.Take(4, None).status()));
  const std::string last = *kept.back();
  kept.pop_back();
  auto again = levels.Take(4, None);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(**again, last);
}

TEST(SelinuxLevels, WhatARecordHasIsNotGiven) {
  Levels levels;
  auto level = levels.Take(3, [] { return std::set<std::string>{"s0:c0,c1", "s0:c1,c2", "s0:c7,c8"}; });
  ASSERT_TRUE(level.ok()) << level.status();
  EXPECT_EQ(**level, "s0:c0,c2");
}

// As pods that start at once: each writes its record and lets go of the reservation then.
TEST(SelinuxLevels, NoTwoOfManyAtOnceAreTheSame) {
  Levels levels;
  absl::Mutex mutex;
  std::set<std::string> records;
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int pod = 0; pod < 20; ++pod) {
        auto level = levels.Take(20, [&] {
          absl::MutexLock lock(&mutex);
          return records;
        });
        ASSERT_TRUE(level.ok()) << level.status();
        absl::MutexLock lock(&mutex);
        EXPECT_TRUE(records.insert(**level).second) << **level;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(records.size(), 160U);
}

}  // namespace
}  // namespace wherry::pod

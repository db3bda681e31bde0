#include "cri/cli/target.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wherry::cli {
namespace {

using ::testing::HasSubstr;
using Kind = Candidate::Kind;

const std::vector<Candidate> kAll = {
    {Kind::kContainer, "aa11", "app", "web/app", true},    {Kind::kContainer, "aa22", "app", "db/app", true},
    {Kind::kContainer, "bb33", "init", "web/init", false}, {Kind::kContainer, "bb44", "init", "web/init", true},
    {Kind::kPod, "cc55", "web", "default/web", true},
};

TEST(ChooseTest, TakesIdsPrefixesAndNames) {
  EXPECT_EQ(Choose(kAll, "aa11")->id, "aa11");
  EXPECT_EQ(Choose(kAll, "aa2")->id, "aa22");
  EXPECT_EQ(Choose(kAll, "web/app")->id, "aa11");
  EXPECT_EQ(Choose(kAll, "web")->kind, Kind::kPod);
  EXPECT_EQ(Choose(kAll, "default/web")->id, "cc55");
}

TEST(ChooseTest, ARunningOneIsMeantBeforeAnEndedOne) { EXPECT_EQ(Choose(kAll, "init")->id, "bb44"); }

TEST(ChooseTest, DoubtIsAnErrorThatListsTheChoice) {
  absl::Status status = Choose(kAll, "app").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("web/app"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("db/app"));
  EXPECT_EQ(Choose(kAll, "aa").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ChooseTest, APodIsMeantBeforeItsOwnContainers) {
  const std::vector<Candidate> all = {{Kind::kContainer, "1", "web", "web/web", true},
                                      {Kind::kPod, "2", "web", "default/web", true}};
  EXPECT_EQ(Choose(all, "web")->id, "2");
  std::vector<Candidate> other = all;
  other.push_back({Kind::kContainer, "3", "web", "db/web", true});
  EXPECT_FALSE(Choose(other, "web").ok());
}

TEST(ChooseTest, NothingIsNotFound) {
  EXPECT_EQ(Choose(kAll, "zz").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Choose(kAll, "").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Choose({}, "a").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace wherry::cli

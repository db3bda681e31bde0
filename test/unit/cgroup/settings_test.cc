// Limits are set all or none.

#include "runtime/cgroup/settings.h"

#include "gmock/gmock.h"
#include "test/unit/cgroup/fixture.h"

namespace wherry::cgroup {
namespace {

using ::testing::HasSubstr;

class SettingsTest : public Fixture {
 protected:
  Setting Make(const std::string& file, const std::string& value) {
    return Setting{.dir = root_, .file = file, .value = value, .field = "field_" + file, .shown = value};
  }
};

TEST_F(SettingsTest, AllAreWritten) {
  Put("a", "1\n"), Put("b", "2\n");
  ASSERT_TRUE(WriteAllOrNone({Make("a", "5\n"), Make("b", "6\n")}).ok());
  EXPECT_EQ(Get("a"), "5\n");
  EXPECT_EQ(Get("b"), "6\n");
}

TEST_F(SettingsTest, AfterARefusalTheOldValuesAreBack) {
  Put("a", "1\n"), Put("b", "2\n");
  absl::Status status = WriteAllOrNone({Make("a", "5\n"), Make("b", "6\n"), Make("missing", "7")});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("field_missing 7"));
  EXPECT_EQ(Get("a"), "1\n");
  EXPECT_EQ(Get("b"), "2\n");
}

TEST_F(SettingsTest, AKeyGetsItsOldLineBackOrItsDefault) {
  Put("io", "8:0 rbps=9 wbps=9\n8:16 rbps=7 wbps=7\n");
  Setting known = Make("io", "8:16 rbps=1 wbps=1"), unknown = Make("io", "9:16 rbps=1 wbps=1");
  known.keyed = unknown.keyed = true;
  known.reset = unknown.reset = "rbps=max wbps=max";
  EXPECT_FALSE(WriteAllOrNone({known, Make("missing", "7")}).ok());
  EXPECT_THAT(Get("io"), ::testing::StartsWith("8:16 rbps=7 wbps=7"));
  EXPECT_FALSE(WriteAllOrNone({unknown, Make("missing", "7")}).ok());
  EXPECT_THAT(Get("io"), ::testing::StartsWith("9:16 rbps=max wbps=max"));
}

TEST_F(SettingsTest, OnlyAnOptionalFileMayBeMissing) {
  Put("a", "1\n");
  Setting optional = Make("missing", "0");
  optional.optional = true;
  EXPECT_TRUE(WriteAllOrNone({Make("a", "5"), optional}).ok());
  EXPECT_EQ(Get("a"), "5\n");
  optional.dir = root_ + "/gone";
  EXPECT_EQ(WriteAllOrNone({optional}).code(), absl::StatusCode::kNotFound);
}

TEST_F(SettingsTest, ALinkIsNotFollowed) {
  Put("a", "1\n");
  ASSERT_EQ(::symlink("a", (root_ + "/link").c_str()), 0);
  EXPECT_FALSE(WriteAllOrNone({Make("link", "5")}).ok());
  EXPECT_EQ(Get("a"), "1\n");
}

}  // namespace
}  // namespace wherry::cgroup

#include "cri/cli/format.h"

#include "cri/cli/findings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wherry::cli {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1000000000;

TEST(TableTest, ColumnsAreAlignedAndLinesEndWithTheirText) {
  Table table({"NAME", "AGE", "IP"});
  table.Add({"a", "10s", "10.0.0.1"});
  table.Add({"longer", "", "x"});
  EXPECT_EQ(table.Text(),
            "NAME    AGE  IP\n"
            "a       10s  10.0.0.1\n"
            "longer  -    x\n");
}

TEST(TableTest, ACellCannotPaintOnTheTerminal) {
  Table table({"NAME"});
  table.Add({"a\x1b[2Jb\nc"});
  EXPECT_EQ(table.Text(), "NAME\na?[2Jb?c\n");
}

TEST(TableTest, LettersOfSeveralBytesTakeOneColumn) {
  Table table({"NAME", "X"});
  table.Add({"Zoë", "1"});
  table.Add({"Zoey", "2"});
  EXPECT_EQ(table.Text(), "NAME  X\nZoë   1\nZoey  2\n");
}

TEST(FormatTest, AgesAreShort) {
  EXPECT_EQ(Age(0, 5), "-");
  EXPECT_EQ(Age(10 * kSecond, 15 * kSecond), "5s");
  EXPECT_EQ(Age(1, 119 * kSecond), "118s");
  EXPECT_EQ(Age(1, 1 + 600 * kSecond), "10m");
  EXPECT_EQ(Age(1, 1 + 7200 * kSecond), "2h");
  EXPECT_EQ(Age(1, 1 + 86400 * 3 * kSecond), "3d");
  EXPECT_EQ(Age(20 * kSecond, 10 * kSecond), "0s") << "clocks may differ";
}

TEST(FormatTest, SizesAreShort) {
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(999), "999 B");
  EXPECT_EQ(Bytes(1500), "1.5 kB");
  EXPECT_EQ(Bytes(999999), "1.0 MB");
  EXPECT_EQ(Bytes(123456789), "123 MB");
}

TEST(FormatTest, IdsAreShort) {
  EXPECT_EQ(ShortId("sha256:0123456789abcdef"), "0123456789abc");
  EXPECT_EQ(ShortId("ab"), "ab");
}

TEST(FormatTest, SizesAreRead) {
  EXPECT_EQ(*ParseBytes("1000"), 1000);
  EXPECT_EQ(*ParseBytes("64m"), 64 << 20);
  EXPECT_EQ(*ParseBytes("64M"), 64 << 20);
  EXPECT_EQ(*ParseBytes("64MiB"), 64 << 20);
  EXPECT_EQ(*ParseBytes("1.5g"), 3LL << 29);
  EXPECT_EQ(*ParseBytes("7b"), 7);
  for (const char* bad : {"", "m", "-1", "1x", "1mm", "nan", "1e3", "99999999t", "0x10"})
    EXPECT_FALSE(ParseBytes(bad).ok()) << bad;
}

TEST(FormatTest, CpusAreRead) {
  EXPECT_EQ(*ParseCpus("0.5"), 50000);
  EXPECT_EQ(*ParseCpus("2"), 200000);
  for (const char* bad : {"", "0", "0.001", "-1", "x", "1e9"}) EXPECT_FALSE(ParseCpus(bad).ok()) << bad;
}

TEST(FormatTest, AnErrorIsOneLineWithItsCode) {
  EXPECT_EQ(ErrorLine(absl::NotFoundError("no\nsuch")), "NotFound: no?such");
  EXPECT_EQ(ErrorLine(absl::DeadlineExceededError("x")), "DeadlineExceeded: x");
}

TEST(FindingsTest, VerdictsComeFirstAndRemediesBelow) {
  Findings findings;
  findings.Ok("kernel", "6.1");
  findings.Optional("AppArmor", absl::NotFoundError("not enabled"), "no profiles", "enable it");
  EXPECT_THAT(findings.Text(), HasSubstr("ok     kernel    6.1\nlacks  AppArmor  no profiles (not enabled)\n"
                                         "                 remedy: enable it\n"));
  EXPECT_THAT(findings.Text(), HasSubstr("This host can run pods; 1 facility is missing."));
  EXPECT_EQ(findings.faults(), 0);
  findings.Probe("openat2", absl::UnimplementedError("x"), "no paths", "boot");
  EXPECT_EQ(findings.faults(), 1);
  EXPECT_THAT(findings.Text(), HasSubstr("FAULT  openat2"));
}

}  // namespace
}  // namespace wherry::cli

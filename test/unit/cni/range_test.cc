#include "cni/ipam/range.h"

#include "gtest/gtest.h"

namespace wherry::ipam {
namespace {

cni::IpAddress Ip(absl::string_view text) { return cni::IpAddress::Parse(text).value(); }

Range Of(absl::string_view subnet, absl::string_view start = "", absl::string_view end = "") {
  Range range;
  range.subnet = cni::IpPrefix::Parse(subnet).value();
  if (!start.empty()) range.start = Ip(start);
  if (!end.empty()) range.end = Ip(end);
  return range;
}

RangeSet Completed(RangeSet set) {
  EXPECT_TRUE(Complete(&set).ok());
  return set;
}

TEST(Range, DefaultsAreThoseOfTheReference) {
  const RangeSet v4 = Completed({Of("10.1.0.0/24")});
  EXPECT_EQ(v4[0].gateway, Ip("10.1.0.1"));
  EXPECT_EQ(v4[0].start, Ip("10.1.0.1"));
  EXPECT_EQ(v4[0].end, Ip("10.1.0.254"));
  EXPECT_EQ(Capacity(v4), 253U);
  const RangeSet v6 = Completed({Of("fd00::/120")});
  EXPECT_EQ(v6[0].end, Ip("fd00::ff"));
}

TEST(Range, RefusesWhatCannotWork) {
  for (Range range : {Of("10.1.0.0/31"), Of("10.1.0.0/32"), Of("fd00::/127"), Of("10.1.0.5/24"),
                      Of("10.1.0.0/24", "10.2.0.1"), Of("10.1.0.0/24", "", "10.2.0.1"), Of("10.1.0.0/24", "fd00::1"),
                      Of("10.1.0.0/24", "10.1.0.9", "10.1.0.8"), Range()})
    EXPECT_FALSE(Complete(&range).ok()) << range.subnet.ToString();
}

TEST(RangeSet, RefusesMixturesAndOverlaps) {
  RangeSet empty, mixed = {Of("10.1.0.0/24"), Of("fd00::/64")}, overlapping = {Of("10.1.0.0/16"), Of("10.1.2.0/24")};
  EXPECT_FALSE(Complete(&empty).ok());
  EXPECT_FALSE(Complete(&mixed).ok());
  EXPECT_FALSE(Complete(&overlapping).ok());
}

TEST(Cursor, GoesRoundThroughAllRanges) {
  const RangeSet set =
      Completed({Of("10.1.0.0/24", "10.1.0.5", "10.1.0.6"), Of("10.2.0.0/24", "10.2.0.7", "10.2.0.7")});
  Cursor cursor(set, {});
  for (const char* expected : {"10.1.0.5", "10.1.0.6", "10.2.0.7", "10.1.0.5"}) {
    EXPECT_EQ(cursor.address(), Ip(expected));
    cursor.Advance();
  }
  EXPECT_EQ(Cursor(set, Ip("10.1.0.6")).address(), Ip("10.2.0.7"));
  EXPECT_EQ(Cursor(set, Ip("10.2.0.7")).address(), Ip("10.1.0.5"));
  EXPECT_EQ(Cursor(set, Ip("192.168.0.1")).address(), Ip("10.1.0.5"));
}

}  // namespace
}  // namespace wherry::ipam

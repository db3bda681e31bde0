#include "api/cni/address.h"

#include "gtest/gtest.h"

namespace wherry::cni {
namespace {

IpAddress Ip(absl::string_view text) { return IpAddress::Parse(text).value(); }
IpPrefix Net(absl::string_view text) { return IpPrefix::Parse(text).value(); }

TEST(IpAddress, PrintsWhatItParsed) {
  for (const char* text : {"0.0.0.0", "10.1.2.3", "::", "fd00::1", "2001:db8::a:0:0:1"})
    EXPECT_EQ(Ip(text).ToString(), text);
}

TEST(IpAddress, AMappedAddressIsTheIpv4Address) {
  EXPECT_EQ(Ip("::ffff:10.1.2.3"), Ip("10.1.2.3"));
  EXPECT_TRUE(Ip("::ffff:10.1.2.3").is_v4());
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "10.1.2", "10.1.2.256", "10.1.2.3/24", "fd00::1%eth0", " 10.1.2.3", "010.1.2.3"})
    EXPECT_FALSE(IpAddress::Parse(text).ok()) << text;
  EXPECT_FALSE(IpAddress::Parse(std::string("10.1.2.3\0x", 10)).ok());
}

TEST(IpAddress, NextCarries) {
  EXPECT_EQ(Ip("10.1.255.255").Next(), Ip("10.2.0.0"));
  EXPECT_EQ(Ip("fd00::ffff").Next(), Ip("fd00::1:0"));
}

TEST(IpAddress, MaskAndFill) {
  EXPECT_EQ(Ip("10.1.255.255").Mask(20), Ip("10.1.240.0"));
  EXPECT_EQ(Ip("10.1.240.0").Fill(20), Ip("10.1.255.255"));
  EXPECT_EQ(Ip("10.1.2.3").Mask(32), Ip("10.1.2.3"));
  EXPECT_EQ(Ip("10.1.2.3").Mask(0), Ip("0.0.0.0"));
  EXPECT_EQ(Ip("fd00::1").Fill(120), Ip("fd00::ff"));
}

TEST(IpAddress, CountsUpToALimit) {
  EXPECT_EQ(Ip("10.1.0.1").CountTo(Ip("10.1.0.1"), 100), 1U);
  EXPECT_EQ(Ip("10.1.0.255").CountTo(Ip("10.1.1.1"), 100), 3U);
  EXPECT_EQ(Ip("10.1.0.2").CountTo(Ip("10.1.0.1"), 100), 0U);
  EXPECT_EQ(Ip("fd00::").CountTo(Ip("fd00::ffff:ffff:ffff:ffff"), 1000), 1000U);
}

TEST(IpPrefix, KeepsHostBitsAndKnowsItsNetwork) {
  EXPECT_EQ(Net("10.1.2.3/16").ToString(), "10.1.2.3/16");
  EXPECT_EQ(Net("10.1.2.3/16").Network(), Ip("10.1.0.0"));
  EXPECT_TRUE(Net("10.1.2.3/16").Contains(Ip("10.1.200.1")));
  EXPECT_FALSE(Net("10.1.2.3/16").Contains(Ip("10.2.0.1")));
  EXPECT_FALSE(Net("0.0.0.0/0").Contains(Ip("fd00::1")));
}

TEST(IpPrefix, RefusesBadLengths) {
  for (const char* text : {"10.1.2.3", "10.1.2.3/", "10.1.2.3/33", "fd00::/129", "10.1.2.3/-1", "10.1.2.3/+8", "/24"})
    EXPECT_FALSE(IpPrefix::Parse(text).ok()) << text;
}

}  // namespace
}  // namespace wherry::cni

#include "runtime/shim/sysctl.h"

#include "gtest/gtest.h"

namespace wherry::shim {
namespace {

constexpr OwnNamespaces kAll{true, true, true};

TEST(SysctlTest, DotsAndSlashes) {
  EXPECT_EQ(*SysctlPath("net.ipv4.ip_forward", "1", kAll), "net/ipv4/ip_forward");
  EXPECT_EQ(*SysctlPath("net/ipv4/ip_forward", "1", kAll), "net/ipv4/ip_forward");
  EXPECT_EQ(*SysctlPath("net.ipv4.conf.eth0/1.rp_filter", "1", kAll), "net/ipv4/conf/eth0.1/rp_filter");
  EXPECT_EQ(*SysctlPath("net/ipv4/conf/eth0.1/rp_filter", "1", kAll), "net/ipv4/conf/eth0.1/rp_filter");
  EXPECT_EQ(*SysctlPath("kernel.shm_rmid_forced", "1", kAll), "kernel/shm_rmid_forced");
  EXPECT_EQ(*SysctlPath("fs.mqueue.msg_max", "100", kAll), "fs/mqueue/msg_max");
  EXPECT_EQ(*SysctlPath("kernel.sem", "250 32000 32 128", kAll), "kernel/sem");
}

TEST(SysctlTest, HostParametersAreRefused) {
  for (const char* name : {"kernel.core_pattern", "vm.swappiness", "fs.file-max", "kernel.shmx", "kernel.sem.x",
                           "kernel.panic", "user.max_user_namespaces", "fs.mqueue", "netx.a", "net"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(SysctlPath(name, "1", kAll).status())) << name;
  }
}

TEST(SysctlTest, TheNamespaceHasToBeThePods) {
  EXPECT_FALSE(SysctlPath("net.ipv4.ip_forward", "1", {false, true, true}).ok());
  EXPECT_FALSE(SysctlPath("kernel.shmmax", "1", {true, false, true}).ok());
  EXPECT_FALSE(SysctlPath("fs.mqueue.msg_max", "1", {true, false, true}).ok());
  EXPECT_FALSE(SysctlPath("kernel.domainname", "x", {true, true, false}).ok());
}

TEST(SysctlTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* name : {"net/../kernel/core_pattern", "net/ipv4/../../kernel/core_pattern", "net//ipv4", "/net/ipv4",
                           "net/ipv4/", "net.ipv4.", ".net", "", "net/./x", "net.ipv4.a b", "net.ipv4.a\n",
                           "net.ipv4.a+b", "net.ipv4.a=b", "net.ipv4.\xc3\xa4", "net.//.kernel.core_pattern"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(SysctlPath(name, "1", kAll).status())) << name;
  }
  EXPECT_FALSE(SysctlPath("net." + std::string(300, 'a'), "1", kAll).ok());
}

TEST(SysctlTest, ValuesHaveNoControlBytes) {
  for (const char* value : {"1\n2", "\t", "\x7f", "\x01", "\xff"})
    EXPECT_TRUE(absl::IsInvalidArgument(SysctlPath("net.ipv4.ip_forward", value, kAll).status())) << value;
  EXPECT_FALSE(SysctlPath("net.ipv4.ip_forward", absl::string_view("1\0", 2), kAll).ok());
  EXPECT_FALSE(SysctlPath("net.ipv4.ip_forward", std::string(5000, '1'), kAll).ok());
  EXPECT_TRUE(SysctlPath("net.ipv4.ping_group_range", "0 2147483647", kAll).ok());
}

}  // namespace
}  // namespace wherry::shim

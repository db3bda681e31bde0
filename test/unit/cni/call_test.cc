#include "cni/plugins/call.h"

#include <sys/mman.h>
#include <unistd.h>

#include <map>

#include "api/cni/error.h"
#include "cni/plugins/bridge_config.h"
#include "gtest/gtest.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::plugins {
namespace {

using Variables = std::map<std::string, std::string>;

absl::StatusOr<Call> Read(const Variables& variables, const std::string& input) {
  sys::UniqueFd fd(memfd_create("input", MFD_CLOEXEC));
  EXPECT_EQ(write(fd.get(), input.data(), input.size()), static_cast<ssize_t>(input.size()));
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_SET), 0);
  return ReadCall(
      [&](const char* name) {
        auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      fd.get());
}

Variables Add() {
  return {{"CNI_COMMAND", "ADD"}, {"CNI_CONTAINERID", "c1"}, {"CNI_NETNS", "/run/netns/a"}, {"CNI_IFNAME", "eth0"}};
}

uint32_t Code(Variables variables, const std::string& input = R"({"cniVersion": "1.0.0", "name": "n"})") {
  absl::StatusOr<Call> call = Read(variables, input);
  return call.ok() ? 0 : cni::ToError(call.status()).code;
}

Variables With(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

TEST(Call, ChecksTheEnvironment) {
  EXPECT_EQ(Code(Add()), 0U);
  EXPECT_EQ(Code({}), 4U);
  EXPECT_EQ(Code(With(Add(), "CNI_COMMAND", "add")), 4U);
  for (const char* id : {"", "../x", "-a", "a/b", "a b"}) EXPECT_EQ(Code(With(Add(), "CNI_CONTAINERID", id)), 4U) << id;
  for (const char* name : {"", ".", "..", "a/b", "a:b", "a b", "sixteen-charactr"})
    EXPECT_EQ(Code(With(Add(), "CNI_IFNAME", name)), 4U) << name;
  EXPECT_EQ(Code(With(Add(), "CNI_NETNS", "")), 4U);
  EXPECT_EQ(Code(With(With(Add(), "CNI_NETNS", ""), "CNI_COMMAND", "DEL")), 0U);
}

TEST(Call, SaysWhichVariablesAreWrong) {
  absl::StatusOr<Call> call = Read({{"CNI_COMMAND", "ADD"}, {"CNI_CONTAINERID", "c1"}}, "{}");
  EXPECT_NE(call.status().message().find("CNI_IFNAME, CNI_NETNS"), absl::string_view::npos) << call.status();
}

TEST(Call, ChecksTheDocument) {
  EXPECT_EQ(Code(Add(), ""), 6U);
  EXPECT_EQ(Code(Add(), "nonsense"), 6U);
  EXPECT_EQ(Code(Add(), R"({"cniVersion": "1.0.0"})"), 7U);
  EXPECT_EQ(Code(Add(), R"({"cniVersion": "1.0.0", "name": "../n"})"), 7U);
  EXPECT_EQ(Code(Add(), R"({"cniVersion": "0.2.0", "name": "n"})"), 1U);
  EXPECT_EQ(Code(Add(), R"({"name": "n"})"), 1U);
  EXPECT_EQ(Code(Add(), R"({"cniVersion": "2.0.0", "name": "n"})"), 1U);
}

TEST(Call, CommandsBelongToVersions) {
  const auto code = [](const char* command, const char* version) {
    return Code(With(Add(), "CNI_COMMAND", command), absl::StrCat(R"({"name": "n", "cniVersion": ")", version, "\"}"));
  };
  EXPECT_EQ(code("CHECK", "0.3.1"), 1U);
  EXPECT_EQ(code("CHECK", "0.4.0"), 0U);
  EXPECT_EQ(code("GC", "1.0.0"), 1U);
  EXPECT_EQ(code("GC", "1.1.0"), 0U);
  EXPECT_EQ(code("STATUS", "1.0.0"), 1U);
}

TEST(Arguments, UnknownOnesNeedPermission) {
  EXPECT_TRUE(ParseArguments("").ok());
  EXPECT_EQ(ParseArguments("IP=10.1.0.5")->ipam.ips.at(0).address.ToString(), "10.1.0.5");
  const Arguments lists = ParseArguments("IP=10.1.0.5/24, fd00::5/64;GATEWAY=10.1.0.1,fd00::1").value();
  ASSERT_EQ(lists.ipam.ips.size(), 2U);
  EXPECT_EQ(lists.ipam.ips[1].length, 64);
  EXPECT_EQ(lists.ipam.gateways.at(1).ToString(), "fd00::1");
  EXPECT_EQ(cni::ToError(ParseArguments("K8S_POD_NAME=a").status()).code, 4U);
  EXPECT_TRUE(ParseArguments("IgnoreUnknown=1;K8S_POD_NAME=a;K8S_POD_UID=b").ok());
  EXPECT_TRUE(ParseArguments("K8S_POD_NAME=a;IgnoreUnknown=true").ok());
  for (const char* wrong : {"IP=x", "IP=10.1.0.5/33", "IP=10.1.0.5,x", "GATEWAY=10.1.0.1/24"})
    EXPECT_EQ(cni::ToError(ParseArguments(wrong).status()).code, 4U) << wrong;
}

}  // namespace
}  // namespace wherry::plugins

#include "cri/network/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace wherry::network {
namespace {

using nlohmann::json;
using testing::HasSubstr;

cni::ConfigList Declaring(const std::vector<std::string>& capabilities) {
  cni::ConfigList list;
  list.plugins.resize(2);
  for (const std::string& capability : capabilities) list.plugins[1].capabilities[capability] = true;
  list.plugins[0].capabilities["bandwidth"] = false;
  return list;
}

json Get(const absl::StatusOr<Capabilities>& all, const std::string& name) {
  if (!all.ok() || all->count(name) == 0) return nullptr;
  return json::parse(all->at(name));
}

TEST(CapabilitiesTest, PortMappingsWithoutHostPortAreLeftOut) {
  PodNetwork pod;
  pod.port_mappings = {{"tcp", 80, 8080, ""}, {"udp", 53, 0, ""}, {"sctp", 9, 99, "10.0.0.1"}};
  auto all = CapabilitiesOf(pod, Declaring({"portMappings"}));
  EXPECT_EQ(Get(all, "portMappings"), json::parse(R"([
    {"hostPort":8080,"containerPort":80,"protocol":"tcp","hostIP":""},
    {"hostPort":99,"containerPort":9,"protocol":"sctp","hostIP":"10.0.0.1"}])"));
  pod.port_mappings.resize(0);
  EXPECT_EQ(CapabilitiesOf(pod, Declaring({"portMappings"}))->size(), 0U);
}

TEST(CapabilitiesTest, OnlyWhatAPluginDeclaresIsTold) {
  PodNetwork pod;
  pod.port_mappings = {{"tcp", 80, 8080, ""}};
  pod.annotations["kubernetes.io/ingress-bandwidth"] = "10M";
  EXPECT_EQ(CapabilitiesOf(pod, Declaring({}))->size(), 0U);
  auto all = CapabilitiesOf(pod, Declaring({"cgroupPath", "dns", "io.kubernetes.cri.pod-annotations"}));
  EXPECT_EQ(Get(all, "io.kubernetes.cri.pod-annotations"), json(pod.annotations));
  EXPECT_EQ(all->size(), 1U);
}

TEST(CapabilitiesTest, BandwidthComesFromTheKubeletsAnnotations) {
  PodNetwork pod;
  pod.annotations = {{"kubernetes.io/ingress-bandwidth", "10M"}, {"kubernetes.io/egress-bandwidth", "1Gi"}};
  EXPECT_EQ(Get(CapabilitiesOf(pod, Declaring({"bandwidth"})), "bandwidth"), (json{{"ingressRate", 10000000},
                                                                                   {"ingressBurst", 4294967295},
                                                                                   {"egressRate", 1073741824},
                                                                                   {"egressBurst", 4294967295}}));
  for (const char* bad : {"", "fast", "1", "-5M", "2P", "1e30"}) {
    pod.annotations["kubernetes.io/egress-bandwidth"] = bad;
    auto all = CapabilitiesOf(pod, Declaring({"bandwidth"}));
    EXPECT_TRUE(absl::IsInvalidArgument(all.status())) << bad;
    EXPECT_THAT(std::string(all.status().message()), HasSubstr("egress-bandwidth"));
  }
}

TEST(CapabilitiesTest, DnsAndCgroupPath) {
  PodNetwork pod;
  pod.dns_servers = {"10.96.0.10"};
  pod.dns_searches = {"svc.cluster.local"};
  pod.cgroup_path = "/kubepods/pod1";
  auto all = CapabilitiesOf(pod, Declaring({"dns", "cgroupPath"}));
  EXPECT_EQ(Get(all, "dns"), (json{{"servers", {"10.96.0.10"}}, {"searches", {"svc.cluster.local"}}}));
  EXPECT_EQ(Get(all, "cgroupPath"), "/kubepods/pod1");
}

TEST(CapabilitiesTest, AddressesOfThePodAndOfTheNode) {
  PodNetwork pod;
  pod.name = "web";
  pod.pod_cidrs = {"10.1.0.0/24", "fd00:1::/64"};
  pod.annotations = {{"wherry.run/ips", "10.1.0.9, fd00:1::9/64"}, {"wherry.run/mac", "02:00:00:00:00:07"}};
  EXPECT_EQ(CapabilitiesOf(pod, Declaring({}))->size(), 0U) << "only where the administrator's plugin takes them";
  auto all = CapabilitiesOf(pod, Declaring({"ips", "mac", "aliases", "ipRanges"}));
  EXPECT_EQ(Get(all, "ips"), json({"10.1.0.9", "fd00:1::9/64"}));
  EXPECT_EQ(Get(all, "mac"), "02:00:00:00:00:07");
  EXPECT_EQ(Get(all, "aliases"), json({"web"}));
  EXPECT_EQ(Get(all, "ipRanges"), json::parse(R"([[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}]])"));
  for (const char* bad : {"", "10.1.0", "10.1.0.9,,", "10.1.0.9/33"}) {
    pod.annotations["wherry.run/ips"] = bad;
    EXPECT_TRUE(absl::IsInvalidArgument(CapabilitiesOf(pod, Declaring({"ips"})).status())) << bad;
  }
  for (const char* bad : {"", "02:00:00:00:00", "02-00-00-00-00-07", "0g:00:00:00:00:07"}) {
    pod.annotations["wherry.run/mac"] = bad;
    EXPECT_TRUE(absl::IsInvalidArgument(CapabilitiesOf(pod, Declaring({"mac"})).status())) << bad;
  }
}

TEST(QuantityTest, KubernetesForms) {
  const std::pair<const char*, uint64_t> good[] = {{"0", 0},          {"1500", 1500}, {"10k", 10000},
                                                   {"1.5M", 1500000}, {"2Ki", 2048},  {"1e6", 1000000},
                                                   {"2E3", 2000},     {"1500m", 2},   {"1P", 1000000000000000}};
  for (const auto& [text, value] : good) {
    auto parsed = ParseQuantity(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, value) << text;
  }
  for (const char* bad : {"", "k", "1K", "1x", "1.2.3", " 1", "1 ", "0x10", "1e", "1e99", "99999999999999999999999",
                          "nan", "9E99", "1ki", "1kk"})
    EXPECT_FALSE(ParseQuantity(bad).ok()) << bad;
}

}  // namespace
}  // namespace wherry::network

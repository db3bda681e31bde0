#include "cri/network/cache.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "test/unit/network/fixture.h"

namespace wherry::network {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

class CacheTest : public Scratch {
 protected:
  static CacheEntry Entry() {
    CacheEntry entry;
    entry.network = "pod-net";
    entry.container_id = kId;
    entry.netns = std::string("/run/wherry/netns/") + kId;
    entry.config = R"({"cniVersion":"1.0.0","name":"pod-net","plugins":[{"type":"bridge"}]})";
    entry.args = "IgnoreUnknown=1;K8S_POD_NAME=web";
    entry.capabilities["portMappings"] = R"([{"hostPort":80}])";
    entry.result = R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]})";
    return entry;
  }
  std::string File() const { return "cache/results/pod-net-" + std::string(kId) + "-eth0"; }
  ResultCache cache_{dir_ + "/cache"};
};

// The names and keys are libcni's: other tools read them.
TEST_F(CacheTest, FilesHaveLibcnisNameAndForm) {
  ASSERT_TRUE(cache_.Put(Entry()).ok());
  json document = json::parse(Read(File()), nullptr, false);
  ASSERT_TRUE(document.is_object()) << Read(File());
  EXPECT_EQ(document["kind"], "cniCacheV1");
  EXPECT_EQ(document["containerId"], kId);
  EXPECT_EQ(document["ifName"], "eth0");
  EXPECT_EQ(document["networkName"], "pod-net");
  EXPECT_EQ(document["netns"], std::string("/run/wherry/netns/") + kId);
  EXPECT_EQ(document["config"].get<std::string>().substr(0, 8), "eyJjbmlW");  // {"cniV
  EXPECT_EQ(document["cniArgs"], json::parse(R"([["IgnoreUnknown","1"],["K8S_POD_NAME","web"]])"));
  EXPECT_EQ(document["capabilityArgs"]["portMappings"][0]["hostPort"], 80);
  EXPECT_EQ(document["result"]["ips"][0]["address"], "10.0.0.2/24");
  struct stat st {};
  ASSERT_EQ(stat((dir_ + "/" + File()).c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0600U);
}

TEST_F(CacheTest, WhatWasPutIsFoundByContainerAlone) {
  ASSERT_TRUE(cache_.Put(Entry()).ok());
  auto found = cache_.Find(kId);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1U);
  const CacheEntry &got = found->front(), want = Entry();
  EXPECT_EQ(got.network, want.network);
  EXPECT_EQ(got.config, want.config);
  EXPECT_EQ(got.args, want.args);
  EXPECT_EQ(got.capabilities.at("portMappings"), want.capabilities.at("portMappings"));
  EXPECT_EQ(json::parse(got.result), json::parse(want.result));
  EXPECT_FALSE(got.damaged);
  EXPECT_THAT(*cache_.Find(std::string(64, 'a')), IsEmpty());
  ASSERT_TRUE(cache_.Remove(got).ok());
  ASSERT_TRUE(cache_.Remove(got).ok());
  EXPECT_THAT(*cache_.Find(kId), IsEmpty());
}

TEST_F(CacheTest, ADamagedFileIsStillATrace) {
  ASSERT_TRUE(cache_.Put(Entry()).ok());
  for (const char* text : {"", "{", "[]", R"({"kind":"cniCacheV1","containerId":"x"})"}) {
    Write(File(), text);
    auto found = cache_.Find(kId);
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->size(), 1U);
    EXPECT_TRUE(found->front().damaged) << text;
    EXPECT_EQ(found->front().network, "pod-net");
  }
}

// A kill between write and rename.
TEST_F(CacheTest, AnUnfinishedFileIsNoTraceAndGoesAway) {
  std::filesystem::create_directories(dir_ + "/cache/results");
  Write(File() + ".tmp", "{");
  EXPECT_THAT(*cache_.Find(kId), IsEmpty());
  EXPECT_EQ(Entries("cache/results"), 0U);
}

TEST_F(CacheTest, OnlyContainersWithOurNamespacesAreOurs) {
  ASSERT_TRUE(cache_.Put(Entry()).ok());
  CacheEntry other = Entry();  // containerd's ids look like ours
  other.container_id = std::string(64, 'b');
  other.netns = "/var/run/netns/cni-1";
  ASSERT_TRUE(cache_.Put(other).ok());
  Write("cache/results/garbage-" + std::string(64, 'c') + "-eth0", "{");
  EXPECT_THAT(cache_.Containers("/run/wherry/netns"), ElementsAre(kId));
  EXPECT_THAT(cache_.Containers("/run/other/netns"), IsEmpty());
}

}  // namespace
}  // namespace wherry::network

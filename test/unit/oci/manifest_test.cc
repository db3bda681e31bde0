#include "api/oci/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace wherry::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kDigest[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kIndexType[] = "application/vnd.oci.image.index.v1+json";

std::string Descriptor(const std::string& type, const std::string& more = "") {
  return absl::StrCat(R"({"mediaType":")", type, R"(","digest":")", kDigest, R"(","size":7)", more, "}");
}
std::string ManifestOf(const std::string& layer_type,
                       const std::string& config_type = "application/vnd.oci.image.config.v1+json") {
  return absl::StrCat(R"({"schemaVersion":2,"config":)", Descriptor(config_type), R"(,"layers":[)",
                      Descriptor(layer_type), "]}");
}

void ExpectError(const std::string& text, absl::StatusCode code, const std::string& message,
                 const std::string& type = "") {
  auto doc = ParseManifestOrIndex(text, type);
  EXPECT_EQ(doc.status().code(), code) << text << ": " << doc.status();
  EXPECT_THAT(std::string(doc.status().message()), HasSubstr(message)) << text;
}
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(ManifestTest, ReadsManifests) {
  for (const char* type : {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+zstd",
                           "application/vnd.docker.image.rootfs.diff.tar.gzip"}) {
    auto doc = ParseManifestOrIndex(ManifestOf(type), kManifestType);
    ASSERT_TRUE(doc.ok()) << doc.status();
    ASSERT_TRUE(std::holds_alternative<Manifest>(*doc));
    EXPECT_THAT(std::get<Manifest>(*doc).layers, SizeIs(1));
    EXPECT_EQ(std::get<Manifest>(*doc).layers[0].size, 7U);
  }
}

TEST(ManifestTest, ReadsIndexesWithPlatforms) {
  const std::string text = absl::StrCat(
      R"({"schemaVersion":2,"manifests":[)",
      Descriptor(kManifestType,
                 R"(,"platform":{"architecture":"arm64","os":"linux","variant":"v8"},"annotations":{"k":"v"})"),
      "]}");
  auto doc = ParseManifestOrIndex(text, kIndexType);
  ASSERT_TRUE(doc.ok()) << doc.status();
  const Index& index = std::get<Index>(*doc);
  ASSERT_THAT(index.manifests, SizeIs(1));
  EXPECT_TRUE(index.manifests[0].has_platform);
  EXPECT_EQ(index.manifests[0].platform.variant, "v8");
  EXPECT_EQ(index.manifests[0].annotations.at("k"), "v");
}

// CVE-2021-41190: a document must not be readable as two things.
TEST(ManifestTest, RefusesAmbiguity) {
  ExpectError(R"({"schemaVersion":2,"manifests":[],"layers":[]})", kInvalid, "both");
  ExpectError(R"({"schemaVersion":2,"manifests":[],"config":{}})", kInvalid, "both");
  ExpectError(R"({"schemaVersion":2,"manifests":[],"layers":null})", kInvalid, "both");
  ExpectError(absl::StrCat(R"({"schemaVersion":2,"mediaType":")", kIndexType, R"(","manifests":[]})"), kInvalid,
              "calls itself", kManifestType);
  ExpectError(R"({"schemaVersion":2,"manifests":[]})", kInvalid, "contradict", kManifestType);
  ExpectError(ManifestOf("application/vnd.oci.image.layer.v1.tar"), kInvalid, "contradict", kIndexType);
}

TEST(ManifestTest, RefusesWhatIsNoImage) {
  ExpectError(R"({"schemaVersion":2})", kInvalid, "neither");
  ExpectError(R"({"schemaVersion":3,"layers":[]})", kInvalid, "schemaVersion");
  ExpectError(R"({"schemaVersion":1,"fsLayers":[]})", absl::StatusCode::kUnimplemented, "schema 1");
  ExpectError(R"({"schemaVersion":2,"layers":[]})", kInvalid, "no config");
  ExpectError(ManifestOf("application/vnd.oci.image.layer.v1.tar", "application/vnd.cncf.helm.config.v1+json"),
              kInvalid, "artifact");
  ExpectError(ManifestOf("application/vnd.oci.image.layer.nondistributable.v1.tar"), absl::StatusCode::kUnimplemented,
              "foreign");
  ExpectError(ManifestOf("text/plain"), kInvalid, "unknown media type");
}

TEST(ManifestTest, RefusesBadDescriptors) {
  auto with = [](const std::string& descriptor) {
    return absl::StrCat(R"({"schemaVersion":2,"manifests":[)", descriptor, "]}");
  };
  ExpectError(with("7"), kInvalid, "not an object");
  ExpectError(with("{}"), kInvalid, "no digest");
  ExpectError(with(R"({"digest":"sha512:00","size":1})"), kInvalid, "no digest");
  ExpectError(with(R"({"digest":"sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef","size":1})"),
              kInvalid, "no digest");
  ExpectError(with(absl::StrCat(R"({"digest":")", kDigest, R"(","size":-1})")), kInvalid, "whole number");
  ExpectError(with(absl::StrCat(R"({"digest":")", kDigest, R"(","size":18446744073709551615})")), kInvalid, "absurd");
  ExpectError(with(absl::StrCat(R"({"digest":")", kDigest, R"(","size":1,"annotations":{"a":1}})")), kInvalid,
              "annotations");
  std::string many = Descriptor(kManifestType);
  for (size_t i = 0; i < kMaxIndexEntries; ++i) many += "," + Descriptor(kManifestType);
  ExpectError(with(many), kInvalid, "has 1025 entries");
}

TEST(ManifestTest, HasTheTypeThatItSaysOrTheSpecificationsOwn) {
  const std::string docker = "application/vnd.docker.distribution.manifest.list.v2+json";
  EXPECT_EQ(*MediaTypeOf(absl::StrCat(R"({"schemaVersion":2,"mediaType":")", docker, R"(","manifests":[]})")), docker);
  EXPECT_EQ(*MediaTypeOf(R"({"schemaVersion":2,"manifests":[]})"), kIndexType);
  EXPECT_EQ(*MediaTypeOf(R"({"schemaVersion":2,"layers":[]})"), kManifestType);
  EXPECT_FALSE(MediaTypeOf(R"({"schemaVersion":2,"mediaType":"\"","manifests":[]})").ok());
}

TEST(DockerSaveTest, ReadsAndRefuses) {
  auto images = ParseDockerSaveManifest(
      R"([{"Config":"a.json","RepoTags":["x:1"],"Layers":["1/layer.tar"]},{"Config":"b","RepoTags":null,"Layers":null}])");
  ASSERT_TRUE(images.ok()) << images.status();
  ASSERT_THAT(*images, SizeIs(2));
  EXPECT_THAT((*images)[0].layers, ElementsAre("1/layer.tar"));
  EXPECT_FALSE(ParseDockerSaveManifest("{}").ok());
  EXPECT_FALSE(ParseDockerSaveManifest("[{}]").ok());
  EXPECT_FALSE(ParseDockerSaveManifest("[7]").ok());
  EXPECT_FALSE(ParseDockerSaveManifest(R"([{"Config":7}])").ok());
}

}  // namespace
}  // namespace wherry::oci

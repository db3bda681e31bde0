// Archives that lie, break off or attack. Each is refused with a code and a text that names what is wrong, and leaves nothing: no
// layer, no record, nothing in staging/, nothing outside.
#include "cri/image/sha256.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::ImageSpec;
using test::TarEntry;
using test::TarWriter;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BadInputTest : public StoreTest {
 protected:
  // Imports `archive`, expects a refusal with `code` and `text`, and that nothing is left.
  void Refuse(const std::string& archive, absl::StatusCode code, const std::string& text) {
    auto images = Import(archive);
    ASSERT_FALSE(images.ok()) << "expected: " << text;
    EXPECT_EQ(images.status().code(), code) << images.status();
    EXPECT_THAT(std::string(images.status().message()), HasSubstr(text));
    EXPECT_THAT(store_->List(), IsEmpty());
    EXPECT_EQ(store_->Usage()->used_bytes, 0U);
    EXPECT_THAT(Layers(), IsEmpty());
    EXPECT_THAT(LeftInStaging(), IsEmpty());
    Reopen();
  }
  void RefuseLayer(const TarWriter& tar, absl::StatusCode code, const std::string& text) {
    ImageSpec image;
    image.layers = {tar.Bytes()};
    Refuse(test::OciArchive({image}), code, text);
  }
  static TarEntry Entry(const std::string& name, char type, const std::string& target = "") {
    TarEntry e;
    e.name = name;
    e.type = type;
    e.target = target;
    return e;
  }
};

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

ImageSpec Small() {
  ImageSpec image;
  image.layers = {TarWriter().File("file", std::string(100'000, 'x')).Bytes()};
  return image;
}

TEST_F(BadInputTest, DotDotAndAbsolutePaths) {
  RefuseLayer(TarWriter().File("ok", "1").File("../escape", "x"), kInvalid,
              "entry \"../escape\" has a \"..\" in its path");
  RefuseLayer(TarWriter().Dir("a").File("a/../../escape", "x"), kInvalid, "\"..\"");
  RefuseLayer(TarWriter().Dir(".."), kInvalid, "\"..\"");
  RefuseLayer(TarWriter().File("/tmp/wherry-escape", "x"), kInvalid, "absolute path");
  RefuseLayer(TarWriter().HardLink("a", "../../etc/passwd"), kInvalid, "\"..\"");
  RefuseLayer(TarWriter().HardLink("a", "/etc/passwd"), kInvalid, "absolute path");
  EXPECT_FALSE(std::filesystem::exists("/tmp/wherry-escape"));
}

TEST_F(BadInputTest, PathsThroughSymlinks) {
  const std::string outside = root_ + "/outside";
  ASSERT_EQ(::mkdir(outside.c_str(), 0755), 0);
  RefuseLayer(TarWriter().Symlink("out", outside).File("out/file", "x"), kInvalid,
              "leads through \"out\", which is a symbolic link");
  RefuseLayer(TarWriter().Symlink("out", "../../../outside").Dir("out/sub"), kInvalid, "symbolic link");
  RefuseLayer(TarWriter().Dir("a").Symlink("a/up", "..").Symlink("a/up/b", "x"), kInvalid, "symbolic link");
  RefuseLayer(TarWriter().Symlink("out", outside).HardLink("a", "out/file"), kInvalid, "symbolic link");
  RefuseLayer(TarWriter().Symlink("out", outside).File("out/.wh.file", ""), kInvalid, "symbolic link");
  RefuseLayer(TarWriter().File("file", "x").File("file/below", "x"), kInvalid, "which is no directory");
  EXPECT_THAT(Entries(outside), IsEmpty());
}

TEST_F(BadInputTest, HardLinksOutOfTheLayer) {
  RefuseLayer(TarWriter().HardLink("a", "etc/passwd"), kInvalid,
              "hard link to \"etc/passwd\", which is not in this layer");
  RefuseLayer(TarWriter().Dir("d").HardLink("a", "d"), kInvalid, "which is a directory");
  RefuseLayer(TarWriter().HardLink("a", "b").File("b", "x"), kInvalid, "not in this layer");
}

TEST_F(BadInputTest, WhiteoutTricks) {
  RefuseLayer(TarWriter().File(".wh.", ""), kInvalid, "whiteout of nothing");
  RefuseLayer(TarWriter().File(".wh...", ""), kInvalid, "whiteout of nothing");
  RefuseLayer(TarWriter().File(".wh.a/b", ""), kInvalid, "inside of a whiteout");
}

TEST_F(BadInputTest, AttributesThatSteerOverlayfs) {
  TarEntry e = Entry("dir", '5');
  e.pax["SCHILY.xattr.trusted.overlay.redirect"] = "/etc";
  RefuseLayer(TarWriter().Add(e), kInvalid, "would steer overlayfs");
}

TEST_F(BadInputTest, OwnersOutOfRange) {
  TarEntry e = Entry("file", '0');
  e.pax["uid"] = "4294967295";
  RefuseLayer(TarWriter().Add(e), kInvalid, "owner out of range");
  e.pax["uid"] = "4294967296";
  RefuseLayer(TarWriter().Add(e), kInvalid, "owner out of range");
}

TEST_F(BadInputTest, DamagedTar) {
  ImageSpec image = Small();
  std::string tar = image.layers[0];
  tar.resize(50'000);
  image.layers = {tar};
  Refuse(test::OciArchive({image}), kDataLoss, "Truncated tar archive");
  image.layers = {TarWriter().File("a", "1").Bytes().substr(0, 1024) + std::string(512, 'z') + std::string(1024, '\0')};
  Refuse(test::OciArchive({image}), kDataLoss, "not a valid tar stream");
  image.layers = {"this is no tar"};
  Refuse(test::OciArchive({image}), kDataLoss, "not a valid tar stream");
  TarEntry e = Entry("file", '0');
  e.pax["path"] = std::string("a\0b", 3);
  image.layers = {TarWriter().File("before", "").Bytes() + std::string(70 << 20, 'x')};
  Refuse(test::OciArchive({image}), kInvalid, "more than padding");
}

TEST_F(BadInputTest, DamagedCompression) {
  ImageSpec image = Small();
  const std::string good = test::Gzip(image.layers[0]);
  image.layer_blob = good.substr(0, good.size() / 2);
  Refuse(test::OciArchive({image}), kDataLoss, "cut short");
  image.layer_blob = good.substr(0, good.size() - 3);
  Refuse(test::OciArchive({image}), kDataLoss, "cut short");
  image.layer_blob = good;
  image.layer_blob[good.size() - 8] ^= 1;
  Refuse(test::OciArchive({image}), kDataLoss, "wrong gzip checksum");
  image.layer_blob = good + "garbage";
  Refuse(test::OciArchive({image}), kDataLoss, "gzip");
  const std::string zstd = test::Zstd(image.layers[0]);
  image.layer_blob = zstd.substr(0, zstd.size() - 2);
  Refuse(test::OciArchive({image}), kDataLoss, "zstd");
}

TEST_F(BadInputTest, WrongDigestsAndSizes) {
  ImageSpec image = Small();
  image.layer_digest = Sha256Of("something else");
  Refuse(test::OciArchive({image}), kDataLoss, "its contents have the digest sha256:");
  image = Small();
  image.diff_id = Sha256Of("something else");
  Refuse(test::OciArchive({image}), kDataLoss, "the configuration says sha256:");
  Refuse(test::DockerArchive({image}), kDataLoss, "the configuration says sha256:");
  image = Small();
  image.layer_size = 7;
  Refuse(test::OciArchive({image}), kDataLoss, "the manifest says 7");
}

TEST_F(BadInputTest, OneBadLayerOfTwoLeavesNeither) {
  ImageSpec image = Small();
  image.layers.push_back(TarWriter().File("../x", "").Bytes());
  Refuse(test::OciArchive({image}), kInvalid, "\"..\"");
}

TEST_F(BadInputTest, ForeignEncryptedAndUnknownLayers) {
  ImageSpec image = Small();
  image.layer_media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
  Refuse(test::OciArchive({image}), kUnimplemented, "foreign layer");
  image.layer_media_type = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
  Refuse(test::OciArchive({image}), kUnimplemented, "encrypted");
  image.layer_media_type = "application/x-zip";
  Refuse(test::OciArchive({image}), kInvalid, "unknown media type");
}

TEST_F(BadInputTest, WrongPlatform) {
  ImageSpec image = Small();
  image.architecture = "mips";
  Refuse(test::OciArchive({image}), absl::StatusCode::kFailedPrecondition, "the image is for linux/mips");
}

TEST_F(BadInputTest, AmbiguousAndAbsurdDocuments) {
  Refuse(test::LayoutArchive(R"({"schemaVersion":2,"manifests":[],"layers":[]})", {}), kInvalid, "CVE-2021-41190");
  Refuse(test::LayoutArchive("{", {}), kInvalid, "malformed JSON");
  Refuse(test::LayoutArchive(std::string(200, '[') + std::string(200, ']'), {}), kInvalid, "nested deeper");
  Refuse(test::LayoutArchive(std::string(9 << 20, ' '), {}), kInvalid, "at most 8388608 are read");
  Refuse(test::LayoutArchive(R"({"schemaVersion":1})", {}), kUnimplemented, "schema 1");
  Refuse(
      test::LayoutArchive(R"({"schemaVersion":2,"manifests":[{"digest":"sha256:../../../etc/passwd","size":1}]})", {}),
      kInvalid, "is no digest");
  Refuse(test::LayoutArchive(R"({"schemaVersion":2,"manifests":[]})", {}), absl::StatusCode::kNotFound, "no image for");
  const std::string both = R"({"schemaVersion":2,"config":{},"layers":[],"manifests":[]})";
  Refuse(test::LayoutArchive(absl::StrCat(R"({"schemaVersion":2,"manifests":[{"digest":")", Sha256Of(both),
                                          R"(","size":)", both.size(), "}]}"),
                             {both}),
         kInvalid, "CVE-2021-41190");
}

TEST_F(BadInputTest, NotAnImageArchiveAtAll) {
  Refuse("", kInvalid, "");
  Refuse("hello", kInvalid, "not a tar archive");
  Refuse(TarWriter().File("some", "file").Bytes(), kInvalid, "neither an OCI image layout");
  ImageSpec plain = Small();
  plain.gzip = false;
  Refuse(test::OciArchive({plain}).substr(0, 50'000), kDataLoss, "the archive ends inside of");
  EXPECT_TRUE(absl::IsNotFound(store_->Import(root_ + "/absent.tar", {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Import(root_, {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Import("/dev/zero", {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Import(test::OciArchive({Small()}), {"Not A Name"}).status()));
  EXPECT_THAT(Layers(), IsEmpty());
}

}  // namespace
}  // namespace wherry::image

#include <sys/wait.h>

#include "cri/image/sha256.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::ImageSpec;
using test::TarWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string OneFile(const std::string& name = "file", const std::string& data = "data") {
  return TarWriter().File(name, data).Bytes();
}

TEST_F(StoreTest, ImportsAnOciArchive) {
  ImageSpec image;
  image.layers = {TarWriter().Dir("etc").File("etc/a", "one", 0600).Bytes(), OneFile("b", "two")};
  image.name = "busybox";  // a bare word is only a tag
  image.config_json =
      R"({"Env":["A=1"],"Cmd":["sh"],"User":"1:2","WorkingDir":"/w","StopSignal":"SIGINT","Labels":{"k":"v"},"Volumes":{"/d":{}}})";
  auto images = Import(test::OciArchive({image}), {"busybox"});
  ASSERT_TRUE(images.ok()) << images.status();
  ASSERT_THAT(*images, SizeIs(1));
  const Image& got = *images->front();
  EXPECT_EQ(got.id, test::ConfigId(image));
  EXPECT_THAT(got.repo_tags, ElementsAre("docker.io/library/busybox:latest"));
  ASSERT_THAT(got.repo_digests, SizeIs(1));
  EXPECT_THAT(got.repo_digests[0], HasSubstr("docker.io/library/busybox@sha256:"));
  EXPECT_GT(got.size, 8192U);
  EXPECT_THAT(got.config.env, ElementsAre("A=1"));
  EXPECT_THAT(got.config.cmd, ElementsAre("sh"));
  EXPECT_EQ(got.config.user, "1:2");
  EXPECT_THAT(got.config.volumes, ElementsAre("/d"));
  EXPECT_THAT(got.diff_ids, ElementsAre(Sha256Of(image.layers[0]), Sha256Of(image.layers[1])));
  auto dirs = store_->Hold(got.id, "c1");
  ASSERT_TRUE(dirs.ok());
  ASSERT_THAT(*dirs, SizeIs(2));  // topmost first
  EXPECT_EQ(Read((*dirs)[0] + "/b"), "two");
  EXPECT_EQ(Read((*dirs)[1] + "/etc/a"), "one");
  EXPECT_EQ(Stat((*dirs)[1] + "/etc/a").st_mode, S_IFREG | 0600U);
  EXPECT_EQ(Stat((*dirs)[1] + "/etc").st_mtime, 1'700'000'000);
}

TEST_F(StoreTest, FindsByEveryName) {
  ImageSpec image;
  image.layers = {OneFile()};
  image.name = "docker.io/library/busybox:1.35";
  auto images = Import(test::OciArchive({image}));
  ASSERT_TRUE(images.ok()) << images.status();
  const std::string id = images->front()->id;
  const std::string repo_digest = images->front()->repo_digests[0];
  const std::string digest = repo_digest.substr(repo_digest.find('@') + 1);
  for (const std::string& ref : {id, id.substr(7), id.substr(7, 12), id.substr(0, 20), std::string("busybox:1.35"),
                                 std::string("library/busybox:1.35"), "busybox@" + digest, "busybox:other@" + digest}) {
    auto found = store_->Find(ref);
    ASSERT_TRUE(found.ok()) << ref << ": " << found.status();
    EXPECT_EQ((*found)->id, id);
  }
  EXPECT_TRUE(absl::IsNotFound(store_->Find("busybox").status()));
  EXPECT_TRUE(absl::IsNotFound(store_->Find("ffffff").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Find("Upper/Case").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Find("").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Find("sha256:../../x").status()));
}

TEST_F(StoreTest, ImportsDockerSaveWithSeveralImages) {
  ImageSpec a, b;
  a.layers = {OneFile("shared"), OneFile("a")};
  a.name = "a:1";
  b.layers = {OneFile("shared"), OneFile("b")};
  b.name = "localhost:5000/b:2";
  auto images = Import(test::DockerArchive({a, b}));
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_THAT(*images, SizeIs(2));
  EXPECT_TRUE(store_->Find("docker.io/library/a:1").ok());
  EXPECT_TRUE(store_->Find("localhost:5000/b:2").ok());
  EXPECT_THAT(Layers(), SizeIs(3));  // the shared one once
  EXPECT_TRUE(absl::IsInvalidArgument(Import(test::DockerArchive({a, b}), {"one-name"}).status()));
}

TEST_F(StoreTest, ImportsNestedIndexCompressedArchiveAndZstdLayers) {
  ImageSpec image;
  image.layers = {OneFile()};
  image.layer_blob = test::Zstd(image.layers[0]);
  image.layer_media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
  auto images = Import(test::Gzip(test::OciArchive({image}, /*nested=*/true)));
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->front()->id, test::ConfigId(image));
}

TEST_F(StoreTest, InflatesGzipOfSeveralMembers) {
  ImageSpec image;
  std::string big(3 << 20, 'x');
  for (size_t i = 0; i < big.size(); i += 7) big[i] = static_cast<char>(i * 31);
  image.layers = {OneFile("big", big)};
  const std::string& tar = image.layers[0];
  image.layer_blob = test::Gzip(tar.substr(0, 1000)) + test::Gzip(tar.substr(1000, 1 << 20)) +
                     test::Gzip(tar.substr(1000 + (1 << 20))) + std::string(512, '\0');
  auto images = Import(test::OciArchive({image}));
  ASSERT_TRUE(images.ok()) << images.status();
  auto dirs = store_->Hold(images->front()->id, "c");
  EXPECT_EQ(Read(dirs->front() + "/big"), big);
}

TEST_F(StoreTest, KeepsEverythingOverARestart) {
  ImageSpec image;
  image.layers = {OneFile()};
  ASSERT_TRUE(Import(test::OciArchive({image})).ok());
  auto before = store_->Find("example.org/test:1");
  Reopen();
  auto after = store_->Find("example.org/test:1");
  ASSERT_TRUE(after.ok());
  EXPECT_EQ((*after)->id, (*before)->id);
  EXPECT_EQ((*after)->size, (*before)->size);
  EXPECT_EQ((*after)->repo_digests, (*before)->repo_digests);
}

TEST_F(StoreTest, MovesATagToTheNewImage) {
  ImageSpec old_image, new_image;
  old_image.layers = {OneFile("old")};
  new_image.layers = {OneFile("new")};
  ASSERT_TRUE(Import(test::OciArchive({old_image})).ok());
  ASSERT_TRUE(Import(test::OciArchive({new_image})).ok());
  EXPECT_EQ((*store_->Find("example.org/test:1"))->id, test::ConfigId(new_image));
  auto old_found = store_->Find(test::ConfigId(old_image));
  ASSERT_TRUE(old_found.ok());
  EXPECT_THAT((*old_found)->repo_tags, IsEmpty());
}

TEST_F(StoreTest, NamesComeAndGo) {
  ImageSpec a, b;
  a.layers = {OneFile("a")};
  a.name = "a:1";
  b.layers = {OneFile("b")};
  b.name = "b:1";
  ASSERT_TRUE(Import(test::OciArchive({a, b})).ok());
  auto full = store_->Tag("a:1", "registry.example/x", false);
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(*full, "registry.example/x:latest");
  EXPECT_EQ((*store_->Find("registry.example/x"))->id, test::ConfigId(a));
  EXPECT_TRUE(absl::IsAlreadyExists(store_->Tag("b:1", "registry.example/x", false).status()));
  EXPECT_TRUE(store_->Tag(test::ConfigId(b), "registry.example/x", true).ok());
  EXPECT_EQ((*store_->Find("registry.example/x"))->id, test::ConfigId(b));
  EXPECT_TRUE(absl::IsNotFound(store_->Tag("absent", "x", true).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Tag("a:1", "UPPER", true).status()));
  ASSERT_TRUE(store_->Untag("b:1").ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Untag("b:1")));
  Reopen();
  EXPECT_THAT((*store_->Find(test::ConfigId(b)))->repo_tags, ElementsAre("registry.example/x:latest"));
  EXPECT_THAT(Layers(), SizeIs(2));
  ASSERT_TRUE(store_->Untag("registry.example/x").ok());  // its last name
  EXPECT_TRUE(absl::IsNotFound(store_->Find(test::ConfigId(b)).status()));
  EXPECT_TRUE(store_->Untag("a:1").ok());
  EXPECT_THAT(LeftInStaging(), IsEmpty());
  EXPECT_THAT(Layers(), IsEmpty());
}

TEST_F(StoreTest, AnImportCanPin) {
  ImageSpec image;
  image.layers = {OneFile()};
  const std::string archive = Write("a.tar", test::OciArchive({image}));
  ASSERT_TRUE(store_->Import(archive, {{}, true}).ok());
  ASSERT_TRUE(store_->Import(archive, {}).ok());
  Reopen();
  EXPECT_TRUE(store_->List().front()->pinned);
  ASSERT_TRUE(store_->Remove("example.org/test:1").ok());
  ASSERT_TRUE(store_->Import(archive, {}).ok());
  EXPECT_FALSE(store_->List().front()->pinned);
}

TEST_F(StoreTest, ImportTwiceIsTheSame) {
  ImageSpec image;
  image.layers = {OneFile()};
  ASSERT_TRUE(Import(test::OciArchive({image})).ok());
  const struct stat before = Stat(root_ + "/images/layers/" + Layers()[0]);
  ASSERT_TRUE(Import(test::OciArchive({image})).ok());
  EXPECT_EQ(Stat(root_ + "/images/layers/" + Layers()[0]).st_ino, before.st_ino);
  EXPECT_THAT(store_->List(), SizeIs(1));
}

TEST_F(StoreTest, RemoveDropsAllTagsAndTheLayers) {
  ImageSpec image;
  image.layers = {OneFile()};
  ASSERT_TRUE(Import(test::OciArchive({image}), {"one:1", "two:2"}).ok());
  EXPECT_GT(store_->Usage()->used_bytes, 0U);
  ASSERT_TRUE(store_->Remove("one:1").ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Find("two:2").status()));
  EXPECT_THAT(store_->List(), IsEmpty());
  EXPECT_EQ(store_->Usage()->used_bytes, 0U);
  EXPECT_THAT(Layers(), IsEmpty());
  EXPECT_TRUE(store_->Remove("one:1").ok());
  EXPECT_THAT(LeftInStaging(), IsEmpty());
}

TEST_F(StoreTest, HeldLayersStayUntilReleased) {
  ImageSpec image;
  image.layers = {OneFile()};
  ASSERT_TRUE(Import(test::OciArchive({image})).ok());
  const std::string id = test::ConfigId(image);
  auto dirs = store_->Hold(id, "c1");
  ASSERT_TRUE(dirs.ok());
  ASSERT_TRUE(store_->Remove(id).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Find(id).status()));
  EXPECT_EQ(Read(dirs->front() + "/file"), "data");

  // wherryd is killed and started again: the image is still known to those who hold it.
  ReopenWithoutHolds();
  EXPECT_THAT(store_->List(), IsEmpty());
  ASSERT_TRUE(store_->Hold(id, "c1").ok());
  store_->HoldsRestored();
  EXPECT_EQ(Read(dirs->front() + "/file"), "data");

  store_->Release("c1");
  EXPECT_THAT(LeftInStaging(), IsEmpty());
  EXPECT_THAT(Layers(), IsEmpty());
}

TEST_F(StoreTest, RemovalNeedsNoCallOfHoldsRestored) {
  ImageSpec image;
  image.layers = {OneFile()};
  ASSERT_TRUE(Import(test::OciArchive({image})).ok());
  ReopenWithoutHolds();
  ASSERT_TRUE(store_->Remove(test::ConfigId(image)).ok());
  EXPECT_THAT(Layers(), IsEmpty());
}

TEST_F(StoreTest, LayersSharedWithAnotherImageStay) {
  ImageSpec a, b;
  a.layers = {OneFile("base"), OneFile("a")};
  a.name = "a:1";
  b.layers = {OneFile("base"), OneFile("b")};
  b.name = "b:1";
  ASSERT_TRUE(Import(test::OciArchive({a, b})).ok());
  ASSERT_TRUE(store_->Remove("a:1").ok());
  EXPECT_THAT(Layers(), SizeIs(2));
}

TEST_F(StoreTest, PinnedImagesAreMarkedByReferenceIdOrPattern) {
  ImageSpec image;
  image.layers = {OneFile()};
  image.name = "registry.k8s.io/deep/pause:3.9";
  const std::string archive = Write("pause.tar", test::OciArchive({image}));
  const auto pinned_by = [&](const std::string& pattern) {
    store_.reset();
    ImageStore::Options options{root_, WHERRY_PULL};
    options.pinned = {"busybox", pattern};
    auto store = ImageStore::Open(options);
    if (!store.ok()) return std::string(store.status().message());
    store_ = std::move(*store);
    auto images = store_->Import(archive, {});
    return std::string(images.ok() && images->front()->pinned && store_->List().front()->pinned ? "yes" : "no");
  };
  EXPECT_EQ(pinned_by("other"), "no");
  EXPECT_EQ(pinned_by("registry.k8s.io/deep/pause"), "no");  // that is :latest
  EXPECT_EQ(pinned_by("registry.k8s.io/deep/pause:3.9"), "yes");
  EXPECT_EQ(pinned_by("registry.k8s.io/*"), "yes");
  EXPECT_EQ(pinned_by("*/pause:*"), "yes");
  EXPECT_EQ(pinned_by("pause*"), "no");  // the whole name counts
  EXPECT_EQ(pinned_by(test::ConfigId(image)), "yes");
  EXPECT_EQ(pinned_by(store_->List().front()->repo_digests.front()), "yes");
  EXPECT_TRUE(store_->Remove("registry.k8s.io/deep/pause:3.9").ok());
  EXPECT_THAT(store_->List(), IsEmpty());
  EXPECT_THAT(pinned_by("bad/UPPER"), HasSubstr("pinned image \"bad/UPPER\""));
  Reopen();
}

TEST_F(StoreTest, SecondWherrydIsRefused) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(absl::IsFailedPrecondition(ImageStore::Open({root_, WHERRY_PULL}).status()) ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace wherry::image

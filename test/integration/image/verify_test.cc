// Damage to layers after they were unpacked: it is found, named, and mended by the next pull or import; and what was not damaged gives
// back the very archive that it came from.
#include <fcntl.h>
#include <sys/xattr.h>
#include <utime.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "cri/image/sha256.h"
#include "test/integration/image/fake_registry.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::ImageSpec;
using test::TarEntry;
using test::TarWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TarEntry WithPax(const std::string& name, const std::string& key, const std::string& value) {
  TarEntry entry;
  entry.name = name;
  entry.data = "x";
  entry.pax[key] = value;
  return entry;
}

class VerifyTest : public StoreTest {
 protected:
  // Something of everything that a layer can have.
  static TarWriter Mixed() {
    TarWriter tar;
    tar.Dir("usr").Dir("usr/bin", 0750).File("usr/bin/a", std::string(3 << 20, 'a'), 04755).File("usr/bin/empty", "");
    tar.HardLink("usr/bin/b", "usr/bin/a").Symlink("usr/bin/c", "a").File("./etc//passwd", "root");
    tar.File("usr/.wh.gone", "").File("var/.wh..wh..opq", "").File(".wh..wh.plnk", std::string(5000, 'p'));
    tar.Add(WithPax("usr/user", "SCHILY.xattr.user.colour", "blue"));
    tar.File("usr/" + std::string(150, 'n'), "long");
    TarEntry device;
    device.name = "null";
    device.type = '3';
    device.major = 1;
    device.minor = 3;
    return tar.Add(device).File("zz", std::string(700, 'z'));
  }
  // Imports `tar` and returns the image's id and the layer's directory, for a container.
  void Begin(const TarWriter& tar) {
    ImageSpec spec;
    spec.layers = {tar.Bytes()};
    archive_ = test::OciArchive({spec});
    auto images = Import(archive_);
    ASSERT_TRUE(images.ok()) << images.status();
    id_ = images->front()->id;
    auto paths = store_->Hold(id_, "container");
    ASSERT_TRUE(paths.ok()) << paths.status();
    layer_ = paths->front();
  }
  std::vector<std::string> Verify() {
    auto layers = store_->Verify({});
    EXPECT_TRUE(layers.ok()) << layers.status();
    std::vector<std::string> all;
    for (const LayerFindings& layer : *layers) {
      EXPECT_EQ(layer.count, layer.findings.size());
      all.insert(all.end(), layer.findings.begin(), layer.findings.end());
    }
    return all;
  }
  absl::StatusOr<std::string> Export(const std::string& ref) {
    std::string out;
    absl::Status status = store_->Export(ref, [&](absl::string_view bytes) {
      out.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return out;
  }
  void FlipByte(const std::string& path) {
    const struct stat st = Stat(path);
    {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(st.st_size / 2);
      file.put('!');
    }
    const timespec times[2] = {st.st_atim, st.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  std::string archive_, id_, layer_;
};

TEST_F(VerifyTest, AWholeLayerHasNoFindings) {
  Begin(Mixed());
  EXPECT_THAT(Verify(), IsEmpty());
  Reopen();
  EXPECT_THAT(Verify(), IsEmpty());
}

TEST_F(VerifyTest, NamesWhatDiffers) {
  Begin(Mixed());
  FlipByte(layer_ + "/usr/bin/a");
  EXPECT_THAT(Verify(), ElementsAre("/usr/bin/a: contents differ"));
}

TEST_F(VerifyTest, NamesEachKindOfChange) {
  Begin(Mixed());
  ASSERT_EQ(::unlink((layer_ + "/etc/passwd").c_str()), 0);
  ASSERT_EQ(::chmod((layer_ + "/usr/bin").c_str(), 0755), 0);
  ASSERT_EQ(::setxattr((layer_ + "/usr/user").c_str(), "user.colour", "red", 3, 0), 0);
  ASSERT_EQ(::setxattr((layer_ + "/usr/bin/empty").c_str(), "user.new", "1", 1, 0), 0);
  ASSERT_EQ(::removexattr((layer_ + "/var").c_str(), "trusted.overlay.opaque"), 0);
  ASSERT_EQ(::lchown((layer_ + "/zz").c_str(), 7, 8), 0);
  ASSERT_EQ(::truncate((layer_ + "/usr/bin/a").c_str(), 5), 0);
  ASSERT_EQ(::unlink((layer_ + "/usr/gone").c_str()), 0);
  Write("images/layers/" + layer_.substr(layer_.rfind('/') + 1) + "/usr/extra", "?");
  const std::vector<std::string> found = Verify();
  for (const char* expected :
       {"/etc/passwd: is missing", "/usr/bin: mode is 0755, was 0750", "/usr/user: attribute user.colour differs",
        "/usr/bin/empty: has got the attribute user.new", "/var: has lost the attribute trusted.overlay.opaque",
        "/zz: owner is 7:8, was 0:0", "/usr/bin/a: has 5 bytes, had 3145728", "/usr/gone: is missing",
        "/usr/extra: was not there"})
    EXPECT_THAT(found, ::testing::Contains(expected));
}

TEST_F(VerifyTest, KeepsHolesAndSeesWhatIsWrittenIntoThem) {
  TarEntry sparse;
  sparse.name = "GNUSparseFile.0/holes";
  const std::string map = "2\n1048576\n5\n4194304\n5\n";
  sparse.data = map + std::string(512 - map.size(), '\0') + "firstlast.";
  sparse.pax = {{"GNU.sparse.major", "1"},
                {"GNU.sparse.minor", "0"},
                {"GNU.sparse.name", "holes"},
                {"GNU.sparse.realsize", "8388608"}};
  Begin(TarWriter().Add(sparse).File("after", "x"));
  EXPECT_EQ(Read(layer_ + "/holes").substr(1 << 20, 5), "first");
  EXPECT_THAT(Verify(), IsEmpty());
  EXPECT_TRUE(Export(id_).ok()) << Export(id_).status();
  const struct stat st = Stat(layer_ + "/holes");
  FlipByte(layer_ + "/holes");  // in its middle, which is where the second piece begins
  EXPECT_THAT(Verify(), ElementsAre("/holes: contents differ"));
  {
    std::fstream file(layer_ + "/holes", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 << 20).put('!');
  }
  const timespec times[2] = {st.st_atim, st.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, (layer_ + "/holes").c_str(), times, 0), 0);
  EXPECT_THAT(Verify(), ElementsAre("/holes: has contents where it had a hole"));
}

TEST_F(VerifyTest, ADamagedLayerIsUnpackedAnewBesideTheOldOne) {
  Begin(Mixed());
  FlipByte(layer_ + "/zz");
  EXPECT_THAT(Verify(), SizeIs(1));
  EXPECT_TRUE((*store_->Find(id_))->damaged);
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->Hold(id_, "second").status()));
  store_->Release("second");
  ASSERT_TRUE(Import(archive_).ok());
  EXPECT_FALSE((*store_->Find(id_))->damaged);
  EXPECT_THAT(Verify(), IsEmpty());
  const auto now = store_->Hold(id_, "third");
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_NE(now->front(), layer_);
  EXPECT_EQ(Read(now->front() + "/zz"), std::string(700, 'z'));
  EXPECT_EQ(Read(layer_ + "/usr/bin/a").size(), 3U << 20) << "what the first container has is gone";
}

TEST_F(VerifyTest, APullFetchesOnlyTheDamagedLayerAgain) {
  const auto image = test::MakeImage({TarWriter().File("a", "one").Bytes(), TarWriter().File("b", "two").Bytes()});
  test::HttpServer server([&](const test::Request& request) { return Answer(image, request); });
  const std::string ref = server.host() + "/a:1";
  ASSERT_TRUE(store_->Pull(ref, {}, nullptr).ok());
  const auto before = store_->Hold(image.config_digest, "container");
  ASSERT_TRUE(before.ok()) << before.status();
  FlipByte((*before)[0] + "/b");
  EXPECT_THAT(Verify(), ElementsAre("/b: contents differ"));
  const size_t asked = server.Requests().size();
  const auto again = store_->Pull(ref, {}, nullptr);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE((*again)->damaged);
  const std::vector<test::Request> requests = server.Requests();
  const auto layers_asked = [&](const std::string& digest) {
    return std::count_if(requests.begin() + static_cast<long>(asked), requests.end(),
                         [&](const test::Request& request) { return absl::StrContains(request.path, digest); });
  };
  EXPECT_EQ(layers_asked(image.layer_digests[0]), 0);
  EXPECT_EQ(layers_asked(image.layer_digests[1]), 1);
  EXPECT_THAT(Verify(), IsEmpty());
  const auto after = store_->Hold(image.config_digest, "next");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(Read((*after)[0] + "/b"), "two");
  EXPECT_EQ((*after)[1], (*before)[1]);
}

TEST_F(VerifyTest, TheOldDirectoryGoesWithItsLastContainerAlsoAfterARestart) {
  Begin(Mixed());
  FlipByte(layer_ + "/zz");
  EXPECT_THAT(Verify(), SizeIs(1));
  ASSERT_TRUE(Import(archive_).ok());
  EXPECT_THAT(Layers(), SizeIs(2));
  ReopenWithoutHolds();
  ASSERT_TRUE(store_->Hold(id_, "container").ok());
  store_->HoldsRestored();
  ASSERT_TRUE(store_->Verify({}).ok());  // behind whatever the start has left to do
  EXPECT_THAT(Layers(), SizeIs(2));
  store_->Release("container");
  EXPECT_THAT(LeftInStaging(), IsEmpty());
  EXPECT_THAT(Layers(), SizeIs(1));
  EXPECT_THAT(Entries(root_ + "/images/indexes"), SizeIs(1));
}

TEST_F(VerifyTest, ALayerThatIsGoneIsSeenWhenItIsUsed) {
  Begin(Mixed());
  store_->Release("container");
  ASSERT_TRUE(RemoveTree(AT_FDCWD, layer_).ok());
  const auto held = store_->Hold(id_, "next");
  EXPECT_TRUE(absl::IsFailedPrecondition(held.status())) << held.status();
  EXPECT_THAT(std::string(held.status().message()), HasSubstr("pull the image again"));
  store_->Release("next");
  ASSERT_TRUE(Import(archive_).ok());
  EXPECT_TRUE(store_->Hold(id_, "next").ok());
}

TEST_F(VerifyTest, ADamagedIndexIsDamageToo) {
  Begin(Mixed());
  FlipByte(root_ + "/images/indexes/" + layer_.substr(layer_.rfind('/') + 1));
  EXPECT_THAT(Verify(), ElementsAre(HasSubstr("index is damaged")));
  ASSERT_TRUE(Import(archive_).ok());
  EXPECT_THAT(Verify(), IsEmpty());
}

TEST_F(VerifyTest, AnExportKeepsIdAndBytesAndCanBeImported) {
  Begin(Mixed());
  auto out = Export("example.org/test:1");
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_THAT(*out, HasSubstr(Mixed().Bytes()));
  EXPECT_EQ(*Export(id_), *out);
  store_->Release("container");
  ASSERT_TRUE(store_->Remove(id_).ok());
  auto again = Import(*out);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->front()->id, id_);
  EXPECT_THAT(again->front()->repo_tags, ElementsAre("example.org/test:1"));
  EXPECT_THAT(Verify(), IsEmpty());
  EXPECT_EQ(*Export(id_), *out);
}

TEST_F(VerifyTest, AnExportOfADamagedLayerFails) {
  Begin(Mixed());
  FlipByte(layer_ + "/usr/bin/a");
  EXPECT_TRUE(absl::IsDataLoss(Export(id_).status())) << Export(id_).status();
}

TEST_F(VerifyTest, ALayerThatReplacesItsOwnFilesIsVerifiedButNotExported) {
  Begin(TarWriter().File("a", "first").File("b", "b").File("a", "second"));
  EXPECT_THAT(Verify(), IsEmpty());
  EXPECT_TRUE(absl::IsFailedPrecondition(Export(id_).status())) << Export(id_).status();
  FlipByte(layer_ + "/a");
  EXPECT_THAT(Verify(), ElementsAre("/a: contents differ"));
}

}  // namespace
}  // namespace wherry::image

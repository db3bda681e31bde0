// What a layer's directory looks like, entry by entry.
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::TarEntry;
using test::TarWriter;
using ::testing::IsEmpty;

class TreeTest : public StoreTest {
 protected:
  std::string Unpack(const TarWriter& tar) {
    auto dir = ImportLayer(tar);
    EXPECT_TRUE(dir.ok()) << dir.status();
    return dir.ok() ? *dir : "/nonexistent";
  }
  static bool IsWhiteout(const struct stat& st) { return S_ISCHR(st.st_mode) && st.st_rdev == 0; }
  static std::string Xattr(const std::string& path, const char* name) {
    char value[256];
    const ssize_t n = ::lgetxattr(path.c_str(), name, value, sizeof(value));
    return n < 0 ? "" : std::string(value, static_cast<size_t>(n));
  }
};

TEST_F(TreeTest, KeepsOwnersModesTimesAndTypes) {
  TarWriter tar;
  TarEntry e;
  e.name = "su";
  e.mode = 06755;
  e.uid = 0;
  e.gid = 42;
  e.data = "x";
  tar.Add(e);
  e.name = "big-uid";
  e.mode = 0640;
  e.uid = 4'000'000'000;
  e.pax["mtime"] = "1600000000.123456789";
  tar.Add(e);
  e = TarEntry();
  e.name = "null";
  e.type = '3';
  e.major = 1;
  e.minor = 3;
  e.mode = 0666;
  tar.Add(e);
  e.name = "fifo";
  e.type = '6';
  tar.Add(e);
  tar.Dir("tmp", 01777)
      .Dir("shared", 02775)
      .File("shared/file", "x")
      .Symlink("link", "/etc/../anywhere")
      .HardLink("hard", "su");
  const std::string dir = Unpack(tar);
  EXPECT_EQ(Stat(dir + "/su").st_mode, S_IFREG | 06755U);
  EXPECT_EQ(Stat(dir + "/su").st_gid, 42U);
  EXPECT_EQ(Stat(dir + "/su").st_ino, Stat(dir + "/hard").st_ino);
  EXPECT_EQ(Stat(dir + "/big-uid").st_uid, 4'000'000'000U);
  EXPECT_EQ(Stat(dir + "/big-uid").st_mtim.tv_nsec, 123456789);
  EXPECT_EQ(Stat(dir + "/null").st_rdev, ::makedev(1, 3));
  EXPECT_EQ(Stat(dir + "/null").st_mode, S_IFCHR | 0666U);
  EXPECT_EQ(Stat(dir + "/fifo").st_mode, S_IFIFO | 0666U);
  EXPECT_EQ(Stat(dir + "/tmp").st_mode, S_IFDIR | 01777U);
  EXPECT_EQ(Stat(dir + "/shared").st_mode, S_IFDIR | 02775U);
  EXPECT_EQ(Stat(dir + "/shared").st_mtime, 1'700'000'000);
  EXPECT_EQ(std::filesystem::read_symlink(dir + "/link"), "/etc/../anywhere");
}

TEST_F(TreeTest, WritesWhiteoutsInOverlayfsForm) {
  const std::string dir = Unpack(TarWriter()
                                     .File("etc/.wh.passwd", "")
                                     .File("opaque/.wh..wh..opq", "")
                                     .File("opaque/new", "x")
                                     .File(".wh..wh.plnk/1.2", "aufs")
                                     .File(".wh.again", "")
                                     .Dir("again")
                                     .Dir("before")
                                     .File(".wh.before", "")
                                     .File("kept", "x")
                                     .File(".wh.kept", ""));
  EXPECT_TRUE(IsWhiteout(Stat(dir + "/etc/passwd")));
  EXPECT_EQ(Xattr(dir + "/opaque", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(Read(dir + "/opaque/new"), "x");
  EXPECT_FALSE(std::filesystem::exists(dir + "/.wh..wh.plnk"));
  // Deleted below and made anew in the same layer, in either order: nothing of the lower one may show.
  EXPECT_TRUE(S_ISDIR(Stat(dir + "/again").st_mode));
  EXPECT_EQ(Xattr(dir + "/again", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(Xattr(dir + "/before", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(Read(dir + "/kept"), "x");
}

TEST_F(TreeTest, SetsAttributesThatImagesMayCarry) {
  TarEntry e;
  e.name = "ping";
  e.mode = 0755;
  e.uid = 7;  // chown comes before the capability, which it would clear
  e.pax["SCHILY.xattr.security.capability"] =
      std::string("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  e.pax["SCHILY.xattr.user.note"] = "a=b\nc";
  e.pax["SCHILY.xattr.security.selinux"] = "system_u:object_r:x:s0";
  const std::string dir = Unpack(TarWriter().Add(e));
  EXPECT_EQ(Xattr(dir + "/ping", "security.capability"), e.pax["SCHILY.xattr.security.capability"]);
  EXPECT_EQ(Xattr(dir + "/ping", "user.note"), "a=b\nc");
  EXPECT_EQ(Xattr(dir + "/ping", "security.selinux"), "");
}

TEST_F(TreeTest, LaterEntriesReplaceEarlierOnes) {
  const std::string dir = Unpack(TarWriter()
                                     .File("a", "first")
                                     .File("a", "second")
                                     .Dir("d")
                                     .File("d/x", "gone")
                                     .File("d", "a file now")
                                     .Symlink("s", "/etc")
                                     .Dir("s")
                                     .File("s/inside", "x")
                                     .Dir("m", 0700)
                                     .File("m/kept", "x")
                                     .Dir("m", 0750)
                                     .HardLink("a", "a"));
  EXPECT_EQ(Read(dir + "/a"), "second");
  EXPECT_EQ(Read(dir + "/d"), "a file now");
  EXPECT_TRUE(S_ISDIR(Stat(dir + "/s").st_mode));
  EXPECT_EQ(Read(dir + "/s/inside"), "x");
  EXPECT_EQ(Stat(dir + "/m").st_mode, S_IFDIR | 0750U);
  EXPECT_EQ(Read(dir + "/m/kept"), "x");
}

TEST_F(TreeTest, MakesMissingParentsAndKeepsOddNames) {
  const std::string long_name(200, 'n'), nfd = "cafe\xcc\x81", nfc = "caf\xc3\xa9", binary = "\xff\xfe";
  TarEntry e;
  e.name = "x";
  e.data = "nfd";
  TarWriter tar;
  tar.File("a/b/c/file", "deep")
      .File("dir/" + long_name, "long")
      .File("./dot//slash", "x")
      .File(binary, "bin")
      .File("sp ace\nline", "x");
  // In pax headers, where libarchive would normalise them in a UTF-8 locale.
  e.pax["path"] = nfd;
  tar.Add(e);
  e.data = "nfc";
  e.pax["path"] = nfc;
  tar.Add(e);
  const std::string dir = Unpack(tar);
  EXPECT_EQ(Stat(dir + "/a/b").st_mode, S_IFDIR | 0755U);
  EXPECT_EQ(Read(dir + "/a/b/c/file"), "deep");
  EXPECT_EQ(Read(dir + "/dir/" + long_name), "long");
  EXPECT_EQ(Read(dir + "/dot/slash"), "x");
  EXPECT_EQ(Read(dir + "/" + binary), "bin");
  EXPECT_EQ(Read(dir + "/sp ace\nline"), "x");
  EXPECT_EQ(Read(dir + "/" + nfd), "nfd");
  EXPECT_EQ(Read(dir + "/" + nfc), "nfc");
}

TEST_F(TreeTest, EmptyLayersAreLayers) {
  EXPECT_THAT(Entries(Unpack(TarWriter())), IsEmpty());
  test::ImageSpec image;
  image.layers = {""};  // not even an end mark
  image.name = "empty:1";
  auto images = Import(test::OciArchive({image}));
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_GT(images->front()->size, 0U);
}

}  // namespace
}  // namespace wherry::image

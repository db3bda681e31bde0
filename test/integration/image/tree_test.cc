// What a layer's directory looks like, entry by entry, and compared with what GNU tar makes of the same stream.
#include <spawn.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <random>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
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

int RunTool(std::vector<std::string> args) {
  std::vector<char*> argv;
  argv.reserve(args.size() + 1);
  for (std::string& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
  int status = -1;
  ::waitpid(pid, &status, 0);
  return status;
}

// Everything about a tree that stat(2), readlink(2) and read(2) can tell, except for inode numbers.
std::map<std::string, std::string> Describe(const std::string& root) {
  std::map<std::string, std::string> out;
  std::map<ino_t, std::string> first;
  std::vector<std::string> paths = {""};
  for (const auto& e : std::filesystem::recursive_directory_iterator(root))
    paths.push_back(e.path().string().substr(root.size()));
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    struct stat st {};
    ::lstat((root + path).c_str(), &st);
    std::string text =
        absl::StrCat(st.st_mode, " ", st.st_uid, ":", st.st_gid, " ", st.st_rdev, " ", path.empty() ? 0 : st.st_mtime);
    if (S_ISREG(st.st_mode)) {
      std::ostringstream data;
      data << std::ifstream(root + path, std::ios::binary).rdbuf();
      absl::StrAppend(&text, " ", st.st_size, " ", std::hash<std::string>()(data.str()));
      if (st.st_nlink > 1) absl::StrAppend(&text, " = ", first.emplace(st.st_ino, path).first->second);
    }
    for (const char* name : {"user.note", "security.capability"}) {
      char value[64];
      const ssize_t n = ::lgetxattr((root + path).c_str(), name, value, sizeof(value));
      if (n >= 0) absl::StrAppend(&text, " ", name, "=", absl::BytesToHexString({value, static_cast<size_t>(n)}));
    }
    if (S_ISLNK(st.st_mode)) absl::StrAppend(&text, " -> ", std::filesystem::read_symlink(root + path).string());
    out[path] = text;
  }
  return out;
}

std::vector<std::string> Differences(const std::map<std::string, std::string>& ours,
                                     const std::map<std::string, std::string>& theirs) {
  std::vector<std::string> out;
  for (const auto& [path, text] : ours) {
    auto it = theirs.find(path);
    if (it == theirs.end())
      out.push_back("only ours: " + path);
    else if (it->second != text)
      out.push_back(absl::StrCat(path, ": ", text, " | ", it->second));
  }
  for (const auto& [path, text] : theirs)
    if (ours.count(path) == 0) out.push_back("only theirs: " + path);
  return out;
}

// A tree with all that a layer may hold, from a seed.
void Grow(const std::string& root, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> dirs = {root}, files;
  for (int i = 0; i < 200; ++i) {
    const std::string path = absl::StrCat(dirs[random() % dirs.size()], "/",
                                          std::string(1 + random() % 120, static_cast<char>('a' + i % 26)), i);
    switch (random() % 8) {
      case 0:
        ::mkdir(path.c_str(), 0700 + random() % 64);
        dirs.push_back(path);
        break;
      case 1:
        EXPECT_EQ(::symlink("../some/where", path.c_str()), 0);
        break;
      case 2:
        if (files.empty()) continue;
        EXPECT_EQ(::link(files[random() % files.size()].c_str(), path.c_str()), 0);
        break;
      case 3:
        ::mknod(path.c_str(), S_IFCHR | 0600, ::makedev(1 + random() % 300, random() % 1000));
        break;
      default: {
        std::string data(random() % 20000, '\0');
        for (char& c : data) c = static_cast<char>(random());
        std::ofstream out(path, std::ios::binary);
        out << data;
        if (random() % 6 == 0) out.seekp(1 << 17) << "after a hole";
        files.push_back(path);
      }
    }
    EXPECT_EQ(::lchown(path.c_str(), random() % 5000, random() % 5000), 0);
    if (random() % 4 == 0 && !std::filesystem::is_symlink(path)) ::chmod(path.c_str(), random() % 010000);
    if (random() % 5 == 0 && std::filesystem::is_regular_file(std::filesystem::symlink_status(path))) {
      constexpr absl::string_view kCapability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
      const std::string note(random() % 30, static_cast<char>(random()));
      EXPECT_EQ(::setxattr(path.c_str(), "security.capability", kCapability.data(), kCapability.size(), 0), 0);
      EXPECT_EQ(::setxattr(path.c_str(), "user.note", note.data(), note.size(), 0), 0);
    }
    const timespec times[2] = {{0, UTIME_OMIT}, {static_cast<time_t>(random() % 1'700'000'000), 0}};
    ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
  }
}

class DifferentialTest : public TreeTest, public ::testing::WithParamInterface<const char*> {};

// The peer is GNU tar: it packs a random tree in one of its formats and unpacks it again; we unpack the same stream.
TEST_P(DifferentialTest, UnpacksAsGnuTarDoes) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    const std::string source = absl::StrCat(root_, "/source", seed), theirs = absl::StrCat(root_, "/theirs", seed);
    const std::string file = root_ + "/tree.tar";
    ASSERT_EQ(::mkdir(source.c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(theirs.c_str(), 0755), 0);
    Grow(source, seed);
    std::vector<std::string> pack = {"tar", absl::StrCat("--format=", GetParam()), "--sparse", "--numeric-owner"};
    if (absl::string_view(GetParam()) == "pax") pack.insert(pack.end(), {"--xattrs", "--xattrs-include=*"});
    pack.insert(pack.end(), {"-cf", file, "-C", source, "."});
    ASSERT_EQ(RunTool(pack), 0);
    ASSERT_EQ(RunTool({"tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", file, "-C", theirs}), 0);
    test::ImageSpec image;
    image.layers = {Read(file)};
    image.name = absl::StrCat("tree:", seed);
    auto images = Import(test::OciArchive({image}));
    ASSERT_TRUE(images.ok()) << images.status();
    auto dirs = store_->Hold(images->front()->id, "test");
    EXPECT_THAT(Differences(Describe(dirs->front()), Describe(theirs)), IsEmpty()) << "seed " << seed;
  }
}
INSTANTIATE_TEST_SUITE_P(Formats, DifferentialTest, ::testing::Values("gnu", "pax"));

}  // namespace
}  // namespace wherry::image

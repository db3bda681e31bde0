// What a layer's directory looks like, compared with what GNU tar makes of the same stream. GNU tar packs random trees, with all that a
// layer may hold, in each of its formats, and unpacks them again; here the same streams come as layers.
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "test/integration/image/store_fixture.h"
#include "test/integration/image/tree_description.h"

namespace wherry::image {
namespace {

using test::DescribeTree;
using test::Differences;
using ::testing::IsEmpty;

constexpr unsigned kSeeds = 4;
constexpr int kNodes = 60;

struct Format {
  const char* name;
  std::vector<std::string> options;
  size_t longest = 120;     // of a name; long names have a form of their own in each format
  bool attributes = false;  // has extended ones
  bool ancient = false;     // has times before 1970
  // It keeps all there is, so that the tree that was packed is the measure.
  bool lossless = false;
};

// A tree from a seed.
class Tree {
 public:
  Tree(std::string root, unsigned seed, const Format& format)
      : format_(format), random_(seed), dirs_({std::move(root)}) {
    for (int i = 0; i < kNodes; ++i) {
      const std::string name(1 + Throw(format_.longest), static_cast<char>('a' + i % 26));
      const std::string path = absl::StrCat(dirs_[Throw(dirs_.size())], "/", name, i);
      if (Make(path)) Decorate(path);
    }
    // At last, since entries change their directory's time.
    for (const std::string& dir : dirs_) SetTime(dir);
  }
  const std::vector<std::string>& files() const { return files_; }

 private:
  static void Check(int rc) { EXPECT_EQ(rc, 0) << strerror(errno); }
  size_t Throw(size_t sides) { return random_() % sides; }

  bool Make(const std::string& path) {
    const size_t depth = static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
    switch (Throw(10)) {
      case 0:
        // ustar has 255 bytes for a path, and 100 for the target of a hard link.
        if (format_.longest < 100 && depth > 6) return false;
        dirs_.push_back(path);
        return ::mkdir(path.c_str(), 0700) == 0;
      case 1:
        return ::symlink("../some/where", path.c_str()) == 0;
      case 2:
        if (!files_.empty()) Check(::link(files_[Throw(files_.size())].c_str(), path.c_str()));
        return false;
      case 3:
        return ::mknod(path.c_str(), S_IFCHR | 0600, ::makedev(1 + Throw(300), Throw(1000))) == 0;
      case 4:
        return ::mknod(path.c_str(), S_IFBLK | 0600, ::makedev(1 + Throw(300), Throw(1000))) == 0;
      case 5:
        return ::mkfifo(path.c_str(), 0600) == 0;
      default:
        WriteFile(path);
        return true;
    }
  }

  void WriteFile(const std::string& path) {
    std::string data(Throw(20000), '\0');
    for (char& c : data) c = static_cast<char>(random_());
    std::ofstream out(path, std::ios::binary);
    out << data;
    for (size_t hole = 0, holes = Throw(6) == 0 ? 1 + Throw(20) : 0; hole < holes; ++hole)
      out.seekp(static_cast<std::streamoff>((1 + hole) << 15)) << "after a hole";
    out.close();
    if (Throw(8) == 0) Check(::truncate(path.c_str(), 1 << 20));
    files_.push_back(path);
  }

  void Decorate(const std::string& path) {
    Check(::lchown(path.c_str(), static_cast<uid_t>(Throw(5000)), static_cast<gid_t>(Throw(5000))));
    const auto status = std::filesystem::symlink_status(path);
    if (Throw(4) == 0 && !std::filesystem::is_symlink(status))
      Check(::chmod(path.c_str(), static_cast<mode_t>(Throw(010000))));
    if (format_.attributes && Throw(4) == 0) {
      const std::string note(Throw(30), static_cast<char>(random_()));
      if (std::filesystem::is_regular_file(status) || std::filesystem::is_directory(status))
        Check(::setxattr(path.c_str(), "user.note", note.data(), note.size(), 0));
      constexpr absl::string_view kCapability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
      if (std::filesystem::is_regular_file(status))
        Check(::setxattr(path.c_str(), "security.capability", kCapability.data(), kCapability.size(), 0));
    }
    SetTime(path);
  }

  void SetTime(const std::string& path) {
    const timespec times[2] = {{0, UTIME_OMIT},
                               {static_cast<time_t>(Throw(1'700'000'000)) - (format_.ancient ? 300'000'000 : 0),
                                static_cast<long>(Throw(1'000'000'000))}};
    Check(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW));
  }

  const Format& format_;
  std::mt19937 random_;
  std::vector<std::string> dirs_, files_;
};

class GnuTarTest : public StoreTest, public ::testing::WithParamInterface<Format> {};

TEST_P(GnuTarTest, UnpacksAsGnuTarDoes) {
  const std::vector<std::string> attributes = {"--xattrs", "--xattrs-include=*"};
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const std::string source = absl::StrCat(root_, "/source", seed), theirs = absl::StrCat(root_, "/theirs", seed);
    const std::string file = root_ + "/tree.tar";
    ASSERT_EQ(::mkdir(source.c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(theirs.c_str(), 0755), 0);
    const Tree tree(source, seed, GetParam());
    std::vector<std::string> pack = {"tar", "--warning=no-timestamp", "--numeric-owner", "-cf", file, "-C", source};
    pack.insert(pack.end(), GetParam().options.begin(), GetParam().options.end());
    if (GetParam().attributes) pack.insert(pack.end(), attributes.begin(), attributes.end());
    pack.emplace_back(".");
    ASSERT_EQ(Tool(pack), 0);
    ASSERT_EQ(Tool({"tar", "--warning=no-timestamp", attributes[0], attributes[1], "--numeric-owner", "-xpf", file,
                    "-C", theirs}),
              0);
    test::ImageSpec image;
    image.layers = {Read(file)};
    image.name = absl::StrCat("tree:", seed);
    auto images = Import(test::OciArchive({image}));
    ASSERT_TRUE(images.ok()) << images.status();
    const auto dirs = store_->Hold(images->front()->id, "test");
    ASSERT_TRUE(dirs.ok());
    EXPECT_THAT(Differences(DescribeTree(dirs->front()), DescribeTree(GetParam().lossless ? source : theirs)),
                IsEmpty());
    for (const std::string& path : tree.files())
      EXPECT_EQ(test::DataOf(dirs->front() + path.substr(source.size())),
                test::DataOf(theirs + path.substr(source.size())));
  }
}

std::vector<Format> Formats() {
  const auto sparse = [](const char* name, const char* version) {
    return Format{.name = name, .options = {"--format=pax", "--sparse", version}, .attributes = true};
  };
  return {
      {.name = "ustar", .options = {"--format=ustar"}, .longest = 20},
      {.name = "gnu", .options = {"--format=gnu", "--sparse"}, .ancient = true},
      {.name = "oldgnu", .options = {"--format=oldgnu", "--sparse"}, .ancient = true},
      {.name = "pax", .options = {"--format=pax"}, .attributes = true, .ancient = true, .lossless = true},
      sparse("sparse00", "--sparse-version=0.0"),
      sparse("sparse01", "--sparse-version=0.1"),
      sparse("sparse10", "--sparse-version=1.0"),
  };
}
INSTANTIATE_TEST_SUITE_P(Formats, GnuTarTest, ::testing::ValuesIn(Formats()),
                         [](const auto& format) { return format.param.name; });

}  // namespace
}  // namespace wherry::image

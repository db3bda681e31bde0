// An image as builders make them of Debian: its root file system, what a package added, what a removal took away, each of the later ones
// as the difference to the one before, with whiteouts and an opaque directory. Pulled from Debian's docker-registry and mounted, it
// is the tree that it was made of.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "test/integration/image/docker_registry.h"
#include "test/integration/image/store_fixture.h"
#include "test/integration/image/tree_description.h"

namespace wherry::image {
namespace {

using test::DescribeTree;
using test::DockerRegistry;
using ::testing::Each;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Nodes = std::map<std::string, test::Node>;

std::string Parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

// What a layer says that turns one tree into the next.
class Difference {
 public:
  Difference(const Nodes& before, const Nodes& after) {
    for (const auto& [path, node] : after) {
      auto old = before.find(path);
      // A file with several names goes with all of them.
      if (old == before.end() || old->second.text != node.text || old->second.first != node.first)
        changed_.insert(node.first);
    }
    // And with the directories on the way to it.
    std::set<std::string> names;
    for (const auto& [path, node] : after)
      if (changed_.count(node.first) != 0)
        for (std::string way = path; names.insert(way).second && !way.empty();) way = Parent(way);
    for (const std::string& name : names) names_.push_back("." + name);
    std::set<std::string> kept;  // directories of which something is as it was
    for (const auto& [path, node] : before)
      if (!path.empty() && after.count(path) != 0) kept.insert(Parent(path));
    for (const auto& [path, node] : before) {
      if (path.empty() || after.count(path) != 0) continue;
      const std::string dir = Parent(path);
      auto parent = after.find(dir);
      if (parent == after.end() || !parent->second.directory) continue;  // gone with its directory
      if (kept.count(dir) == 0)
        opaque_.insert(dir + "/.wh..wh..opq");
      else
        whiteouts_.insert(absl::StrCat(dir, "/.wh.", path.substr(dir.size() + 1)));
    }
  }
  const std::vector<std::string>& names() const { return names_; }
  const std::set<std::string>& whiteouts() const { return whiteouts_; }
  const std::set<std::string>& opaque() const { return opaque_; }

 private:
  std::set<std::string> changed_, whiteouts_, opaque_;
  std::vector<std::string> names_;
};

class DebianImageTest : public StoreTest {
 protected:
  void SetUp() override {
    if (::access(WHERRY_DEBIAN_IMAGE "/complete", F_OK) != 0)
      GTEST_SKIP() << "there is no " WHERRY_DEBIAN_IMAGE ": hack/debian-image.sh makes it, where there is a network";
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    // All in memory: six trees and archives of 150 MB would otherwise wait for the disk.
    ASSERT_EQ(::mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"), 0);
    StoreTest::SetUp();
  }
  void TearDown() override {
    if (!mounted_.empty()) ::umount2(mounted_.c_str(), MNT_DETACH);
    StoreTest::TearDown();
    if (!root_.empty()) ::umount2("/tmp", MNT_DETACH);
  }

  // One state of the root file system, as GNU tar unpacks it.
  Nodes Unpack(int state) {
    const std::string dir = Tree(state);
    EXPECT_EQ(::mkdir(dir.c_str(), 0755), 0);
    EXPECT_EQ(Tool({"tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf",
                    absl::StrCat(WHERRY_DEBIAN_IMAGE "/", state, ".tar"), "-C", dir}),
              0);
    return DescribeTree(dir);
  }
  std::string Tree(int state) const { return absl::StrCat(root_, "/tree", state); }

  // The layer's tar stream.
  std::string Pack(int state, const Difference& difference) {
    const std::string file = absl::StrCat(root_, "/layer", state, ".tar");
    std::vector<std::string> names = difference.names();
    names.emplace_back();
    EXPECT_EQ(
        Tool({"tar", "--format=pax", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--no-recursion", "-cf", file,
              "-C", Tree(state), "--null", "-T", Write("names", absl::StrJoin(names, absl::string_view("\0", 1)))}),
        0);
    const std::string tar = Read(file);
    test::TarWriter deletions;
    for (const std::string& name : difference.opaque()) deletions.File(name.substr(1), "");
    for (const std::string& name : difference.whiteouts()) deletions.File(name.substr(1), "");
    return deletions.Entries() + tar;
  }

  Nodes Mount(const std::vector<std::string>& layers) {
    mounted_ = root_ + "/merged";
    EXPECT_EQ(::mkdir(mounted_.c_str(), 0755), 0);
    const std::string options = "lowerdir=" + absl::StrJoin(layers, ":");
    EXPECT_EQ(::mount("overlay", mounted_.c_str(), "overlay", MS_RDONLY, options.c_str()), 0) << errno;
    return DescribeTree(mounted_);
  }

  std::string mounted_;
};

TEST_F(DebianImageTest, IsTheTreeThatItWasMadeOf) {
  const Nodes first = Unpack(1), second = Unpack(2), third = Unpack(3);
  const Difference base({}, first), added(first, second), removed(second, third);
  EXPECT_THAT((std::vector<size_t>{added.names().size(), removed.whiteouts().size(), removed.opaque().size()}),
              Each(Gt(0U)));
  const auto image = test::MakeImage({Pack(1, base), Pack(2, added), Pack(3, removed)});
  DockerRegistry registry(root_);
  registry.Push(image, "debian", "1");
  const auto pulled = store_->Pull(registry.host() + "/debian:1", {}, nullptr);
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  const auto layers = store_->Hold((*pulled)->id, "test");
  ASSERT_TRUE(layers.ok()) << layers.status();
  ASSERT_THAT(*layers, SizeIs(3));
  EXPECT_THAT(test::Differences(DescribeTree(layers->back()), first), IsEmpty());
  EXPECT_THAT(test::Differences(Mount(*layers), third), IsEmpty());
  ::umount2(mounted_.c_str(), MNT_DETACH);
  ::rmdir(mounted_.c_str());
  EXPECT_THAT(test::Differences(Mount({(*layers)[1], (*layers)[2]}), second), IsEmpty());
}

}  // namespace
}  // namespace wherry::image

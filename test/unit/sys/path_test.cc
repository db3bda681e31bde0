#include "runtime/sys/path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::sys {
namespace {

namespace fs = std::filesystem;

class PathTest : public ::testing::Test {
 protected:
  PathTest() {
    base_ = ::testing::TempDir() + "wherry-path-" + std::to_string(::getpid());
    fs::create_directories(base_ + "/root/dir");
    std::ofstream(base_ + "/root/file") << "inside";
    std::ofstream(base_ + "/secret") << "outside";
    root_ = *OpenAt(AT_FDCWD, base_ + "/root", O_PATH | O_DIRECTORY);
  }
  ~PathTest() override { fs::remove_all(base_); }

  void Link(const std::string& target, const std::string& name) { fs::create_symlink(target, base_ + "/root/" + name); }
  bool Exists(const std::string& path) { return fs::exists(fs::symlink_status(base_ + "/" + path)); }
  bool Ensure(const std::string& path, bool directory = true) {
    return EnsureInRoot(root_.get(), path, directory).ok();
  }

  std::string base_;
  UniqueFd root_;
};

TEST_F(PathTest, NothingLeadsOutOfARoot) {
  Link("/secret", "absolute");
  Link("../secret", "relative");
  Link("/proc/self/root", "magic");
  EXPECT_TRUE(OpenInRoot(root_.get(), "../../../file", O_PATH).ok());
  for (const char* path : {"absolute", "relative", "../secret", "dir/../../secret"})
    EXPECT_TRUE(IsErrno(OpenInRoot(root_.get(), path, O_PATH).status(), ENOENT)) << path;
  EXPECT_FALSE(OpenInRoot(root_.get(), "magic", O_PATH).ok());
}

TEST_F(PathTest, BeneathFollowsNoLinkAtAll) {
  Link("file", "link");
  Link("dir", "dirlink");
  EXPECT_TRUE(OpenBeneath(root_.get(), "file", O_PATH).ok());
  for (const char* path : {"link", "dirlink/..", "../secret", "/file"})
    EXPECT_FALSE(OpenBeneath(root_.get(), path, O_PATH).ok()) << path;
}

TEST_F(PathTest, MissingTargetsAreMade) {
  EXPECT_TRUE(Ensure("/a/b/c"));
  EXPECT_TRUE(fs::is_directory(base_ + "/root/a/b/c"));
  EXPECT_TRUE(Ensure("/a/b/f", false));
  EXPECT_TRUE(fs::is_regular_file(base_ + "/root/a/b/f"));
  EXPECT_TRUE(Ensure("/../../x"));
  EXPECT_TRUE(Exists("root/x"));
  EXPECT_FALSE(Exists("x"));
  EXPECT_FALSE(Ensure("/file/below"));
}

TEST_F(PathTest, DanglingLinksAreFollowedInside) {
  Link("/run", "var");               // /run is missing
  Link("../../../new/there", "up");  // so is /new
  Link("loop", "loop");
  EXPECT_TRUE(Ensure("/var/lock/x"));
  EXPECT_TRUE(fs::is_directory(base_ + "/root/run/lock/x"));
  EXPECT_TRUE(Ensure("/up/file", false));
  EXPECT_TRUE(fs::is_regular_file(base_ + "/root/new/there/file"));
  EXPECT_FALSE(Exists("new"));
  EXPECT_FALSE(Ensure("/loop/x"));
}

}  // namespace
}  // namespace wherry::sys

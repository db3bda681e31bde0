#include "runtime/security/user.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/security/accounts.h"
#include "runtime/sys/file.h"

namespace wherry::security {
namespace {

class UserTest : public ::testing::Test {
 protected:
  UserTest() {
    root_ = ::testing::TempDir() + "wherry-user-" + std::to_string(::getpid());
    std::filesystem::create_directories(root_ + "/etc");
    Write("passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n");
    Write("group", "root:x:0:\napp:x:1001:\nwheel:x:10:root,app\nwheels:x:11:apple\n");
  }
  ~UserTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(root_ + "/etc/" + name) << text; }

  absl::StatusOr<ResolvedUser> Resolve(const std::string& user, bool merge = true) {
    shim::v1::UserSpec spec;
    spec.set_user(user);
    spec.set_merge_image_groups(merge);
    return Resolve(spec);
  }
  absl::StatusOr<ResolvedUser> Resolve(const shim::v1::UserSpec& spec) {
    auto root = sys::OpenAt(AT_FDCWD, root_, O_PATH | O_DIRECTORY);
    return ResolveUser(root->get(), spec);
  }
  // "uid:gid:groups:home", or the error's code.
  std::string Text(const absl::StatusOr<ResolvedUser>& user) {
    if (!user.ok()) return absl::StatusCodeToString(user.status().code());
    std::string text = std::to_string(user->user.uid()) + ":" + std::to_string(user->user.gid()) + ":";
    for (uint32_t group : user->user.groups()) text += std::to_string(group) + ",";
    return text + ":" + user->home;
  }

  std::string root_;
};

TEST_F(UserTest, EveryFormOfUserAndGroup) {
  EXPECT_EQ(Text(Resolve("")), "0:0:0,10,:/root");
  EXPECT_EQ(Text(Resolve("app")), "1000:1001:10,1001,:/home/app");
  EXPECT_EQ(Text(Resolve("1000")), "1000:1001:10,1001,:/home/app");
  EXPECT_EQ(Text(Resolve("app:wheel")), "1000:10:10,:/home/app");
  EXPECT_EQ(Text(Resolve("app:77")), "1000:77:10,77,:/home/app");
  EXPECT_EQ(Text(Resolve("4242")), "4242:0:0,:/");
  EXPECT_EQ(Text(Resolve("4242:wheel")), "4242:10:10,:/");
  EXPECT_EQ(Text(Resolve(":wheel")), "0:10:10,:/root");
  EXPECT_EQ(Text(Resolve("app", false)), "1000:1001:1001,:/home/app");
}

TEST_F(UserTest, UnknownAndImpossibleOnesAreRefused) {
  for (const char* user : {"nobody", "app:nogroup", "4294967295", "4294967296", "99999999999999999999", "0:4294967296",
                           "-1", "app:wheel:x", "0x10", " 0", "1000 "})
    EXPECT_EQ(Text(Resolve(user)), "INVALID_ARGUMENT") << user;
}

TEST_F(UserTest, ANumberIsNeverAName) {
  Write("passwd", "1000:x:0:0::/root:/bin/sh\n4294967296:x:0:0::/root:/bin/sh\n");
  EXPECT_EQ(Text(Resolve("1000")), "1000:0:0,:/");
  EXPECT_EQ(Text(Resolve("4294967296")), "INVALID_ARGUMENT");
}

TEST_F(UserTest, TheRequestsFieldsWin) {
  shim::v1::UserSpec spec;
  spec.set_user("app");
  spec.set_fixed_uid(7);
  spec.set_gid(8);
  spec.add_additional_groups(9);
  spec.set_merge_image_groups(true);
  EXPECT_EQ(Text(Resolve(spec)), "7:8:8,9,10,:/home/app");
  spec.set_fixed_uid(4294967295U);
  EXPECT_EQ(Text(Resolve(spec)), "INVALID_ARGUMENT");
}

TEST_F(UserTest, MalformedLinesAreNoUsers) {
  Write("passwd", "app\napp:x\napp:x:-1:0::/:\napp:x:0x10:0::/:\napp:x:4294967295:0::/:\n:x:5:5::/:/\n");
  EXPECT_EQ(Text(Resolve("app")), "INVALID_ARGUMENT");
  EXPECT_EQ(Text(Resolve("5")), "5:0:0,:/");
}

TEST_F(UserTest, AHomeWithControlBytesIsNotTaken) {
  Write("passwd", "app:x:1:1::/home/\x1b[2J:/bin/sh\nrel:x:2:2::home:/bin/sh\n");
  EXPECT_EQ(Text(Resolve("app", false)), "1:1:1,:/");
  EXPECT_EQ(Text(Resolve("rel")), "2:2:2,:/");
}

TEST_F(UserTest, AnImageWithoutFilesHasOnlyNumbers) {
  std::filesystem::remove_all(root_ + "/etc");
  EXPECT_EQ(Text(Resolve("")), "0:0:0,:/");
  EXPECT_EQ(Text(Resolve("12:34")), "12:34:34,:/");
  EXPECT_EQ(Text(Resolve("root")), "INVALID_ARGUMENT");
}

TEST_F(UserTest, FilesThatAreTraps) {
  const std::string passwd = root_ + "/etc/passwd";
  std::filesystem::remove(passwd);
  ASSERT_EQ(::mkfifo(passwd.c_str(), 0644), 0);  // would block whoever opens it
  EXPECT_EQ(Text(Resolve("app")), "FAILED_PRECONDITION");
  std::filesystem::remove(passwd);
  std::filesystem::create_symlink("/dev/zero", passwd);  // inside the root there is none
  EXPECT_EQ(Text(Resolve("app")), "INVALID_ARGUMENT");
  std::filesystem::remove(passwd);
  Write("passwd", "");
  ASSERT_EQ(::truncate(passwd.c_str(), (10 << 20) + 1), 0);
  EXPECT_EQ(Text(Resolve("app")), "FAILED_PRECONDITION");
  ASSERT_EQ(::truncate(passwd.c_str(), 5 << 20), 0);  // one line of 5 MiB
  EXPECT_EQ(Text(Resolve("app")), "FAILED_PRECONDITION");
}

// As in a container whose /etc/passwd is masked: commands that are run there later come with all numbers.
TEST_F(UserTest, AnUnusableFileCostsOnlyTheHomeWhereAllNumbersAreKnown) {
  std::filesystem::remove(root_ + "/etc/passwd");
  ASSERT_EQ(::mkfifo((root_ + "/etc/passwd").c_str(), 0644), 0);
  shim::v1::UserSpec spec;
  spec.set_fixed_uid(1000);
  spec.set_gid(1001);
  spec.add_additional_groups(50);
  EXPECT_EQ(Text(Resolve(spec)), "1000:1001:50,1001,:/");
  spec.set_merge_image_groups(true);
  EXPECT_EQ(Text(Resolve(spec)), "FAILED_PRECONDITION") << "its groups are not known";
  spec.set_merge_image_groups(false);
  spec.clear_gid();
  EXPECT_EQ(Text(Resolve(spec)), "FAILED_PRECONDITION") << "its group is not known";
}

TEST_F(UserTest, TheLastLineNeedsNoNewline) {
  Write("passwd", "a:x:1:1::/:/\nb:x:2:2::/:/");
  EXPECT_EQ(Text(Resolve("b")), "2:2:2,:/");
}

}  // namespace
}  // namespace wherry::security

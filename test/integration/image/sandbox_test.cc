// What a wherry-pull can still do while it holds foreign bytes: it is stopped where it waits for wherryd's answer, and looked at from
// outside.
#include <fcntl.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cri/image/channel.h"
#include "cri/image/pull_process.h"
#include "runtime/sys/file.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class SandboxTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    test::ImageSpec image;
    image.layers = {test::TarWriter().File("f", "x").Bytes()};
    auto archive = sys::OpenAt(AT_FDCWD, Write("archive.tar", test::OciArchive({image})), O_RDONLY);
    auto staging = sys::OpenAt(AT_FDCWD, root_ + "/images/staging", O_RDONLY | O_DIRECTORY);
    auto lock = sys::OpenAt(AT_FDCWD, root_ + "/images/pull.lock", O_RDWR);
    ASSERT_TRUE(archive.ok() && staging.ok() && lock.ok());
    auto pull = PullProcess::Start(WHERRY_PULL, {archive->get(), staging->get(), lock->get()});
    ASSERT_TRUE(pull.ok()) << pull.status();
    pull_ = std::make_unique<PullProcess>(std::move(*pull));
    auto plan = Receive(pull_->control());
    ASSERT_TRUE(plan.ok() && plan->has_plan());
    ASSERT_THAT(Pulls(), SizeIs(1));
    proc_ = absl::StrCat("/proc/", Pulls()[0]);
  }
  void TearDown() override {
    pull_.reset();
    StoreTest::TearDown();
  }

  std::unique_ptr<PullProcess> pull_;
  std::string proc_;
};

TEST_F(SandboxTest, SeesNoFilesButItsOwn) {
  EXPECT_EQ(std::filesystem::read_symlink(proc_ + "/root"), root_ + "/images/staging");
  EXPECT_EQ(std::filesystem::read_symlink(proc_ + "/cwd"), root_ + "/images/staging");
  for (const std::string& fd : Entries(proc_ + "/fd"))
    EXPECT_LE(std::stoi(fd), kLockFd) << std::filesystem::read_symlink(proc_ + "/fd/" + fd);
}

TEST_F(SandboxTest, HasNoNetwork) {
  EXPECT_NE(std::filesystem::read_symlink(proc_ + "/ns/net"), std::filesystem::read_symlink("/proc/self/ns/net"));
  const std::string interfaces = Read(proc_ + "/net/dev");
  EXPECT_THAT(interfaces, HasSubstr("lo:"));
  EXPECT_EQ(std::count(interfaces.begin(), interfaces.end(), '\n'), 3) << interfaces;
}

TEST_F(SandboxTest, KeepsFewCapabilitiesInEveryThread) {
  // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SYS_ADMIN, MKNOD, SETFCAP.
  for (const std::string& tid : Entries(proc_ + "/task")) {
    const std::string status = Read(proc_ + "/task/" + tid + "/status");
    EXPECT_THAT(status, HasSubstr("CapEff:\t000000008820001b"));
    EXPECT_THAT(status, HasSubstr("CapPrm:\t000000008820001b"));
    EXPECT_THAT(status, HasSubstr("CapBnd:\t000000008820001b"));
    EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
    EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
  }
}

}  // namespace
}  // namespace wherry::image

// Power cuts: the store lies on an ext4 file system of its own, which is shut down in the middle of an import by EXT4_IOC_SHUTDOWN without
// flushing its log. From that moment nothing reaches the disk any more, neither data nor journal, as when the power goes; what was not
// synced is lost. After a mount that replays the journal, the store has the whole image or nothing of it.
#include <linux/types.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::ImageSpec;
using test::TarWriter;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr unsigned long kShutdown = _IOR('X', 125, __u32);  // EXT4_IOC_SHUTDOWN, fs/ext4/ext4.h
constexpr __u32 kNoLogFlush = 2;
constexpr int kLayers = 3, kFiles = 60;

class PowerLossTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    store_.reset();
    base_ = root_;
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const std::string image = Write("disk.img", "");
    ASSERT_EQ(::truncate(image.c_str(), 96 << 20), 0);
    ASSERT_EQ(Tool({"mkfs.ext4", "-q", "-F", image}), 0);
    ASSERT_EQ(::mkdir((base_ + "/disk").c_str(), 0700), 0);
    archive_ = Write("archive.tar", test::OciArchive({Image()}));
    PowerOn();
  }
  void TearDown() override {
    store_.reset();
    if (base_.empty()) return;
    ::umount2((base_ + "/disk").c_str(), MNT_DETACH);
    root_ = base_;
    StoreTest::TearDown();
  }

  static ImageSpec Image() {
    ImageSpec image;
    for (int layer = 0; layer < kLayers; ++layer) {
      TarWriter tar;
      for (int i = 0; i < kFiles; ++i) tar.File(absl::StrCat("l", layer, "/f", i), Contents(layer, i));
      image.layers.push_back(tar.Bytes());
    }
    return image;
  }
  static std::string Contents(int layer, int i) { return std::string(2000 + 500 * i, static_cast<char>('a' + layer)); }

  void PowerOn() {
    root_ = base_ + "/disk";
    ASSERT_EQ(Tool({"mount", "-o", "loop", base_ + "/disk.img", root_}), 0);
  }
  // The file system is dead; those who use it find out by themselves.
  void PowerOff() {
    const int dir = ::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    __u32 flags = kNoLogFlush;
    ASSERT_EQ(::ioctl(dir, kShutdown, &flags), 0) << "EXT4_IOC_SHUTDOWN: " << errno;
    ::close(dir);
  }
  // An orphaned wherry-pull keeps it busy until it has seen its socket close.
  void Unmount() {
    for (int i = 0; ::umount(root_.c_str()) != 0; ++i) {
      ASSERT_EQ(errno, EBUSY);
      ASSERT_LT(i, 2000);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  void ExpectWholeImage() {
    auto dirs = store_->Hold(store_->List().front()->id, "test");
    ASSERT_TRUE(dirs.ok());
    ASSERT_THAT(*dirs, SizeIs(kLayers));
    for (int layer = 0; layer < kLayers; ++layer)
      for (int i = 0; i < kFiles; ++i)
        ASSERT_EQ(Read(absl::StrCat((*dirs)[kLayers - 1 - layer], "/l", layer, "/f", i)), Contents(layer, i));
    store_->Release("test");
  }

  std::string base_, archive_;
};

TEST_F(PowerLossTest, LeavesTheOldStateOrTheNew) {
  bool whole = false;
  int rounds = 0, nothing = 0;
  for (int wait_ms = 0; !whole && rounds < 40; ++rounds, wait_ms += 5 + wait_ms / 3) {
    const pid_t child = StartImport(archive_);
    std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
    PowerOff();
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    Unmount();
    PowerOn();
    Reopen();
    whole = !store_->List().empty();
    nothing += whole ? 0 : 1;
    if (whole) ExpectWholeImage();
    EXPECT_THAT(Layers(), SizeIs(whole ? kLayers : 0)) << "after " << wait_ms << " ms";
    EXPECT_THAT(LeftInStaging(), IsEmpty()) << "after " << wait_ms << " ms";
  }
  EXPECT_TRUE(whole);
  EXPECT_GT(nothing, 1);
}

TEST_F(PowerLossTest, WhatWasSaidToBeDoneIsDone) {
  for (int i = 0; i < 3; ++i) {
    Reopen();
    ASSERT_TRUE(store_->Import(archive_, {}).ok());
    PowerOff();
    store_.reset();
    Unmount();
    PowerOn();
    Reopen();
    ASSERT_THAT(store_->List(), SizeIs(1));
    ExpectWholeImage();
    ASSERT_TRUE(store_->Tag("example.org/test:1", "example.org/test:2", false).ok());
    ASSERT_TRUE(store_->Untag("example.org/test:1").ok());
    PowerOff();
    store_.reset();
    Unmount();
    PowerOn();
    Reopen();
    EXPECT_TRUE(store_->Find("example.org/test:2").ok());
    EXPECT_FALSE(store_->Find("example.org/test:1").ok());
    ASSERT_TRUE(store_->Remove("example.org/test:2").ok());
    EXPECT_THAT(LeftInStaging(), IsEmpty());
  }
}

}  // namespace
}  // namespace wherry::image

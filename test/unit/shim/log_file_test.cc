#include "runtime/shim/log_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "gtest/gtest.h"

namespace wherry::shim {
namespace {

class LogFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/wherry-log-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  v1::Log At(const std::string& path) {
    v1::Log log;
    log.set_directory(dir_ + "/pods/p");
    log.set_path(path);
    return log;
  }
  std::string Read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(dir_ + "/pods/p/" + path).rdbuf();
    return text.str();
  }
  std::string dir_;
};

TEST_F(LogFileTest, MakesDirectoriesAndAppends) {
  for (const char* line : {"one\n", "two\n"}) {
    auto file = LogFile::Open(At("c/0.log"));
    ASSERT_TRUE(file.ok()) << file.status();
    file->Write(line);
  }
  EXPECT_EQ(Read("c/0.log"), "one\ntwo\n");
}

TEST_F(LogFileTest, PathsThatLeaveAreRefused) {
  for (const char* path : {"/etc/x", "../x", "c/../../x", "c//x", "./x", "c/.", "x/"})
    EXPECT_TRUE(absl::IsInvalidArgument(LogFile::Open(At(path)).status())) << path;
  v1::Log relative = At("x");
  relative.set_directory("logs");
  EXPECT_TRUE(absl::IsInvalidArgument(LogFile::Open(relative).status()));
}

TEST_F(LogFileTest, SymlinksAreRefusedAtEveryStep) {
  std::filesystem::create_directories(dir_ + "/pods/p");
  std::filesystem::create_directories(dir_ + "/target");
  std::filesystem::create_symlink(dir_ + "/target", dir_ + "/pods/p/c");
  EXPECT_FALSE(LogFile::Open(At("c/0.log")).ok());
  std::filesystem::create_symlink(dir_ + "/target/file", dir_ + "/pods/p/link");
  EXPECT_TRUE(absl::IsInvalidArgument(LogFile::Open(At("link")).status()));
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/target"));
}

TEST_F(LogFileTest, AFifoDoesNotBlock) {
  std::filesystem::create_directories(dir_ + "/pods/p");
  ASSERT_EQ(::mkfifo((dir_ + "/pods/p/fifo").c_str(), 0600), 0);
  EXPECT_FALSE(LogFile::Open(At("fifo")).ok());
  const int reader = ::open((dir_ + "/pods/p/fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_TRUE(absl::IsInvalidArgument(LogFile::Open(At("fifo")).status()));
  ::close(reader);
}

TEST_F(LogFileTest, NoPathIsNoLog) {
  auto file = LogFile::Open(v1::Log());
  ASSERT_TRUE(file.ok());
  file->Write("text\n");
  EXPECT_TRUE(file->Reopen().ok());
  EXPECT_EQ(file->bytes_dropped(), 0U);
}

// A file size limit gives the same short writes and errors as a full disk.
TEST_F(LogFileTest, LossIsCountedAnnouncedAndOver) {
  auto file = LogFile::Open(At("log"));
  ASSERT_TRUE(file.ok());
  auto* old_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit limit{10, old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  file->Write("first\nsecond\nthird\n");
  file->Write("fourth\n");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(Read("log"), "first\n");
  EXPECT_EQ(file->bytes_dropped(), std::string("second\nthird\nfourth\n").size());
  file->Write("fifth\n");
  file->Write("sixth\n");
  const std::string text = Read("log");
  EXPECT_EQ(text.substr(0, 6), "first\n");
  EXPECT_NE(text.find(" stderr F wherry: 20 bytes of log lost: File too large\nfifth\nsixth\n"), std::string::npos)
      << text;
}

}  // namespace
}  // namespace wherry::shim

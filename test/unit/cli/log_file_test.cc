// Log files are read as the runtime and the kubelet write them: pieces, two streams, appends, rotation.

#include "cri/cli/log_file.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wherry::cli {
namespace {

constexpr char kTime[] = "2026-01-02T03:04:05.000000006Z ";

class LogFileTest : public ::testing::Test {
 protected:
  LogFileTest() {
    char name[] = "/tmp/wherry-log-XXXXXX";
    dir_ = ::mkdtemp(name);
    path_ = dir_ + "/0.log";
  }
  ~LogFileTest() override { std::filesystem::remove_all(dir_); }

  void Append(const std::string& entry) { std::ofstream(path_, std::ios::app) << kTime << entry << "\n"; }
  void AppendRaw(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  void Rotate() {
    std::filesystem::rename(path_, path_ + ".old");
    std::ofstream(path_) << "";
  }

  absl::StatusOr<LogFollower> Follow(int tail = -1) {
    return LogFollower::Open(path_, tail, [this](const LogEntry& entry) {
      read_ += std::string(entry.content) + (entry.partial ? "" : "|");
      return absl::OkStatus();
    });
  }
  std::string ReadAll(int tail = -1) {
    read_.clear();
    auto follower = Follow(tail);
    EXPECT_TRUE(follower.ok()) << follower.status();
    EXPECT_TRUE(follower->Drain().ok());
    return read_;
  }

  std::string dir_, path_, read_;
};

TEST(ParseLogEntryTest, TakesEntriesAndNothingElse) {
  LogEntry entry;
  ASSERT_TRUE(ParseLogEntry("T stdout F hello  world ", entry));
  EXPECT_EQ(entry.content, "hello  world ");
  EXPECT_EQ(entry.stream, "stdout");
  EXPECT_FALSE(entry.partial);
  ASSERT_TRUE(ParseLogEntry("T stderr P x", entry));
  EXPECT_TRUE(entry.partial);
  ASSERT_TRUE(ParseLogEntry("T stdout F ", entry));
  EXPECT_EQ(entry.content, "");
  ASSERT_TRUE(ParseLogEntry("T stdout F:x y", entry)) << "tags may be added";
  for (const char* bad : {"", "x", "T stdin F x", "T stdout X x", "T stdout"})
    EXPECT_FALSE(ParseLogEntry(bad, entry)) << bad;
}

TEST_F(LogFileTest, PiecesMakeOneLine) {
  Append("stdout P a"), Append("stdout F b"), Append("stderr F "), AppendRaw("junk\n"), Append("stdout F c");
  EXPECT_EQ(ReadAll(), "ab||c|");
}

TEST_F(LogFileTest, TheTailCountsLinesNotPieces) {
  for (int i = 0; i < 3; ++i) Append("stdout P a" + std::to_string(i)), Append("stdout F b");
  EXPECT_EQ(ReadAll(0), "");
  EXPECT_EQ(ReadAll(1), "a2b|");
  EXPECT_EQ(ReadAll(2), "a1b|a2b|");
  EXPECT_EQ(ReadAll(3), "a0b|a1b|a2b|");
  EXPECT_EQ(ReadAll(99), "a0b|a1b|a2b|");
}

TEST_F(LogFileTest, TheTailOfALongFileIsFound) {
  for (int i = 0; i < 20000; ++i) AppendRaw(std::string(kTime) + "stdout F line " + std::to_string(i) + "\n");
  EXPECT_EQ(ReadAll(2), "line 19998|line 19999|");
  Append("stdout F " + std::string(200000, 'x'));
  EXPECT_EQ(ReadAll(2), "line 19999|" + std::string(200000, 'x') + "|");
}

TEST_F(LogFileTest, AnEntryIsHandedOnWhenItIsWhole) {
  AppendRaw(std::string(kTime) + "stdout F ab");
  auto follower = Follow();
  ASSERT_TRUE(follower->Drain().ok());
  EXPECT_EQ(read_, "");
  AppendRaw("c\n");
  ASSERT_TRUE(follower->Drain().ok());
  EXPECT_EQ(read_, "abc|");
}

TEST_F(LogFileTest, AnAppendIsAnEvent) {
  Append("stdout F a");
  auto follower = Follow();
  ASSERT_TRUE(follower->Drain().ok());
  follower->ClearEvents();
  Append("stdout F b");
  pollfd p{follower->events(), POLLIN, 0};
  ASSERT_EQ(::poll(&p, 1, 10000), 1);
  ASSERT_TRUE(follower->Drain().ok());
  EXPECT_EQ(read_, "a|b|");
}

TEST_F(LogFileTest, RotationLosesNothing) {
  Append("stdout F a");
  auto follower = Follow();
  ASSERT_TRUE(follower->Drain().ok());
  Append("stdout F written before the rename");
  const std::string old = path_ + ".old";
  std::filesystem::rename(path_, old);
  ASSERT_TRUE(follower->Drain().ok()) << "between the rename and the new file";
  std::ofstream(old, std::ios::app) << kTime << "stdout F written after it\n";
  Append("stdout F in the new file");
  ASSERT_TRUE(follower->Drain().ok());
  EXPECT_EQ(read_, "a|written before the rename|written after it|in the new file|");
  Rotate();
  Append("stdout F again");
  ASSERT_TRUE(follower->Drain().ok());
  EXPECT_THAT(read_, ::testing::EndsWith("in the new file|again|"));
}

TEST_F(LogFileTest, AMissingFileIsNotFound) { EXPECT_EQ(Follow().status().code(), absl::StatusCode::kNotFound); }

TEST_F(LogFileTest, StreamsGoWhereTheyCameFrom) {
  int out[2], err[2];
  ASSERT_EQ(::pipe(out), 0);
  ASSERT_EQ(::pipe(err), 0);
  auto sink = PrintTo(out[1], err[1], true);
  ASSERT_TRUE(sink({"T1", "stdout", true, "a"}).ok());
  ASSERT_TRUE(sink({"T2", "stderr", false, "e"}).ok());
  ASSERT_TRUE(sink({"T3", "stdout", false, "b"}).ok());
  char text[64] = {};
  EXPECT_EQ(std::string(text, static_cast<size_t>(::read(out[0], text, sizeof text))), "T1 ab\n");
  EXPECT_EQ(std::string(text, static_cast<size_t>(::read(err[0], text, sizeof text))), "T2 e\n");
  for (int fd : {out[0], out[1], err[0], err[1]}) ::close(fd);
}

}  // namespace
}  // namespace wherry::cli

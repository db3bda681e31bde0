#include "runtime/shim/log_stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <sstream>

#include "gtest/gtest.h"
#include "runtime/sys/file.h"

namespace wherry::shim {
namespace {

std::string Prefix(int64_t ns, StreamName stream, char tag) {
  char out[kLogPrefix];
  FormatPrefix(ns, stream, tag, out);
  return std::string(out, sizeof(out));
}

TEST(LogFormatTest, TimesAreRfc3339) {
  EXPECT_EQ(Prefix(0, StreamName::kStdout, 'F'), "1970-01-01T00:00:00.000000000Z stdout F ");
  EXPECT_EQ(Prefix(1767323045000000006, StreamName::kStderr, 'P'), "2026-01-02T03:04:05.000000006Z stderr P ");
  EXPECT_EQ(Prefix(951782399999999999, StreamName::kStdout, 'F'), "2000-02-28T23:59:59.999999999Z stdout F ");
  EXPECT_EQ(Prefix(951782400000000000, StreamName::kStdout, 'F'), "2000-02-29T00:00:00.000000000Z stdout F ");
  EXPECT_EQ(Prefix(4107542400000000000, StreamName::kStdout, 'F'), "2100-03-01T00:00:00.000000000Z stdout F ");
}

TEST(LogFormatTest, EveryDayAgreesWithTheCLibrary) {
  for (int64_t day = 0; day < 80000; ++day) {
    const time_t seconds = day * 86400 + 86399;
    tm civil{};
    char expected[32];
    gmtime_r(&seconds, &civil);
    strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &civil);
    ASSERT_EQ(Prefix(seconds * 1000000000, StreamName::kStdout, 'F').substr(0, 19), expected);
  }
}

class LogStreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/wherry-log-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    poller_.emplace(*Poller::Create());
    arena_ = *LogArena::Create(*poller_);
    v1::Log log;
    log.set_directory(dir_);
    log.set_path("log");
    file_.emplace(*LogFile::Open(log));
  }
  void TearDown() override {
    stream_.reset();
    ::unlink((dir_ + "/log").c_str());
    ::rmdir(dir_.c_str());
  }
  void Open(size_t max_line) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    write_end_.reset(ends[1]);
    stream_ = *LogStream::Create(*poller_, *arena_, *file_, sys::UniqueFd(ends[0]), StreamName::kStdout, max_line);
  }
  // The log's lines as "F text" and "P text".
  std::vector<std::string> Lines() {
    std::ifstream in(dir_ + "/log", std::ios::binary);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line.substr(38));
    return lines;
  }

  std::string dir_;
  std::optional<Poller> poller_;
  std::unique_ptr<LogArena> arena_;
  std::optional<LogFile> file_;
  sys::UniqueFd write_end_;
  std::unique_ptr<LogStream> stream_;
};

using Strings = std::vector<std::string>;

TEST_F(LogStreamTest, LinesAcrossWritesAreJoined) {
  Open(kDefaultMaxLine);
  for (const char* piece : {"he", "llo\nwor", "ld\n\n"}) {
    ASSERT_TRUE(sys::WriteAll(write_end_.get(), piece).ok());
    poller_->RunOnce();
  }
  EXPECT_EQ(Lines(), (Strings{"F hello", "F world", "F "}));
}

TEST_F(LogStreamTest, TheSplitIsExact) {
  Open(4);
  ASSERT_TRUE(sys::WriteAll(write_end_.get(), "abcd\nabcde\nabcdefgh\nabcdefghi\n").ok());
  poller_->RunOnce();
  EXPECT_EQ(Lines(), (Strings{"F abcd", "P abcd", "F e", "P abcd", "F efgh", "P abcd", "P efgh", "F i"}));
}

TEST_F(LogStreamTest, AFullPieceWaitsForWhatComesNext) {
  Open(4);
  ASSERT_TRUE(sys::WriteAll(write_end_.get(), "abcd").ok());
  poller_->RunOnce();
  EXPECT_EQ(Lines(), Strings{});
  ASSERT_TRUE(sys::WriteAll(write_end_.get(), "\n").ok());
  poller_->RunOnce();
  EXPECT_EQ(Lines(), Strings{"F abcd"});
}

TEST_F(LogStreamTest, EndOfFileFlushesTheRest) {
  Open(kDefaultMaxLine);
  ASSERT_TRUE(sys::WriteAll(write_end_.get(), "a\r\nrest\r").ok());
  poller_->RunOnce();
  write_end_.reset();
  poller_->RunOnce();
  EXPECT_EQ(Lines(), (Strings{"F a\r", "P rest\r"}));
}

TEST_F(LogStreamTest, DrainTakesAllThatIsThere) {
  Open(kDefaultMaxLine);
  ASSERT_TRUE(sys::WriteAll(write_end_.get(), "a\nb\nc").ok());
  stream_->Drain();
  EXPECT_EQ(Lines(), (Strings{"F a", "F b", "P c"}));
  ASSERT_TRUE(sys::WriteAll(write_end_.get(), "later\n").ok());
  poller_->RunOnce();
  EXPECT_EQ(Lines().back(), "F later");
}

// Whatever the pieces, joining P and F lines gives back what was written.
TEST_F(LogStreamTest, RandomTextComesBack) {
  std::mt19937 random(1);
  Open(7);
  std::string text;
  for (int i = 0; i < 2000; ++i) {
    std::string piece;
    for (unsigned n = random() % 40; n > 0; --n) piece.push_back(random() % 6 == 0 ? '\n' : 'a' + random() % 26);
    text += piece;
    ASSERT_TRUE(sys::WriteAll(write_end_.get(), piece).ok());
    if (!piece.empty()) poller_->RunOnce();
  }
  write_end_.reset();
  poller_->RunOnce();
  std::string back;
  for (const std::string& line : Lines()) {
    ASSERT_LE(line.size(), 2 + 7U);
    back += line.substr(2);
    if (line[0] == 'F') back += '\n';
  }
  EXPECT_EQ(back, text);
}

TEST_F(LogStreamTest, NewlinesOnlyAreTheWorstCaseAndFit) {
  Open(kDefaultMaxLine);
  ASSERT_GT(::fcntl(write_end_.get(), F_SETPIPE_SZ, kPipeSize), 0);
  ASSERT_TRUE(sys::WriteAll(write_end_.get(), std::string(300000, '\n')).ok());
  write_end_.reset();
  stream_->Drain();
  EXPECT_EQ(Lines().size(), 300000U);
}

}  // namespace
}  // namespace wherry::shim

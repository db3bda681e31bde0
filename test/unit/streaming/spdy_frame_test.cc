// How bytes become frames, in whatever pieces they come.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cri/streaming/spdy/frame.h"

namespace wherry::streaming::spdy {
namespace {

using testing::ElementsAre;

class Log final : public FrameReader::Visitor {
 public:
  absl::Status OnControl(uint16_t type, uint8_t flags, absl::string_view body) override {
    lines.push_back(absl::StrCat("control ", type, " ", flags, " ", body));
    return absl::OkStatus();
  }
  absl::Status OnData(uint32_t stream, absl::string_view piece, bool fin) override {
    lines.push_back(absl::StrCat("data ", stream, " ", piece, fin ? " fin" : ""));
    return absl::OkStatus();
  }
  std::vector<std::string> lines;
};

TEST(SpdyFrameTest, ControlFramesComeWholeHoweverTheyArrive) {
  const std::string bytes = ControlFrame(Type::kPing, 0, "abcd") + ControlFrame(Type::kGoAway, 2, "");
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    FrameReader reader;
    Log log;
    for (size_t at = 0; at < bytes.size(); at += piece)
      ASSERT_TRUE(reader.Read(absl::string_view(bytes).substr(at, piece), log).ok());
    EXPECT_THAT(log.lines, ElementsAre("control 6 0 abcd", "control 7 2 ")) << piece;
  }
}

TEST(SpdyFrameTest, DataIsHandedOnAsItComes) {
  FrameReader reader;
  Log log;
  const std::string bytes = DataHeader(5, kFlagFin, 4) + "abcd";
  ASSERT_TRUE(reader.Read(bytes.substr(0, 10), log).ok());
  ASSERT_TRUE(reader.Read(bytes.substr(10) + DataHeader(7, kFlagFin, 0), log).ok());
  EXPECT_THAT(log.lines, ElementsAre("data 5 ab", "data 5 cd fin", "data 7  fin"));
}

TEST(SpdyFrameTest, ALongControlFrameIsRefusedByItsHeader) {
  FrameReader reader;
  Log log;
  const std::string longest = ControlFrame(Type::kHeaders, 0, std::string(kMaxControlBytes, 'x'));
  EXPECT_TRUE(reader.Read(longest, log).ok());
  const std::string longer = ControlFrame(Type::kHeaders, 0, std::string(kMaxControlBytes + 1, 'x'));
  EXPECT_EQ(reader.Read(longer.substr(0, kHeaderBytes), log).code(), absl::StatusCode::kInvalidArgument);
}

TEST(SpdyFrameTest, AnotherVersionIsRefused) {
  FrameReader reader;
  Log log;
  std::string frame = ControlFrame(Type::kPing, 0, "abcd");
  frame[1] = 2;
  EXPECT_EQ(reader.Read(frame, log).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(log.lines.empty());
}

}  // namespace
}  // namespace wherry::streaming::spdy

#include "cri/cli/progress.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace wherry::cli {
namespace {

constexpr char kDigest[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string Shown(bool terminal, const std::vector<std::vector<LayerBar>>& steps) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  ProgressView view(out, terminal, 60);
  for (const auto& step : steps) view.Show(step);
  (void)std::fclose(out);
  std::string result(text, size);
  std::free(text);
  return result;
}

TEST(ProgressTest, ABarGrowsWithItsLayer) {
  EXPECT_EQ(BarLine({kDigest, 2'000'000, 0}, 60), "0123456789abc  [>                            ]  0 B / 2.0 MB");
  EXPECT_EQ(BarLine({kDigest, 0, 0}, 60).find('>'), std::string::npos);
  const std::string half = BarLine({kDigest, 2'000'000, 1'000'000}, 60);
  EXPECT_NE(half.find("[=============> "), std::string::npos) << half;
  EXPECT_NE(half.find("1.0 MB / 2.0 MB"), std::string::npos) << half;
  EXPECT_EQ(BarLine({kDigest, 10, 20}, 200).find(' ', 16), 67U) << "full, and no more than that";
  for (size_t width : {1, 10, 20, 35, 40, 50, 80, 300})
    EXPECT_LE(BarLine({kDigest, 9'990'000, 5}, width).size(), width);
}

TEST(ProgressTest, ElsewhereThanOnATerminalEachLayerIsOneLineWhenItHasCome) {
  EXPECT_EQ(Shown(false, {{{"sha256:aa", 10, 0}},
                          {{"sha256:aa", 10, 10}, {"sha256:bb", 7, 1}},
                          {{"sha256:aa", 10, 10}, {"sha256:bb", 7, 7}}}),
            "aa  10 B\nbb  7 B\n");
}

TEST(ProgressTest, OnATerminalBarsAreDrawnOverEachOther) {
  const std::string shown = Shown(true, {{{"sha256:aa", 10, 0}}, {{"sha256:aa", 10, 10}}});
  EXPECT_EQ(shown.rfind("\x1b[2Kaa  [", 0), 0U);
  EXPECT_NE(shown.find("\n\x1b[1A\x1b[2Kaa  ["), std::string::npos);
}

}  // namespace
}  // namespace wherry::cli

#pragma once

#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

namespace wherry::cli {

struct LayerBar {
  std::string digest;
  uint64_t size = 0, done = 0;
};

// One line: "3f2a9c1b0d4e5  [=====>     ]  1.2 MB / 5.0 MB", at most `width` characters.
std::string BarLine(const LayerBar& layer, size_t width);

// Shows the layers of a pull. On a terminal a bar each, drawn over again; elsewhere a line for each layer that has come whole.
class ProgressView {
 public:
  ProgressView(std::FILE* out, bool terminal, size_t width) : out_(out), terminal_(terminal), width_(width) {}
  void Show(const std::vector<LayerBar>& layers);

 private:
  std::FILE* const out_;
  const bool terminal_;
  const size_t width_;
  size_t drawn_ = 0;             // lines on the terminal
  std::set<std::string> whole_;  // told already
};

}  // namespace wherry::cli

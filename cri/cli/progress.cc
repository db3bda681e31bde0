#include "cri/cli/progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cri/cli/format.h"

namespace wherry::cli {

std::string BarLine(const LayerBar& layer, size_t width) {
  constexpr size_t kMaxBar = 50;
  const uint64_t done = std::min(layer.done, layer.size);
  const std::string name = ShortId(layer.digest);
  const std::string count = absl::StrCat(Bytes(done), " / ", Bytes(layer.size));
  std::string plain = absl::StrCat(name, "  ", count).substr(0, width);
  const size_t rest = name.size() + count.size() + 6;  // blanks and brackets
  if (width < rest + 10) return plain;
  const size_t bar = std::min(kMaxBar, width - rest);
  const size_t full =
      layer.size == 0
          ? bar
          : static_cast<size_t>(static_cast<double>(bar) * static_cast<double>(done) / static_cast<double>(layer.size));
  std::string drawn(full, '=');
  if (full < bar) drawn += '>';
  drawn.resize(bar, ' ');
  return absl::StrCat(name, "  [", drawn, "]  ", count);
}

void ProgressView::Show(const std::vector<LayerBar>& layers) {
  std::string text;
  if (terminal_) {
    if (drawn_ > 0) absl::StrAppend(&text, "\x1b[", drawn_, "A");  // up to the first bar
    for (const LayerBar& layer : layers) absl::StrAppend(&text, "\x1b[2K", BarLine(layer, width_), "\n");
    drawn_ = layers.size();
  } else {
    for (const LayerBar& layer : layers)
      if (layer.done >= layer.size && whole_.insert(layer.digest).second)
        absl::StrAppend(&text, ShortId(layer.digest), "  ", Bytes(layer.size), "\n");
  }
  (void)std::fwrite(text.data(), 1, text.size(), out_);
  (void)std::fflush(out_);
}

}  // namespace wherry::cli

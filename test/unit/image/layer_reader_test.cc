#include "cri/image/layer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/unit/image/tar_writer.h"

namespace wherry::image {
namespace {

class Whole final : public ByteSource {
 public:
  explicit Whole(std::string data) : data_(std::move(data)) {}
  absl::StatusOr<absl::string_view> Next() override { return std::exchange(left_, {}); }

 private:
  const std::string data_;
  absl::string_view left_ = data_;
};

absl::Status ReadAll(const std::string& tar, const LayerLimits& limits) {
  Whole source(tar);
  auto reader = ReadLayer(source, limits);
  if (!reader.ok()) return reader.status();
  while (true) {
    auto entry = (*reader)->Next();
    if (!entry.ok() || *entry == nullptr) return entry.status();
  }
}

// What is kept of each entry, in memory, is bounded.
TEST(LayerReaderTest, NamesAreBoundedAllTogether) {
  test::TarWriter tar;
  for (int i = 0; i < 100; ++i) tar.Symlink("name" + std::to_string(i), std::string(90, 't'));
  LayerLimits limits;
  limits.max_names = 30'000;
  EXPECT_TRUE(ReadAll(tar.Bytes(), limits).ok());
  limits.max_names = 20'000;
  EXPECT_TRUE(absl::IsResourceExhausted(ReadAll(tar.Bytes(), limits)));
}

}  // namespace
}  // namespace wherry::image

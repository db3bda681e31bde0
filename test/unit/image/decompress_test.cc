#include "cri/image/decompress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cri/image/sha256.h"
#include "test/unit/image/tar_writer.h"

namespace wherry::image {
namespace {

using ::testing::HasSubstr;

// Gives `data` in pieces of `step` bytes.
class Pieces final : public ByteSource {
 public:
  Pieces(std::string data, size_t step) : data_(std::move(data)), step_(step) {}
  absl::StatusOr<absl::string_view> Next() override {
    absl::string_view piece = absl::string_view(data_).substr(at_, step_);
    at_ += piece.size();
    return piece;
  }

 private:
  const std::string data_;
  const size_t step_;
  size_t at_ = 0;
};

absl::StatusOr<std::string> All(const std::string& data, size_t step, uint64_t max = UINT64_MAX) {
  Pieces pieces(data, step);
  auto source = Decompress(pieces, max);
  if (!source.ok()) return source.status();
  std::string out;
  while (true) {
    auto chunk = (*source)->Next();
    if (!chunk.ok()) return chunk.status();
    if (chunk->empty()) return out;
    out.append(chunk->data(), chunk->size());
  }
}

std::string Noise(size_t size) {
  std::string out(size, '\0');
  uint32_t x = 1;
  for (char& c : out) {
    x = x * 1664525 + 1013904223;
    c = static_cast<char>((x >> 24) & (size % 2 == 0 ? 0xff : 0x0f));
  }
  return out;
}

TEST(DecompressTest, GivesTheBytesWhateverTheSizes) {
  for (size_t size : {0UL, 1UL, 3UL, 511UL, 65536UL, 1048576UL, 1048577UL, 3000001UL}) {
    const std::string data = Noise(size);
    for (size_t step : {1UL, 7UL, 4096UL, 1UL << 20}) {
      if (step < 4096 && size > 70000) continue;
      for (const std::string& packed : {data, test::Gzip(data), test::Zstd(data),
                                        test::Gzip(data.substr(0, size / 2)) + test::Gzip(data.substr(size / 2)),
                                        test::Zstd(data.substr(0, size / 3)) + test::Zstd(data.substr(size / 3))}) {
        auto out = All(packed, step);
        ASSERT_TRUE(out.ok()) << out.status() << " size " << size << " step " << step;
        EXPECT_TRUE(*out == data) << "size " << size << " step " << step;
      }
    }
  }
}

TEST(DecompressTest, EveryTruncationOfAStreamIsAnError) {
  const std::string data = Noise(3001);
  for (const std::string& packed : {test::Gzip(data), test::Zstd(data)})
    for (size_t n = 4; n < packed.size(); n += 3)
      EXPECT_TRUE(absl::IsDataLoss(All(packed.substr(0, n), 1000).status())) << n << " of " << packed.size();
}

TEST(DecompressTest, StopsABomb) {
  const std::string bomb = test::Gzip(std::string(64 << 20, '\0'));
  EXPECT_LT(bomb.size(), 1U << 20);
  auto out = All(bomb, 1 << 20, 1 << 20);
  EXPECT_TRUE(absl::IsResourceExhausted(out.status()));
  EXPECT_THAT(std::string(out.status().message()), HasSubstr("more than 1048576 bytes"));
}

TEST(Sha256Test, KnowsTheStandardsExample) {
  EXPECT_EQ(Sha256Of("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace wherry::image

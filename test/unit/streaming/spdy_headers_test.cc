// Header blocks: what goes through them, and what they refuse.
#include <gmock/gmock.h>
#include <zlib.h>

#include "cri/streaming/spdy/dictionary.h"
#include "cri/streaming/spdy/frame.h"
#include "cri/streaming/spdy/headers.h"

namespace wherry::streaming::spdy {
namespace {

using testing::HasSubstr;

// A block with anything in it, as a peer's zlib would make it.
std::string Deflate(const std::string& plain) {
  z_stream stream = {};
  deflateInit(&stream, Z_BEST_COMPRESSION);
  const std::string dictionary = HeaderDictionary();
  deflateSetDictionary(&stream, reinterpret_cast<const Bytef*>(dictionary.data()),
                       static_cast<uInt>(dictionary.size()));
  std::string out(deflateBound(&stream, plain.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_SYNC_FLUSH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

std::string Block(const Headers& headers) {
  std::string out;
  PutNumber(static_cast<uint32_t>(headers.size()), &out);
  for (const auto& [name, value] : headers) {
    PutNumber(static_cast<uint32_t>(name.size()), &out);
    out += name;
    PutNumber(static_cast<uint32_t>(value.size()), &out);
    out += value;
  }
  return out;
}

std::string Refusal(const std::string& plain) {
  HeaderInflater inflater;
  auto headers = inflater.Read(Deflate(plain));
  EXPECT_EQ(headers.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(headers.status().message());
}

TEST(SpdyHeadersTest, TheDictionaryIsTheProtocols) {
  const std::string dictionary = HeaderDictionary();
  EXPECT_EQ(adler32(adler32(0, nullptr, 0), reinterpret_cast<const Bytef*>(dictionary.data()),
                    static_cast<uInt>(dictionary.size())),
            0xe3c6a7c2u);
}

TEST(SpdyHeadersTest, BlocksOfOneStreamGoThrough) {
  HeaderDeflater deflater;
  HeaderInflater inflater;
  const Headers first = {{"streamtype", "stdin"}, {":host", "a"}, {"empty", ""}};
  for (const Headers& headers : {first, Headers{}, first}) {
    auto read = inflater.Read(deflater.Write(headers));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, headers);
  }
  EXPECT_EQ(Find(first, "streamtype"), "stdin");
  EXPECT_EQ(Find(first, "port"), "");
}

TEST(SpdyHeadersTest, AFewBytesDoNotInflateToMany) {
  const std::string bomb = Deflate(Block({{"a", std::string(8 << 20, 'x')}}));
  ASSERT_LT(bomb.size(), 16u << 10);
  HeaderInflater inflater;
  EXPECT_THAT(std::string(inflater.Read(bomb).status().message()), HasSubstr("more than 16384 bytes"));
}

TEST(SpdyHeadersTest, CountsAndLengthsAreChecked) {
  Headers many;
  for (int i = 0; i < 65; ++i) many.emplace_back("h" + std::to_string(i), "");
  EXPECT_THAT(Refusal(Block(many)), HasSubstr("65 headers"));
  EXPECT_THAT(Refusal("\xff\xff\xff\xff"), HasSubstr("headers"));
  const std::string good = Block({{"a", "b"}});
  EXPECT_THAT(Refusal(good.substr(0, 3)), HasSubstr("within a number"));
  EXPECT_THAT(Refusal(good.substr(0, good.size() - 1)), HasSubstr("within a string"));
  EXPECT_THAT(Refusal(good + "x"), HasSubstr("after the last"));
}

TEST(SpdyHeadersTest, NamesAreChecked) {
  EXPECT_THAT(Refusal(Block({{"Upper", ""}})), HasSubstr("name"));
  EXPECT_THAT(Refusal(Block({{"", ""}})), HasSubstr("name"));
  EXPECT_THAT(Refusal(Block({{"a\n", ""}})), HasSubstr("name"));
  EXPECT_THAT(Refusal(Block({{"a", ""}, {"a", ""}})), HasSubstr("twice"));
}

TEST(SpdyHeadersTest, WhatIsNotDeflatedIsRefused) {
  HeaderInflater inflater;
  EXPECT_EQ(inflater.Read("no zlib stream").status().code(), absl::StatusCode::kInvalidArgument);
  HeaderInflater empty;
  EXPECT_EQ(empty.Read("").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace wherry::streaming::spdy

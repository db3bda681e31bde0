#include "cri/image/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry::image {
namespace {

using ::testing::HasSubstr;

constexpr char kDigest[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string Normal(const std::string& text) {
  auto ref = ParseReference(text);
  if (!ref.ok()) return "invalid";
  return ref->Repository() + (ref->tag.empty() ? "" : ":" + ref->tag) + (ref->digest.empty() ? "" : "@" + ref->digest);
}

TEST(ReferenceTest, NormalisesAsDockerDoes) {
  EXPECT_EQ(Normal("busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(Normal("busybox:1.35"), "docker.io/library/busybox:1.35");
  EXPECT_EQ(Normal("user/app"), "docker.io/user/app:latest");
  EXPECT_EQ(Normal("docker.io/busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(Normal("index.docker.io/busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(Normal("quay.io/a/b:v1"), "quay.io/a/b:v1");
  EXPECT_EQ(Normal("localhost/x"), "localhost/x:latest");
  EXPECT_EQ(Normal("localhost:5000/x"), "localhost:5000/x:latest");
  EXPECT_EQ(Normal("127.0.0.1:5000/x/y:t"), "127.0.0.1:5000/x/y:t");
  EXPECT_EQ(Normal("[::1]:5000/x"), "[::1]:5000/x:latest");
  EXPECT_EQ(Normal("Host/x"), "Host/x:latest");
  EXPECT_EQ(Normal(std::string("busybox@") + kDigest), std::string("docker.io/library/busybox@") + kDigest);
  EXPECT_EQ(Normal(std::string("a/b:t@") + kDigest), std::string("docker.io/a/b:t@") + kDigest);
  EXPECT_EQ(Normal("a__b/c-d/e.f_g"), "docker.io/a__b/c-d/e.f_g:latest");
  EXPECT_EQ(Normal("a---b"), "docker.io/library/a---b:latest");
  EXPECT_EQ(Normal("a:5000"), "docker.io/library/a:5000");
}

TEST(ReferenceTest, RefusesEverythingElse) {
  for (const std::string& text : {std::string(""),
                                  std::string("/a"),
                                  std::string("a/"),
                                  std::string("a//b"),
                                  std::string("A"),
                                  std::string("a/B"),
                                  std::string("a:"),
                                  std::string(":t"),
                                  std::string("a b"),
                                  std::string("a:b:c"),
                                  std::string("-a"),
                                  std::string("a-"),
                                  std::string("a..b"),
                                  std::string("a___b"),
                                  std::string("a._b"),
                                  std::string("../a"),
                                  std::string("a/../b"),
                                  std::string("a@sha256:12"),
                                  std::string("a@md5:0123"),
                                  std::string("a:t@"),
                                  std::string("a:-x"),
                                  std::string("a\n"),
                                  std::string("a\0b", 3),
                                  std::string("ho_st.x/a"),
                                  std::string("host:port/a"),
                                  std::string("host:123456/a"),
                                  std::string("[::1/a"),
                                  std::string("[zz]:1/a"),
                                  std::string("caf\xc3\xa9"),
                                  "a:" + std::string(129, 't'),
                                  std::string(256, 'a'),
                                  std::string(5000, 'a'),
                                  std::string("http://x/y")})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseReference(text).status())) << text;
  EXPECT_THAT(std::string(ParseReference("a/B").status().message()), HasSubstr("lower case"));
  EXPECT_TRUE(ParseReference("a:" + std::string(128, 't')).ok());
}

}  // namespace
}  // namespace wherry::image

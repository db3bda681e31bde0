// What comes before a session: URLs, tokens, upgrades, refusals.
#include "test/integration/streaming/support.h"

namespace wherry::streaming::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class HttpTest : public ServerTest {
 protected:
  std::string AnExec() { return Exec({"true"}, {false, true, true, false}); }
  // The code that a request with these headers gets, and its text.
  int Code(const std::string& url, const std::string& headers, const std::string& method = "POST") {
    Connection connection(url, headers, method);
    head_ = connection.head();
    if (connection.code() != 101) text_ = connection.ReadAll();
    return connection.code();
  }
  std::string head_, text_;
};

// KUBELET G45: loopback, a token for one use, GET and POST.
TEST_F(HttpTest, AUrlIsGoodOnce) {
  const std::string url = AnExec();
  EXPECT_THAT(url, StartsWith("http://127.0.0.1:"));
  EXPECT_EQ(Code(url, kSpdyV4, "POST"), 101);
  EXPECT_EQ(Code(url, kSpdyV4, "POST"), 404);
  EXPECT_THAT(text_, HasSubstr("NotFound"));
  EXPECT_EQ(Code(AnExec(), kSpdyV4, "GET"), 101);
}

// KUBELET G45: NotFound is 404.
TEST_F(HttpTest, WhatIsUnknownIsNotFound) {
  const std::string url = AnExec(), base = url.substr(0, url.find("/exec"));
  EXPECT_EQ(Code(base + "/exec/0123456789abcdef0123456789abcdef", kSpdyV4), 404);
  EXPECT_EQ(Code(base + "/", kSpdyV4), 404);
  EXPECT_EQ(Code(base + "/exec/a/b", kSpdyV4), 404);
  EXPECT_EQ(Code(base + "/attach/" + url.substr(url.rfind('/') + 1), kSpdyV4), 404);
  EXPECT_EQ(Code(url, kSpdyV4), 404) << "a token tried for another purpose is used up";
}

TEST_F(HttpTest, OtherMethodsAreRefusedAndUseNoTokenUp) {
  const std::string url = AnExec();
  EXPECT_EQ(Code(url, kSpdyV4, "PUT"), 405);
  EXPECT_THAT(head_, HasSubstr("Allow: GET, POST"));
  EXPECT_EQ(Code(url, kSpdyV4), 101);
}

// KUBELET G45, G46: X-Stream-Protocol-Version.
TEST_F(HttpTest, UpgradesAreNegotiated) {
  EXPECT_EQ(Code(AnExec(), ""), 400);
  EXPECT_EQ(Code(AnExec(), "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n"), 400);
  EXPECT_EQ(Code(AnExec(), "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"), 400);
  EXPECT_EQ(
      Code(AnExec(), "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v9.channel.k8s.io\r\n"),
      403);
  EXPECT_THAT(head_, HasSubstr("X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io"));
  EXPECT_EQ(
      Code(AnExec(),
           "connection: keep-alive, upgrade\r\nupgrade: spdy/3.1\r\nX-Stream-Protocol-Version: v9.channel.k8s.io\r\n"
           "X-Stream-Protocol-Version: v3.channel.k8s.io, v2.channel.k8s.io\r\n"),
      101);
  EXPECT_THAT(head_, HasSubstr("X-Stream-Protocol-Version: v3.channel.k8s.io\r\n"));
  const std::string socket =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
      "dGhlIHNhbXBsZSBub25jZQ==\r\n";
  EXPECT_EQ(Code(AnExec(), socket + "Sec-WebSocket-Protocol: chat\r\n", "GET"), 403);
  EXPECT_EQ(Code(AnExec(), socket, "GET"), 101);
}

TEST_F(HttpTest, WhatIsNoRequestIsRefused) {
  Connection rubbish(AnExec(), "\r\n", "\x01\x02");
  EXPECT_EQ(rubbish.code(), 400);
  EXPECT_EQ(Code(AnExec(), "X: " + std::string(20 << 10, 'x') + "\r\n"), 400);
  EXPECT_THAT(text_, HasSubstr("16 KiB"));
}

TEST_F(HttpTest, AClientThatSaysNothingIsNotWaitedForEver) {
  options.creation = std::chrono::milliseconds(50);
  Connection connection(AnExec(), "X-Half: a\r\nand no end of it", "GET");
  EXPECT_EQ(connection.code(), 0);
}

TEST_F(HttpTest, ListensOnIpv6) {
  options.address = "::1";
  const std::string url = AnExec();
  EXPECT_THAT(url, StartsWith("http://[::1]:"));
  EXPECT_EQ(Code(url, kSpdyV4), 101);
}

TEST_F(HttpTest, AnAddressThatIsNoneIsRefused) {
  options.address = "localhost";
  EXPECT_EQ(Server::Start(options, backend).status().code(), absl::StatusCode::kInvalidArgument);
}

// KUBELET G45: 1 minute, at most 1000 waiting, then ResourceExhausted.
TEST(TokensTest, AreBoundedInTimeAndNumber) {
  Tokens tokens;
  using std::chrono::seconds;
  const auto start = Tokens::Clock::now();
  const std::string first = *tokens.Issue({}, start);
  EXPECT_EQ(first.size(), 32u);
  for (size_t i = 1; i < Tokens::kMaxWaiting; ++i) EXPECT_TRUE(tokens.Issue({}, start).ok());
  EXPECT_EQ(tokens.Issue({}, start).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(tokens.Take(first, start + seconds(59)).ok());
  EXPECT_EQ(tokens.Take(first, start).status().code(), absl::StatusCode::kNotFound);
  const std::string second = *tokens.Issue({}, start + seconds(59));
  EXPECT_EQ(tokens.Issue({}, start + seconds(59)).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(tokens.Issue({}, start + seconds(61)).ok());
  EXPECT_EQ(tokens.Take(second, start + seconds(120)).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace wherry::streaming::test

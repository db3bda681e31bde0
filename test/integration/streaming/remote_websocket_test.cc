// Exec and attach over WebSocket channels, as browsers and kubectl's newer transport have it.
#include "absl/strings/escaping.h"
#include "test/integration/streaming/support.h"

namespace wherry::streaming::test {
namespace {

using testing::HasSubstr;

class RemoteWebSocketTest : public ServerTest {};

constexpr Streams kOut{false, true, true, false}, kAll{true, true, true, false}, kTty{true, true, false, true};

std::string On(int channel, const std::string& text) { return std::string(1, static_cast<char>(channel)) + text; }

// KUBELET G46: channels 0 to 4. G47: the status as with SPDY.
TEST_F(RemoteWebSocketTest, ChannelsCarryOutputAndTheStatus) {
  WsClient client(Exec({"sh", "-c", "echo out; echo err >&2; exit 7"}, kOut), "v4.channel.k8s.io");
  EXPECT_THAT(client.connection.head(), HasSubstr("Sec-WebSocket-Protocol: v4.channel.k8s.io"));
  auto got = client.ReceiveAll();
  EXPECT_EQ(got[1], "out\n");
  EXPECT_EQ(got[2], "err\n");
  EXPECT_THAT(got[3], HasSubstr(R"("message":"7")"));
  EXPECT_EQ(client.last_opcode, 8);
}

// KUBELET G46: "" and channel.k8s.io, whose status is text.
TEST_F(RemoteWebSocketTest, TheFirstVersionHasTextForAStatus) {
  for (const std::string protocol : {"", "channel.k8s.io"}) {
    WsClient client(Exec({"sh", "-c", "echo x; exit 1"}, kOut), protocol);
    EXPECT_EQ(client.Receive(), On(1, ""));  // the session stands
    auto got = client.ReceiveAll();
    EXPECT_EQ(got[1], "x\n");
    EXPECT_EQ(got[3], "command terminated with non-zero exit code: exit status 1");
  }
}

// KUBELET G46: base64.channel and v4.base64.channel.
TEST_F(RemoteWebSocketTest, Base64IsForClientsThatHaveTextOnly) {
  for (const std::string protocol : {"base64.channel.k8s.io", "v4.base64.channel.k8s.io"}) {
    WsClient client(Exec({"sh", "-c", "read x; echo $x"}, kAll), protocol);
    EXPECT_EQ(client.Receive(), "1");
    EXPECT_EQ(client.last_opcode, 1);
    client.Send("0" + absl::Base64Escape("hello\n"), 1);
    EXPECT_EQ(client.Receive(), "1" + absl::Base64Escape("hello\n"));
    client.ReceiveAll();
  }
}

TEST_F(RemoteWebSocketTest, TheFifthVersionCanEndStdin) {
  WsClient client(Exec({"cat"}, kAll), "v5.channel.k8s.io");
  client.Send(On(0, "all"));
  client.Send(std::string("\xff\x00", 2));
  auto got = client.ReceiveAll();
  EXPECT_EQ(got[1], "all");
  EXPECT_EQ(got[3], R"({"status":"Success"})");
}

TEST_F(RemoteWebSocketTest, ATerminalIsResized) {
  WsClient client(Exec({"sh", "-c", "read x; stty size"}, kTty), "v4.channel.k8s.io");
  client.Send(On(4, R"({"Width":99,"Height":33})"));
  client.Send(On(0, "go\n"));
  EXPECT_THAT(client.ReceiveAll()[1], HasSubstr("33 99"));
}

// KUBELET G46: PINGs are answered.
TEST_F(RemoteWebSocketTest, PingsAreAnswered) {
  WsClient client(Exec({"sleep", "1000"}, kAll), "v4.channel.k8s.io");
  client.Receive();
  client.Send("are you there", 9);
  EXPECT_EQ(client.Receive(), "are you there");
  EXPECT_EQ(client.last_opcode, 10);
}

TEST_F(RemoteWebSocketTest, AClientThatGoesAwayLeavesNoProcess) {
  WsClient client(Exec({"sleep", "1000"}, kAll), "v4.channel.k8s.io");
  Eventually("the process to start", [&] { return backend.running == 1; });
  client.connection.Hangup();
  Eventually("the process to be ended", [&] { return backend.running == 0; });
}

TEST_F(RemoteWebSocketTest, AClientThatClosesLeavesNoProcess) {
  WsClient client(Exec({"sleep", "1000"}, kAll), "v4.channel.k8s.io");
  Eventually("the process to start", [&] { return backend.running == 1; });
  client.Send("\x03\xe8", 8);
  Eventually("the process to be ended", [&] { return backend.running == 0; });
}

TEST_F(RemoteWebSocketTest, BadMessagesEndTheSessionOnly) {
  struct Case {
    std::string protocol, message;
  };
  for (const auto& [protocol, message] :
       {Case{"v4.base64.channel.k8s.io", "0!!!"}, Case{"v5.channel.k8s.io", "\xff\x09"},
        Case{"v5.channel.k8s.io", "\xff"}, Case{"v4.channel.k8s.io", On(4, "{]}")}}) {
    WsClient client(Exec({"sleep", "1000"}, kTty), protocol);
    client.Send(message, protocol[3] == 'b' ? 1 : 2);
    client.ReceiveAll();
    Eventually("the process to be ended", [&] { return backend.running == 0; });
  }
}

TEST_F(RemoteWebSocketTest, AnUnmaskedOrHugeFrameEndsTheSession) {
  for (const std::string& frame :
       {std::string("\x82\x01x"), std::string("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14)}) {
    WsClient client(Exec({"sleep", "1000"}, kAll), "v4.channel.k8s.io");
    Eventually("the process to start", [&] { return backend.running == 1; });
    client.connection.Write(frame);
    Eventually("the process to be ended", [&] { return backend.running == 0; });
  }
}

TEST_F(RemoteWebSocketTest, MessagesForChannelsThatThereAreNotAreIgnored) {
  WsClient client(Exec({"sh", "-c", "read x; echo $x"}, kAll), "v4.channel.k8s.io");
  client.Send(On(77, "what"));
  client.Send(On(1, "what"));
  client.Send("");
  client.Send(On(0, "go\n"));
  EXPECT_EQ(client.ReceiveAll()[1], "go\n");
}

}  // namespace
}  // namespace wherry::streaming::test

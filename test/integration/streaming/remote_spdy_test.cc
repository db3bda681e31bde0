// Exec and attach over SPDY, as kubectl's older transport and crictl have it.
#include <nlohmann/json.hpp>

#include "test/integration/streaming/support.h"

namespace wherry::streaming::test {
namespace {

using testing::HasSubstr;

class RemoteSpdyTest : public ServerTest {};

constexpr Streams kOut{false, true, true, false}, kAll{true, true, true, false}, kTty{true, true, false, true};

// KUBELET G46: FIN is stdin's half-close, and output is flushed before the status. G47: the status of a success.
TEST_F(RemoteSpdyTest, BytesGoThroughAndTheEndOfStdinToo) {
  SpdyClient client(Exec({"sh", "-c", "cat; echo done >&2"}, kAll));
  client.OpenRemote(kAll);
  client.Send(client.names["stdin"], "hello");
  client.Finish(client.names["stdin"]);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_EQ(client.text("stdout"), "hello");
  EXPECT_EQ(client.text("stderr"), "done\n");
  EXPECT_EQ(client.text("error"), R"({"status":"Success"})");
  EXPECT_TRUE(client.gone_away);
}

// KUBELET G47: v4's status object with the exit code.
TEST_F(RemoteSpdyTest, AnExitCodeIsInTheStatus) {
  SpdyClient client(Exec({"sh", "-c", "exit 7"}, kOut));
  client.OpenRemote(kOut);
  ASSERT_TRUE(client.UntilClosed());
  const auto status = nlohmann::json::parse(client.text("error"));
  EXPECT_EQ(status["status"], "Failure");
  EXPECT_EQ(status["reason"], "NonZeroExitCode");
  EXPECT_EQ(status["details"]["causes"][0], (nlohmann::json{{"reason", "ExitCode"}, {"message", "7"}}));
  EXPECT_THAT(status["message"].get<std::string>(), HasSubstr("non-zero exit code"));
}

// KUBELET G46: before v4 the error stream carries text, and nothing after a success.
TEST_F(RemoteSpdyTest, OlderProtocolsHaveTextForAStatus) {
  for (const std::string protocol : {"channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io"}) {
    const std::string headers =
        "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: " + protocol + "\r\n";
    SpdyClient good(Exec({"echo", "x"}, kOut), headers);
    EXPECT_THAT(good.connection.head(), HasSubstr("X-Stream-Protocol-Version: " + protocol));
    good.OpenRemote(kOut);
    ASSERT_TRUE(good.UntilClosed());
    EXPECT_EQ(good.text("stdout") + good.text("error"), "x\n") << protocol;
    SpdyClient bad(Exec({"false"}, kOut), headers);
    bad.OpenRemote(kOut);
    ASSERT_TRUE(bad.UntilClosed());
    EXPECT_EQ(bad.text("error"), "command terminated with non-zero exit code: exit status 1") << protocol;
  }
}

// KUBELET G46: output is never cut when the end of a process and that of its output race.
TEST_F(RemoteSpdyTest, AllOutputOfAProcessThatEndsAtOnceArrives) {
  for (int i = 0; i < 50; ++i) {
    SpdyClient client(Exec({"sh", "-c", "head -c 200000 /dev/zero; echo end"}, kOut));
    client.OpenRemote(kOut);
    ASSERT_TRUE(client.UntilClosed());
    EXPECT_EQ(client.text("stdout").size(), 200004u);
    EXPECT_EQ(client.text("error"), R"({"status":"Success"})");
  }
}

TEST_F(RemoteSpdyTest, AChildInTheBackgroundHoldsNobodyUp) {
  SpdyClient client(Exec({"sh", "-c", "echo said; sleep 1000 & exit 3"}, kOut));
  client.OpenRemote(kOut);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_EQ(client.text("stdout"), "said\n");
  EXPECT_THAT(client.text("error"), HasSubstr("\"3\""));
}

// KUBELET G47: {"Width":n,"Height":n}.
TEST_F(RemoteSpdyTest, ATerminalHasTheSizeOfTheClients) {
  SpdyClient client(Exec({"sh", "-c", "read x; stty size"}, kTty));
  client.OpenRemote(kTty);
  client.Send(client.names["resize"], R"({"Width":132,"Hei)");
  client.Send(client.names["resize"], R"(ght":43})");
  client.Send(client.names["stdin"], "go\n");
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_THAT(client.text("stdout"), HasSubstr("43 132"));
}

TEST_F(RemoteSpdyTest, AnAbsurdTerminalSizeEndsTheSession) {
  for (const std::string size : {R"({"Width":-1,"Height":2})", R"({"Width":70000,"Height":2})", "[1]", "rubbish"}) {
    SpdyClient client(Exec({"sleep", "1000"}, kTty));
    client.OpenRemote(kTty);
    client.Send(client.names["resize"], size);
    ASSERT_TRUE(client.UntilClosed());
    EXPECT_THAT(client.text("error"), HasSubstr("InternalError")) << size;
  }
}

TEST_F(RemoteSpdyTest, AClientThatGoesAwayLeavesNoProcess) {
  SpdyClient client(Exec({"sleep", "1000"}, kAll));
  client.OpenRemote(kAll);
  client.Until([&] { return backend.running == 1; });
  client.connection.Hangup();
  Eventually("the process to be ended", [&] { return backend.running == 0; });
}

// Nothing is read from a client whose process takes no input, so its end is not seen there.
TEST_F(RemoteSpdyTest, AClientThatGoesAwayWhileItsInputIsStuckLeavesNoProcess) {
  SpdyClient client(Exec({"sleep", "1000"}, kAll));
  client.OpenRemote(kAll);
  client.Until([&] { return client.streams[client.names["stderr"]].replied; });
  // Without regard to windows, as Kubernetes' clients do. More than the pipe, the window and one read take, so that reading stops;
  // and so little more that the kernel takes the rest, and with it the end.
  const size_t bytes = spdy::Session::kSessionWindow + (144 << 10);
  client.connection.Write(spdy::DataHeader(client.names["stdin"], 0, bytes) + std::string(bytes, 'x'));
  client.connection.Hangup();
  Eventually("the process to be ended", [&] { return backend.running == 0; });
}

TEST_F(RemoteSpdyTest, WhatCannotBeStartedIsSaidOnTheErrorStream) {
  SpdyClient client(Url({Kind::kExec, "gone", {"true"}, kOut}));
  client.OpenRemote(kOut);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_THAT(client.text("error"), HasSubstr("container \\\"gone\\\" is unknown"));
}

TEST_F(RemoteSpdyTest, AnAttachmentsEndIsASuccess) {
  SpdyClient client(Url({Kind::kAttach, "c", {}, kAll}));
  client.OpenRemote(kAll);
  client.Send(client.names["stdin"], "typed");
  client.Finish(client.names["stdin"]);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_EQ(client.text("stdout"), "attached\ntyped");
  EXPECT_EQ(client.text("error"), R"({"status":"Success"})");
}

// KUBELET G45: 30 s to open streams.
TEST_F(RemoteSpdyTest, AClientThatOpensNoStreamsIsNotWaitedForEver) {
  options.creation = std::chrono::milliseconds(50);
  SpdyClient client(Exec({"sleep", "1000"}, kAll));
  client.names["error"] = client.Open({{"streamtype", "error"}});
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_THAT(client.text("error"), HasSubstr("timed out waiting for client to create streams"));
}

// KUBELET G45: idle 4 h.
TEST_F(RemoteSpdyTest, ASilentSessionEnds) {
  options.idle = std::chrono::milliseconds(100);
  SpdyClient client(Exec({"sleep", "1000"}, kOut));
  client.OpenRemote(kOut);
  ASSERT_TRUE(client.UntilClosed());
}

TEST_F(RemoteSpdyTest, StreamsThatWereNotAskedForAreRefused) {
  SpdyClient client(Exec({"cat"}, kAll));
  client.OpenRemote(kAll);
  const uint32_t twice = client.Open({{"streamtype", "stdout"}}), unknown = client.Open({{"streamtype", "other"}});
  ASSERT_TRUE(client.Until([&] { return client.streams[twice].reset && client.streams[unknown].reset; }));
  client.Finish(client.names["stdin"]);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_EQ(client.text("error"), R"({"status":"Success"})");
}

TEST_F(RemoteSpdyTest, WhatIsNoSpdyEndsTheSessionOnly) {
  SpdyClient bad(Exec({"sleep", "1000"}, kOut));
  bad.OpenRemote(kOut);
  bad.Until([&] { return backend.running == 1; });
  bad.connection.Write(spdy::ControlFrame(spdy::Type::kSynStream, 0, std::string(40, 'x')));
  ASSERT_TRUE(bad.UntilClosed());
  EXPECT_TRUE(bad.gone_away);
  Eventually("the process to be ended", [&] { return backend.running == 0; });
  SpdyClient good(Exec({"echo", "x"}, kOut));
  good.OpenRemote(kOut);
  ASSERT_TRUE(good.UntilClosed());
  EXPECT_EQ(good.text("stdout"), "x\n");
}

TEST_F(RemoteSpdyTest, ADaemonThatStopsSaysSo) {
  SpdyClient client(Exec({"sleep", "1000"}, kOut));
  client.OpenRemote(kOut);
  client.Until([&] { return backend.running == 1; });
  EXPECT_TRUE(server->Stop(absl::Seconds(30)));
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_THAT(client.text("error"), HasSubstr("wherryd stops"));
  EXPECT_EQ(backend.running, 0);
}

// Both ways through one process, more than all buffers hold.
TEST_F(RemoteSpdyTest, MuchGoesThroughUnchanged) {
  constexpr size_t kBytes = 32 << 20;
  SpdyClient client(Exec({"cat"}, {true, true, false, false}));
  client.OpenRemote({true, true, false, false});
  size_t got = 0, wrong = 0;
  client.on_data = [&](uint32_t id, absl::string_view data) {
    if (id != client.names["stdout"]) return;
    for (char c : data) wrong += c != static_cast<char>((got++ / 1000) & 0xff);
  };
  std::string all(kBytes, '\0');
  for (size_t i = 0; i < kBytes; ++i) all[i] = static_cast<char>((i / 1000) & 0xff);
  client.Send(client.names["stdin"], all);
  client.Finish(client.names["stdin"]);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_EQ(got, kBytes);
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace wherry::streaming::test

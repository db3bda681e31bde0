// Exec, attach and port-forward through a whole node: the URL from CRI, then SPDY to it.

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "test/e2e/streaming_node.h"

namespace wherry::e2e {
namespace {

using grpc::StatusCode;
using streaming::test::RunProgram;
using streaming::test::SpdyClient;
using testing::HasSubstr;
using testing::StartsWith;

class StreamingTest : public StreamingNodeTest {};

constexpr streaming::Streams kOut{false, true, true, false}, kAll{true, true, true, false},
    kTty{true, true, false, true};

std::string FileText(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// KUBELET G45, G46, G47.
TEST_F(StreamingTest, AnExecsBytesAndExitCodeReachTheClient) {
  const std::string container = node.Run(node.RunPod("p"), "c", {"sleep", "5000"});
  SpdyClient client(ExecUrl(container, {"sh", "-c", "cat; echo err >&2; exit 7"}, kAll));
  client.OpenRemote(kAll);
  client.Send(client.names["stdin"], "hello");
  client.Finish(client.names["stdin"]);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_EQ(client.text("stdout"), "hello");
  EXPECT_EQ(client.text("stderr"), "err\n");
  EXPECT_THAT(client.text("error"), HasSubstr(R"("message":"7")"));
}

TEST_F(StreamingTest, ATerminalHasTheClientsSize) {
  const std::string container = node.Run(node.RunPod("p"), "c", {"sleep", "5000"});
  SpdyClient client(ExecUrl(container, {"sh", "-c", "read x; stty size"}, kTty));
  client.OpenRemote(kTty);
  client.Send(client.names["resize"], R"({"Width":132,"Height":43})");
  client.Send(client.names["stdin"], "go\n");
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_THAT(client.text("stdout"), HasSubstr("43 132"));
}

// KUBELET G45: InvalidArgument for tty+stderr or no stream; NotFound.
TEST_F(StreamingTest, WhatCannotBeIsRefusedAtOnce) {
  const std::string pod = node.RunPod("p"), container = node.Run(pod, "c", {"sleep", "5000"});
  const std::string created = node.Create(pod, "d", {"true"});
  std::string url;
  EXPECT_EQ(TryExec(container, {"sh"}, {true, true, true, true}, &url).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(TryExec(container, {"sh"}, {}, &url).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(TryExec(container, {}, kOut, &url).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(TryExec("unknown", {"sh"}, kOut, &url).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(TryExec(created, {"sh"}, kOut, &url).error_code(), StatusCode::FAILED_PRECONDITION);
}

TEST_F(StreamingTest, AnAttachmentSeesWhatIsTypedAndPrinted) {
  const std::string container = node.Run(node.RunPod("p"), "c", {"sh", "-c", "while read x; do echo got $x; done"},
                                         [](cri::ContainerConfig& config) { config.set_stdin(true); });
  SpdyClient client(AttachUrl(container));
  client.OpenRemote({true, true, false, false});
  client.Send(client.names["stdin"], "this\n");
  EXPECT_TRUE(client.Until([&] { return client.text("stdout") == "got this\n"; }));
  client.connection.Hangup();
  EXPECT_EQ(node.Status(container).state(), cri::CONTAINER_RUNNING);
}

TEST_F(StreamingTest, WithACertificateUrlsAreHttpsAndWithoutItsKeyNothingStarts) {
  const std::string key = node.dir() + "/key.pem", other = node.dir() + "/other.pem", cert = node.dir() + "/cert.pem";
  for (const std::string& file : {key, other})
    ASSERT_EQ(RunProgram({"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file}), 0);
  ASSERT_EQ(RunProgram({"openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=node", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-out", cert}),
            0);
  const std::string container = node.Run(node.RunPod("p"), "c", {"sleep", "5000"}),
                    config = node.dir() + "/config.toml";
  node.Kill9();
  std::ofstream(config, std::ios::app) << "[streaming]\ntls_cert_file = \"" << cert << "\"\ntls_key_file = \"" << key
                                       << "\"\n";
  std::filesystem::copy_file(config, config + ".bad");
  ASSERT_EQ(RunProgram({"sed", "-i", "s/key.pem/other.pem/", config + ".bad"}), 0);
  const std::string said = node.dir() + "/said";
  const std::string start = WHERRY_BIN_DIR "/wherryd --config \"$1\" 2>&1";
  EXPECT_NE(RunProgram({"sh", "-c", start, "sh", config + ".bad"}, said), 0);
  EXPECT_THAT(FileText(said), HasSubstr("does not go with the key in \"" + other));
  ASSERT_NO_FATAL_FAILURE(node.Start());
  const std::string url = ExecUrl(container, {"echo", "secret"}, kOut);
  EXPECT_THAT(url, StartsWith("https://127.0.0.1:"));
  ::setenv("SSL_CERT_FILE", cert.c_str(), 1);
  SpdyClient client(url);
  client.OpenRemote(kOut);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_EQ(client.text("stdout"), "secret\n");
  ::unsetenv("SSL_CERT_FILE");
  // The command line checks the certificate, too.
  const std::string program = WHERRY_BIN_DIR "/wherry";
  const std::string line = "\"$0\" --endpoint unix://$1/run/wherry.sock exec -i $2 c cat </proc/self/comm 2>&1";
  const auto cli = [&](const std::string& option) {
    return RunProgram({"sh", "-c", line, program, node.dir(), option}, said);
  };
  EXPECT_EQ(cli("--ca-file=" + cert), 0);
  EXPECT_EQ(FileText(said), "sh\n");
  EXPECT_NE(cli(""), 0);
  EXPECT_THAT(FileText(said), HasSubstr("certificate verify failed"));
}

// KUBELET G46, G47.
TEST_F(StreamingTest, APortOfAPodIsReachedAndAClosedOneFailsItsPairOnly) {
  const std::string pod = node.RunPod("p");
  node.Run(pod, "c", {"nc", "-ll", "-p", "8080", "-e", "cat"});
  const std::unique_ptr<SpdyClient> forward = Forward(pod);
  SpdyClient& client = *forward;
  int request_id = 0;
  auto open = [&](const char* port) {
    const std::string id = absl::StrCat(request_id++);
    const uint32_t error = client.Open({{"streamtype", "error"}, {"port", port}, {"requestid", id}});
    return std::pair(error, client.Open({{"streamtype", "data"}, {"port", port}, {"requestid", id}}));
  };
  const auto bad = open("81");
  ASSERT_TRUE(client.Until([&] { return client.streams[bad.second].reset && client.streams[bad.first].ended; }));
  EXPECT_THAT(client.streams[bad.first].data, HasSubstr("error forwarding port 81"));
  // The program may not listen yet.
  std::pair<uint32_t, uint32_t> good;
  Eventually("the port to answer", [&] {
    good = open("8080");
    client.Send(good.second, "ping");
    client.Until([&] { return client.streams[good.second].reset || !client.streams[good.second].data.empty(); });
    return !client.streams[good.second].reset;
  });
  EXPECT_EQ(client.streams[good.second].data, "ping");
}

TEST_F(StreamingTest, AStopOfWherrydEndsSessionsWithAReasonAndNoContainer) {
  const std::string pod = node.RunPod("p"), container = node.Run(pod, "c", {"sleep", "5000"});
  SpdyClient exec(ExecUrl(container, {"sh", "-c", "echo up; cat"}, kAll));
  exec.OpenRemote(kAll);
  ASSERT_TRUE(exec.Until([&] { return exec.text("stdout") == "up\n"; }));
  const std::unique_ptr<SpdyClient> idle = Forward(pod);
  EXPECT_EQ(node.Terminate(), 0);
  EXPECT_TRUE(exec.UntilClosed());
  EXPECT_THAT(exec.text("error"), HasSubstr("wherryd stops"));
  EXPECT_TRUE(idle->UntilClosed());
  node.Start();
  EXPECT_EQ(node.Status(container).state(), cri::CONTAINER_RUNNING);
}

}  // namespace
}  // namespace wherry::e2e

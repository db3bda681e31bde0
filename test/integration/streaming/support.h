#pragma once

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cri/streaming/server.h"
#include "cri/streaming/spdy/session.h"

// A real streaming server over real processes and sockets of this machine, and clients of it that know nothing of the server's
// code but the codec.
namespace wherry::streaming::test {

// Runs commands as children of the test. The container "gone" is unknown; any other runs.
class LocalBackend final : public Backend {
 public:
  absl::StatusOr<std::unique_ptr<Process>> Exec(const std::string& container_id,
                                                const std::vector<std::string>& command, Streams streams) override;
  absl::StatusOr<std::unique_ptr<Process>> Attach(const std::string& container_id, Streams streams) override;
  absl::StatusOr<sys::UniqueFd> Connect(const std::string& pod_id, uint16_t port) override;

  std::atomic<int> running{0};  // processes that the server has not let go of
};

void Eventually(const std::string& what, const std::function<bool()>& done);

class ServerTest : public testing::Test {
 protected:
  ServerTest();
  ~ServerTest() override;

  std::string Url(Request request);
  std::string Exec(const std::vector<std::string>& command, Streams streams);

  Server::Options options;
  LocalBackend backend;
  std::unique_ptr<Server> server;  // Start()ed by Url() when nobody has before
};

// Runs a program of $PATH to its end, its output into `file`. Its status; -1 when there is no such program.
int RunProgram(std::vector<std::string> words, const std::string& file = "/dev/null");

// A TCP connection with the server of a URL, after a request by hand. With https by way of OpenSSL's s_client, which shares no code
// with the server, and trusts what $SSL_CERT_FILE holds.
class Connection {
 public:
  // Sends "METHOD path HTTP/1.1" and `headers`, and reads the answer's head.
  Connection(const std::string& url, const std::string& headers, const std::string& method = "POST");
  const std::string& head() const { return head_; }
  int code() const;
  std::string Read(size_t max = 65536);  // what comes next; "" at the end
  std::string ReadAll();
  void Write(const std::string& bytes);
  int fd() const { return fd_.get(); }
  void Hangup() { fd_.reset(); }

 private:
  void Connect(const std::string& address, uint16_t port);
  void ConnectTls(const std::string& address, uint16_t port);

  sys::UniqueFd fd_;
  std::string head_, rest_;
};

constexpr char kSpdyV4[] =
    "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n";

// A client of SPDY sessions, on the test's thread.
class SpdyClient final : public spdy::Session::Events {
 public:
  explicit SpdyClient(const std::string& url, const std::string& headers = kSpdyV4);

  struct Stream {
    std::string data{};
    bool replied = false, ended = false, reset = false;
  };
  uint32_t Open(const spdy::Headers& headers);
  void Send(uint32_t id, const std::string& bytes);
  void Finish(uint32_t id);
  // As Kubernetes' own clients do: the server is told of no windows. Before anything else.
  void HaveNoWindows();
  // Talks until `done`, or the server hangs up. False, and a failed test, after 30 s.
  bool Until(const std::function<bool()>& done);
  bool UntilClosed() {
    return Until([this] { return closed; });
  }

  Connection connection;
  std::map<uint32_t, Stream> streams;
  std::map<std::string, uint32_t> names;  // of the streams that OpenRemote() opened
  bool closed = false, gone_away = false;
  std::function<void(uint32_t, absl::string_view)> on_data;  // instead of Stream::data

  // The streams of an exec or attach.
  void OpenRemote(Streams streams);
  const std::string& text(const std::string& name) { return streams[names[name]].data; }

 private:
  bool windows_ = true;
  void OnStream(uint32_t, const spdy::Headers&) override {}
  void OnReply(uint32_t id, const spdy::Headers&) override { streams[id].replied = true; }
  void OnData(uint32_t id, absl::string_view data) override;
  void OnEnd(uint32_t id) override { streams[id].ended = true; }
  void OnReset(uint32_t id) override { streams[id].reset = true; }
  void OnSent(uint32_t) override {}
  void OnGoAway() override { gone_away = true; }

 public:
  spdy::Session session;
};

// A client of WebSockets: frames by RFC 6455, by hand.
class WsClient {
 public:
  WsClient(const std::string& url, const std::string& protocol);
  void Send(const std::string& message, int opcode = 2);
  // The next message, "" when the server has closed; opcode 8 and others end up in `last_opcode`.
  std::string Receive();
  // All messages to the end, joined by their channel (first byte).
  std::map<int, std::string> ReceiveAll();

  Connection connection;
  int last_opcode = 0;

 private:
  std::string Take(size_t bytes);
  std::string buffer_;
};

}  // namespace wherry::streaming::test

#include "test/integration/streaming/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::streaming::test {
namespace {

class Child final : public Process {
 public:
  Child(pid_t pid, sys::UniqueFd master, std::atomic<int>& running)
      : pid_(pid),
        pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))),
        master_(std::move(master)),
        running_(running) {
    ++running_;
  }
  ~Child() override {
    if (!reaped_) {
      ::kill(pid_, SIGKILL);  // it may not lead a group yet
      ::kill(-pid_, SIGKILL);
      ::waitpid(pid_, &status_, 0);
    }
    --running_;
  }
  int ended() const override { return pidfd_.get(); }
  absl::StatusOr<int> ExitCode() const override {
    ::waitpid(pid_, &status_, 0);
    reaped_ = true;
    return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
  }
  absl::Status Resize(uint16_t width, uint16_t height) override {
    winsize size{height, width, 0, 0};
    return ::ioctl(master_.get(), TIOCSWINSZ, &size) == 0 ? absl::OkStatus() : sys::Errno("TIOCSWINSZ");
  }

 private:
  const pid_t pid_;
  const sys::UniqueFd pidfd_, master_;
  std::atomic<int>& running_;
  mutable int status_ = 0;
  mutable bool reaped_ = false;
};

void Pipe(sys::UniqueFd* read, sys::UniqueFd* write) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  read->reset(ends[0]);
  write->reset(ends[1]);
}

void SetNonBlocking(const sys::UniqueFd& fd) {
  if (fd.valid()) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

sys::UniqueFd Dup(int fd) { return sys::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> LocalBackend::Exec(const std::string& container_id,
                                                            const std::vector<std::string>& command, Streams streams) {
  if (container_id == "gone") return absl::NotFoundError("container \"gone\" is unknown");
  sys::UniqueFd in_read, in_write, out_read, out_write, err_read, err_write, master;
  if (streams.tty) {
    master.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ::grantpt(master.get());
    ::unlockpt(master.get());
    in_read.reset(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    out_write = Dup(in_read.get());
    in_write = Dup(master.get());
    out_read = Dup(master.get());
  } else {
    Pipe(&in_read, &in_write);
    Pipe(&out_read, &out_write);
    Pipe(&err_read, &err_write);
  }
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setsid();
    if (streams.tty) ::ioctl(in_read.get(), TIOCSCTTY, 0);
    ::dup2(in_read.get(), 0);
    ::dup2(out_write.get(), 1);
    ::dup2(streams.tty ? out_write.get() : err_write.get(), 2);
    (void)::signal(SIGPIPE, SIG_DFL);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  auto child = std::make_unique<Child>(pid, std::move(master), running);
  if (streams.in) child->in = std::move(in_write);
  if (streams.out) child->out = std::move(out_read);
  if (streams.err) child->err = std::move(err_read);
  for (const sys::UniqueFd* fd : {&child->in, &child->out, &child->err}) SetNonBlocking(*fd);
  return child;
}

absl::StatusOr<std::unique_ptr<Process>> LocalBackend::Attach(const std::string& container_id, Streams streams) {
  return Exec(container_id, {"sh", "-c", "echo attached; cat; exit 5"}, streams);
}

absl::StatusOr<sys::UniqueFd> LocalBackend::Connect(const std::string& pod_id, uint16_t port) {
  if (pod_id == "gone") return absl::NotFoundError("pod \"gone\" is unknown");
  sys::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return absl::UnavailableError(absl::StrCat("connect: ", sys::Errno("port").message()));
  SetNonBlocking(fd);
  return fd;
}

void Eventually(const std::string& what, const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!done()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited 30 s in vain for: " << what;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

ServerTest::ServerTest() { (void)::signal(SIGPIPE, SIG_IGN); }

ServerTest::~ServerTest() {
  server.reset();
  EXPECT_EQ(backend.running, 0);
}

std::string ServerTest::Url(Request request) {
  if (server == nullptr) {
    auto started = Server::Start(options, backend);
    EXPECT_TRUE(started.ok()) << started.status();
    if (!started.ok()) return "";
    server = *std::move(started);
  }
  auto url = server->Url(std::move(request));
  EXPECT_TRUE(url.ok()) << url.status();
  return url.value_or("");
}

std::string ServerTest::Exec(const std::vector<std::string>& command, Streams streams) {
  return Url({Kind::kExec, "c", command, streams});
}

int RunProgram(std::vector<std::string> words, const std::string& file) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  pid_t pid = -1;
  int status = -1;
  if (posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) == 0) ::waitpid(pid, &status, 0);
  posix_spawn_file_actions_destroy(&actions);
  return status;
}

void Connection::Connect(const std::string& address, uint16_t port) {
  const bool six = address == "::1";
  fd_.reset(::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in v4{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  sockaddr_in6 v6{AF_INET6, htons(port), 0, in6addr_loopback, 0};
  const auto* to = six ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  if (::connect(fd_.get(), to, six ? sizeof(v6) : sizeof(v4)) != 0) ADD_FAILURE() << "cannot connect to " << port;
}

// It ends by itself when our end of the pair is closed, or the server's connection.
void Connection::ConnectTls(const std::string& address, uint16_t port) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  fd_.reset(pair[0]);
  const sys::UniqueFd theirs(pair[1]);
  std::vector<std::string> words = {"openssl",     "s_client",
                                    "-quiet",      "-no_ign_eof",
                                    "-nocommands", "-verify_return_error",
                                    "-verify_ip",  address,
                                    "-connect",    absl::StrCat(address == "::1" ? "[::1]" : address, ":", port)};
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // Twice, so that nobody has to reap it.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::fork() != 0) ::_exit(0);
    ::dup2(theirs.get(), 0);
    ::dup2(theirs.get(), 1);
    ::dup2(::open("/dev/null", O_WRONLY), 2);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ::waitpid(child, nullptr, 0);
}

Connection::Connection(const std::string& url, const std::string& headers, const std::string& method) {
  const size_t host = url.find("//") + 2, path = url.find('/', host), colon = url.rfind(':');
  const auto port = static_cast<uint16_t>(std::strtoul(url.c_str() + colon + 1, nullptr, 10));
  const std::string address = url[host] == '[' ? "::1" : "127.0.0.1";
  if (url.compare(0, 8, "https://") == 0) {
    ConnectTls(address, port);
  } else {
    Connect(address, port);
  }
  Write(absl::StrCat(method, " ", url.substr(path), " HTTP/1.1\r\nHost: x\r\n", headers, "\r\n"));
  std::string got;
  while (got.find("\r\n\r\n") == std::string::npos) {
    const std::string more = Read();
    if (more.empty()) break;
    got += more;
  }
  const size_t end = std::min(got.size(), got.find("\r\n\r\n") + 4);
  head_ = got.substr(0, end);
  rest_ = got.substr(end);
}

int Connection::code() const {
  return head_.size() < 12 ? 0 : static_cast<int>(std::strtol(head_.c_str() + 9, nullptr, 10));
}

std::string Connection::Read(size_t max) {
  if (!rest_.empty()) return std::exchange(rest_, "");
  std::string out(max, '\0');
  const ssize_t n = ::read(fd_.get(), out.data(), out.size());
  out.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return out;
}

std::string Connection::ReadAll() {
  std::string out;
  for (std::string more = Read(); !more.empty(); more = Read()) out += more;
  return out;
}

void Connection::Write(const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::write(fd_.get(), bytes.data() + at, bytes.size() - at);
    if (n <= 0) return;
    at += static_cast<size_t>(n);
  }
}

SpdyClient::SpdyClient(const std::string& url, const std::string& headers)
    : connection(url, headers), session(spdy::Session::Role::kClient, *this, true) {
  EXPECT_EQ(connection.code(), 101) << connection.head();
}

uint32_t SpdyClient::Open(const spdy::Headers& headers) {
  const uint32_t id = session.Open(headers);
  streams[id];
  return id;
}

void SpdyClient::Send(uint32_t id, const std::string& bytes) { session.Send(id, Chunk::Copy(bytes)); }
void SpdyClient::Finish(uint32_t id) { session.Finish(id); }

void SpdyClient::HaveNoWindows() {
  (void)session.Gather();
  session.Sent();
  windows_ = false;
}

void SpdyClient::OpenRemote(Streams wanted) {
  names["error"] = Open({{"streamtype", "error"}});
  if (wanted.in) names["stdin"] = Open({{"streamtype", "stdin"}});
  if (wanted.out) names["stdout"] = Open({{"streamtype", "stdout"}});
  if (wanted.err) names["stderr"] = Open({{"streamtype", "stderr"}});
  if (wanted.tty) names["resize"] = Open({{"streamtype", "resize"}});
}

void SpdyClient::OnData(uint32_t id, absl::string_view data) {
  if (on_data) {
    on_data(id, data);
  } else {
    absl::StrAppend(&streams[id].data, data);
  }
  if (windows_) session.Consumed(id, data.size());
}

bool SpdyClient::Until(const std::function<bool()>& done) {
  ::fcntl(connection.fd(), F_SETFL, O_NONBLOCK);
  std::string out;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!done() && !closed) {
    if (out.empty()) {
      for (const streaming::Piece& piece : session.Gather()) out.append(piece.data, piece.size);
      if (!out.empty()) session.Sent();
    }
    pollfd poll{connection.fd(), static_cast<short>(POLLIN | (out.empty() ? 0 : POLLOUT)), 0};
    // `done` may look at more than this connection.
    if (::poll(&poll, 1, 20) == 0 && std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "waited 30 s for the server";
      return false;
    }
    if ((poll.revents & POLLOUT) != 0) {
      const ssize_t n = ::write(connection.fd(), out.data(), out.size());
      if (n > 0) out.erase(0, static_cast<size_t>(n));
    }
    if ((poll.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      const std::string bytes = connection.Read(256 << 10);
      if (bytes.empty()) closed = true;
      EXPECT_TRUE(session.Receive(bytes).ok());
    }
  }
  return done();
}

WsClient::WsClient(const std::string& url, const std::string& protocol)
    : connection(url,
                 absl::StrCat("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                              protocol.empty() ? "" : absl::StrCat("Sec-WebSocket-Protocol: ", protocol, "\r\n")),
                 "GET") {
  EXPECT_EQ(connection.code(), 101) << connection.head();
  EXPECT_THAT(connection.head(), testing::HasSubstr("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));  // RFC 6455, 1.3
}

void WsClient::Send(const std::string& message, int opcode) {
  std::string frame(1, static_cast<char>(0x80 | opcode));
  if (message.size() < 126) {
    frame += static_cast<char>(0x80 | message.size());
  } else {
    frame += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(message.size() >> shift & 0xff);
  }
  frame += std::string("\0\0\0\0", 4);  // a mask that changes nothing
  connection.Write(frame + message);
}

std::string WsClient::Take(size_t bytes) {
  while (buffer_.size() < bytes) {
    const std::string more = connection.Read();
    if (more.empty()) break;
    buffer_ += more;
  }
  std::string out = buffer_.substr(0, bytes);
  buffer_.erase(0, out.size());
  return out;
}

std::string WsClient::Receive() {
  const std::string head = Take(2);
  if (head.size() < 2) return "";
  last_opcode = head[0] & 0xf;
  uint64_t size = static_cast<uint8_t>(head[1]) & 0x7f;
  if (size >= 126) {
    const std::string more = Take(size == 126 ? 2 : 8);
    size = 0;
    for (char c : more) size = size << 8 | static_cast<uint8_t>(c);
  }
  std::string message = Take(size);
  if (last_opcode != 8) return message;
  Send(message, 8);
  return "";
}

std::map<int, std::string> WsClient::ReceiveAll() {
  std::map<int, std::string> out;
  for (std::string message = Receive(); !message.empty(); message = Receive())
    out[static_cast<uint8_t>(message[0])] += message.substr(1);
  return out;
}

}  // namespace wherry::streaming::test

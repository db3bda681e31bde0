#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "test/integration/backend/node.h"

namespace wherry::streaming {
namespace {

using ConnectTest = BackendTest;

// Two lines there and back through `fd`.
void ExpectEcho(const sys::UniqueFd& fd) {
  for (const std::string line : {"hello\n", "again\n"}) {
    Write(fd.get(), line);
    EXPECT_EQ(ReadUntil(fd.get(), "\n"), line);
  }
}

class Echo {
 public:
  // One listener in the caller's network namespace; the kernel picks the port.
  explicit Echo(int family) : listener_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int only = 1;
    if (family == AF_INET6) (void)::setsockopt(listener_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    if (family == AF_INET6)
      reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr = in6addr_loopback;
    else
      reinterpret_cast<sockaddr_in*>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                     : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
    thread_ = std::thread([this] {
      sys::UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
      char buffer[1000];
      for (ssize_t n; (n = ::read(peer.get(), buffer, sizeof buffer)) > 0;) Write(peer.get(), std::string(buffer, n));
    });
  }
  ~Echo() { thread_.join(); }
  uint16_t port() const { return port_; }

 private:
  sys::UniqueFd listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(ConnectTest, IntoThePodsOwnNetwork) {
  const std::string pod = RunPod("p", false);
  const std::string container = Run(pod, "c", "exec nc -ll -p 7777 -e cat");
  absl::StatusOr<sys::UniqueFd> socket;
  for (int i = 0; i < 3000; ++i) {
    socket = backend_->Connect(pod, 7777);
    if (socket.ok()) break;
    ::usleep(10000);
  }
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_NE(::fcntl(socket->get(), F_GETFL) & O_NONBLOCK, 0);
  ExpectEcho(*socket);
  // Nobody listens there in this test's own network.
  sys::UniqueFd outside(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(7777);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_NE(::connect(outside.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

TEST_F(ConnectTest, IntoTheHostsNetworkByEitherFamily) {
  const std::string pod = RunPod("p", true);
  for (const int family : {AF_INET, AF_INET6}) {
    Echo echo(family);
    auto socket = backend_->Connect(pod, echo.port());
    ASSERT_TRUE(socket.ok()) << socket.status();
    ExpectEcho(*socket);
  }
}

TEST_F(ConnectTest, RefusesWithTheRightCode) {
  EXPECT_TRUE(absl::IsNotFound(backend_->Connect("nobody", 80).status()));
  const std::string pod = RunPod("p", false);
  const absl::Status nobody = backend_->Connect(pod, 1).status();
  EXPECT_TRUE(absl::IsUnavailable(nobody)) << nobody;
  EXPECT_NE(nobody.message().find("Connection refused"), absl::string_view::npos) << nobody;
  EXPECT_TRUE(absl::IsInvalidArgument(backend_->Connect(pod, 0).status()));
  ASSERT_TRUE(pods_->Stop(pod).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(backend_->Connect(pod, 1).status()));
}

TEST_F(ConnectTest, ConnectionsLeaveNeitherThreadsNorDescriptors) {
  const std::string pod = RunPod("p", false);
  const auto count = [](const char* what) {
    return std::distance(std::filesystem::directory_iterator(std::string("/proc/self/") + what), {});
  };
  (void)backend_->Connect(pod, 1);
  const auto fds = count("fd"), threads = count("task");
  for (int i = 0; i < 500; ++i) EXPECT_FALSE(backend_->Connect(pod, 1).ok());
  EXPECT_EQ(count("fd"), fds);
  for (int i = 0; i < 3000 && count("task") != threads; ++i) ::usleep(1000);
  EXPECT_EQ(count("task"), threads);
}

}  // namespace
}  // namespace wherry::streaming

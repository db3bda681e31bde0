// What wherryd tells the service manager that started it (sd_notify(3)), which is this test.

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>

#include "runtime/sys/unique_fd.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

class ServiceManagerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(socket_.valid());
    sockaddr_un address = {AF_UNIX, "/mnt/notify"};
    unlink(address.sun_path);
    ASSERT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    timeval patience = {30, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", "200000", 1);
  }
  void TearDown() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
  }

  std::string Next() {
    std::array<char, 4096> text;
    const ssize_t size = recv(socket_.get(), text.data(), text.size(), 0);
    return size < 0 ? "nothing" : std::string(text.data(), size);
  }

  sys::UniqueFd socket_{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  Node node;
};

TEST_F(ServiceManagerTest, IsToldOfReadinessOfLifeAndOfTheEnd) {
  ASSERT_NO_FATAL_FAILURE(node.Start());
  EXPECT_EQ(Next(), "READY=1");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Next(), "WATCHDOG=1");
  kill(node.pid(), SIGTERM);
  std::string last;
  do last = Next();
  while (last == "WATCHDOG=1");
  EXPECT_EQ(last, "STOPPING=1");
}

}  // namespace
}  // namespace wherry::e2e

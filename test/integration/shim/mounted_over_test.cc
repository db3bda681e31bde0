#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "runtime/shim/procfs.h"
#include "runtime/shim/sysctl.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

// Calls `body` with an empty directory in mount and network namespaces of its own, which go with it.
void WithMounts(const std::function<void(const std::string&)>& body) {
  std::string directory = testing::TempDir() + "/mounted-over-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS | CLONE_NEWNET), 0) << strerror(errno);
    ASSERT_EQ(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << strerror(errno);
    ASSERT_EQ(::mount("tmpfs", directory.c_str(), "tmpfs", 0, nullptr), 0) << strerror(errno);
    body(directory);
  }).join();
  EXPECT_EQ(::rmdir(directory.c_str()), 0) << strerror(errno);
}

std::string Text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// CVE-2025-52881: who can mount over a file of /proc reads what the runtime writes there, or chooses what it writes to.
TEST(MountedOverTest, ASysctlIsWrittenToProcfsOrNowhere) {
  WithMounts([](const std::string& directory) {
    auto procfs = OpenProcfs();
    ASSERT_TRUE(procfs.ok()) << procfs.status();
    const std::string proc = directory + "/proc", file = directory + "/file";
    ASSERT_EQ(::mkdir(proc.c_str(), 0755), 0);
    std::ofstream(file) << "";
    ASSERT_EQ(::syscall(SYS_move_mount, procfs->get(), "", AT_FDCWD, proc.c_str(), MOVE_MOUNT_F_EMPTY_PATH), 0)
        << strerror(errno);
    const SysctlValues values = {{"net/ipv4/ip_forward", "0"}};
    EXPECT_TRUE(WriteSysctls(procfs->get(), values).ok());
    ASSERT_EQ(::mount(file.c_str(), (proc + "/sys/net/ipv4/ip_forward").c_str(), nullptr, MS_BIND, nullptr), 0)
        << strerror(errno);
    const absl::Status status = WriteSysctls(procfs->get(), values);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(Text(file), "");
  });
}

TEST(MountedOverTest, NothingBeneathADirectoryIsAnotherMount) {
  WithMounts([](const std::string& directory) {
    const std::string inner = directory + "/inner";
    ASSERT_EQ(::mkdir(inner.c_str(), 0755), 0);
    sys::UniqueFd top(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    EXPECT_TRUE(sys::OpenBeneath(top.get(), "inner", O_PATH).ok());
    ASSERT_EQ(::mount("tmpfs", inner.c_str(), "tmpfs", 0, nullptr), 0) << strerror(errno);
    const auto opened = sys::OpenBeneath(top.get(), "inner", O_PATH);
    EXPECT_TRUE(sys::IsErrno(opened.status(), EXDEV)) << opened.status();
  });
}

}  // namespace
}  // namespace wherry::shim

// Every run of the end-to-end tests is a small machine of its own: new PID, network, mount, IPC and UTS
// namespaces, a private /proc and a tmpfs for all files. When the first process of the PID namespace ends,
// the kernel ends all others, so that not even a crashed test can leave a process behind. Only cgroups have
// to be cleaned by hand: the outer process does it, below one subtree with an unguessable name. It removes
// the files as well where $WHERRY_E2E_DISK names a directory for them: a node's are on a disk, and kernels
// before 6.3 cannot show a tmpfs with the ids of a user namespace.

#include "test/e2e/machine.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "test/e2e/node.h"
#include "test/host_unique.h"

namespace wherry::e2e {
namespace {

void Must(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(1);
}

void LoopbackUp() {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq req = {};
  std::strncpy(req.ifr_name, "lo", IFNAMSIZ - 1);
  req.ifr_flags = IFF_UP | IFF_RUNNING;
  Must(ioctl(fd, SIOCSIFFLAGS, &req) == 0, "bring lo up");
  close(fd);
}

// Below $WHERRY_E2E_DISK, or "".
std::string MakeFiles() {
  const char* disk = std::getenv("WHERRY_E2E_DISK");
  if (disk == nullptr) return "";
  std::string dir = std::string(disk) + "/wherry-e2e.XXXXXX";
  Must(mkdtemp(dir.data()) != nullptr && chmod(dir.c_str(), 0755) == 0, dir.c_str());
  return dir;
}

int RunInside(int argc, char** argv, const std::string& files, const std::function<void()>& prepare) {
  Must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make / private");
  Must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0, "mount /proc");
  if (files.empty())
    Must(mount("wherry-e2e", "/mnt", "tmpfs", 0, "mode=755") == 0, "mount tmpfs");
  else
    Must(mount(files.c_str(), "/mnt", nullptr, MS_BIND, nullptr) == 0, "mount the files' directory");
  // The command line keeps logs there.
  Must(mount("wherry-e2e", "/var/log", "tmpfs", 0, "mode=755") == 0, "mount tmpfs");
  LoopbackUp();
  prepare();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace

int RunInMachine(int argc, char** argv, const std::function<void()>& prepare) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--gtest_list_tests") == 0) {
      testing::InitGoogleTest(&argc, argv);
      return RUN_ALL_TESTS();
    }
  }
  if (geteuid() != 0) {
    std::cerr << "the end-to-end tests make namespaces and need root\n";
    return 1;
  }
  const std::string cgroup = "/wherry-e2e-" + HostUnique(getpid());
  setenv("WHERRY_E2E_CGROUP", cgroup.c_str(), 1);
  const std::string files = MakeFiles();
  Must(unshare(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) == 0, "unshare");
  pid_t child = fork();
  Must(child >= 0, "fork");
  if (child == 0) std::exit(RunInside(argc, argv, files, prepare));
  int status = 0;
  Must(waitpid(child, &status, 0) == child, "waitpid");
  RemoveCgroupsNamed(cgroup);
  std::error_code ignored;
  if (!files.empty()) std::filesystem::remove_all(files, ignored);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace wherry::e2e

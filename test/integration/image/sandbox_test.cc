// What a wherry-pull can still do while it holds foreign bytes. From outside: it is stopped where it waits for wherryd, and looked at.
// From inside: a child enters the same sandbox and tries.
#include "cri/image/sandbox.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cri/image/channel.h"
#include "cri/image/pull_process.h"
#include "runtime/sys/file.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SandboxTest : public StoreTest {
 protected:
  // In mounts that are all shared, as on nodes with systemd: pivot_root(2) does not take those.
  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    for (unsigned long propagation : {MS_PRIVATE, MS_SHARED})
      ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | propagation, nullptr), 0);
    StoreTest::SetUp();
  }
  void TearDown() override {
    pull_.reset();
    StoreTest::TearDown();
  }

  // One that unpacks, stopped where it asks which layers are wanted.
  void StartImport() {
    test::ImageSpec image;
    image.layers = {test::TarWriter().File("f", "x").Bytes()};
    auto archive = sys::OpenAt(AT_FDCWD, Write("archive.tar", test::OciArchive({image})), O_RDONLY);
    ASSERT_TRUE(archive.ok());
    Start(archive->get(), "images/staging", nullptr);
    auto plan = Receive(pull_->control());
    ASSERT_TRUE(plan.ok() && plan->has_plan());
  }
  // One that reads layers, stopped where it waits for its orders. That it is there only its filter tells.
  void StartCheck() {
    Start(-1, "images", "check");
    while (!absl::StrContains(Read(proc_ + "/status"), "Seccomp:\t2")) {
      ASSERT_TRUE(absl::StrContains(Read(proc_ + "/comm"), "wherry-pull"));
      std::this_thread::yield();
    }
  }
  void Start(int archive, const std::string& directory, const char* verb) {
    auto dir = sys::OpenAt(AT_FDCWD, root_ + "/" + directory, O_RDONLY | O_DIRECTORY);
    auto lock = sys::OpenAt(AT_FDCWD, root_ + "/images/pull.lock", O_RDWR);
    ASSERT_TRUE(dir.ok() && lock.ok());
    auto pull = PullProcess::Start(WHERRY_PULL, {archive, dir->get(), lock->get(), verb});
    ASSERT_TRUE(pull.ok()) << pull.status();
    pull_ = std::make_unique<PullProcess>(std::move(*pull));
    while (Pulls().empty()) std::this_thread::yield();
    ASSERT_THAT(Pulls(), SizeIs(1));
    proc_ = absl::StrCat("/proc/", Pulls()[0]);
  }

  void ExpectOneMount(const std::string& directory, const std::string& options) {
    EXPECT_NE(Link("ns/mnt"), std::filesystem::read_symlink("/proc/self/ns/mnt"));
    const std::string mounts = Read(proc_ + "/mountinfo");
    EXPECT_EQ(std::count(mounts.begin(), mounts.end(), '\n'), 1) << mounts;
    EXPECT_THAT(mounts, HasSubstr(" / " + options));
    struct stat root {
    }, expected = Stat(root_ + "/" + directory);
    ASSERT_EQ(::stat((proc_ + "/root/.").c_str(), &root), 0);
    EXPECT_EQ(root.st_ino, expected.st_ino);
    EXPECT_EQ(root.st_dev, expected.st_dev);
    EXPECT_EQ(Link("cwd"), Link("root"));
    // From the host's own mount of the directory ".." would lead on.
    const std::string id = mounts.substr(0, mounts.find(' '));
    EXPECT_THAT(Read(absl::StrCat(proc_, "/fdinfo/", kStagingFd)), HasSubstr("mnt_id:\t" + id + "\n"));
    for (const std::string& fd : Entries(proc_ + "/fd")) EXPECT_LE(std::stoi(fd), kLockFd) << Link("fd/" + fd);
  }
  void ExpectNoNetwork() {
    EXPECT_NE(Link("ns/net"), std::filesystem::read_symlink("/proc/self/ns/net"));
    const std::string interfaces = Read(proc_ + "/net/dev");
    EXPECT_THAT(interfaces, HasSubstr("lo:"));
    EXPECT_EQ(std::count(interfaces.begin(), interfaces.end(), '\n'), 3) << interfaces;
  }
  void ExpectCapabilities(const std::string& set) {
    for (const std::string& tid : Entries(proc_ + "/task")) {
      const std::string status = Read(proc_ + "/task/" + tid + "/status");
      for (const char* kind : {"CapEff", "CapPrm", "CapBnd"})
        EXPECT_THAT(status, HasSubstr(absl::StrCat(kind, ":\t", set)));
      EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
      EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
    }
  }
  std::filesystem::path Link(const std::string& name) { return std::filesystem::read_symlink(proc_ + "/" + name); }

  std::unique_ptr<PullProcess> pull_;
  std::string proc_;
};

TEST_F(SandboxTest, WhoUnpacksSeesItsDirectoryOnlyAndNoNetwork) {
  StartImport();
  ExpectOneMount("images/staging", "rw,nosuid,nodev,noexec");
  ExpectNoNetwork();
  // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SYS_ADMIN, MKNOD, SETFCAP.
  ExpectCapabilities("000000008820001b");
}

TEST_F(SandboxTest, WhoReadsSeesTheStoreReadOnlyAndNoNetwork) {
  StartCheck();
  ExpectOneMount("images", "ro,nosuid,nodev,noexec");
  ExpectNoNetwork();
  // DAC_READ_SEARCH, SYS_ADMIN.
  ExpectCapabilities("0000000000200004");
}

struct Attempt {
  const char* name;
  long (*act)(int dir);
};

const std::vector<Attempt> kEscapes = {
    {"socket", [](int) { return long{::socket(AF_INET, SOCK_STREAM, 0)}; }},
    {"execve", [](int) { return ::syscall(SYS_execve, "/bin/true", nullptr, nullptr); }},
    {"mount", [](int) { return long{::mount("x", "/", "tmpfs", 0, nullptr)}; }},
    {"umount", [](int) { return long{::umount2("/", MNT_DETACH)}; }},
    {"chroot", [](int) { return long{::chroot("/")}; }},
    {"unshare", [](int) { return long{::unshare(CLONE_NEWUTS)}; }},
    {"setns", [](int dir) { return long{::setns(dir, 0)}; }},
    {"ptrace", [](int) { return ::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr); }},
    {"bpf", [](int) { return ::syscall(SYS_bpf, 0, nullptr, 0); }},
    {"keyctl", [](int) { return ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, 0, 0); }},
    {"handle", [](int dir) { return ::syscall(SYS_open_by_handle_at, dir, nullptr, 0); }},
};
const std::vector<Attempt> kWrites = {
    {"create", [](int dir) { return long{::openat(dir, "new", O_WRONLY | O_CREAT, 0600)}; }},
    {"open for writing", [](int dir) { return long{::openat(dir, "file", O_RDWR)}; }},
    {"truncate", [](int dir) { return long{::openat(dir, "file", O_RDONLY | O_TRUNC)}; }},
    {"mkdir", [](int dir) { return long{::mkdirat(dir, "new", 0700)}; }},
    {"unlink", [](int dir) { return long{::unlinkat(dir, "file", 0)}; }},
    {"rename", [](int dir) { return long{::renameat(dir, "file", dir, "other")}; }},
    {"link", [](int dir) { return long{::linkat(dir, "file", dir, "other", 0)}; }},
    {"symlink", [](int dir) { return long{::symlinkat("x", dir, "new")}; }},
    {"mknod", [](int dir) { return long{::mknodat(dir, "new", S_IFIFO | 0600, 0)}; }},
    {"chmod", [](int dir) { return long{::fchmodat(dir, "file", 0777, 0)}; }},
    {"chown", [](int dir) { return long{::fchownat(dir, "file", 1, 1, 0)}; }},
    {"setxattr", [](int) { return long{::setxattr("/file", "user.a", "b", 1, 0)}; }},
    {"utimes", [](int dir) { return long{::utimensat(dir, "file", nullptr, 0)}; }},
};

// Those of `attempts` that do not end with EPERM in a child that has entered the sandbox; and whether it finds nothing outside.
std::vector<std::string> Allowed(const std::string& path, absl::Status (*enter)(int),
                                 const std::vector<Attempt>& attempts) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int dir = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (::dup2(dir, kStagingFd) < 0 || !enter(kStagingFd).ok()) ::_exit(100);
    for (size_t i = 0; i < attempts.size(); ++i)
      if (attempts[i].act(kStagingFd) >= 0 || errno != EPERM) ::_exit(static_cast<int>(1 + i));
    struct stat root {
    }, above{};
    if (::fstatat(kStagingFd, "..", &above, 0) != 0 || ::stat("/", &root) != 0 || root.st_ino != above.st_ino)
      ::_exit(101);
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 102;
  if (code == 0) return {};
  if (code >= 100) return {code == 100 ? "the sandbox cannot be entered" : code == 101 ? "\"..\"" : "it was killed"};
  return {attempts[static_cast<size_t>(code) - 1].name};
}

TEST_F(SandboxTest, WhatLeadsOutIsDenied) {
  Write("file", "x");
  EXPECT_THAT(Allowed(root_, EnterSandbox, kEscapes), IsEmpty());
  EXPECT_THAT(Allowed(root_, EnterReadSandbox, kEscapes), IsEmpty());
}

TEST_F(SandboxTest, WhoReadsCannotWriteAnything) {
  Write("file", "x");
  EXPECT_THAT(Allowed(root_, EnterReadSandbox, kWrites), IsEmpty());
  EXPECT_EQ(Read(root_ + "/file"), "x");
}

}  // namespace
}  // namespace wherry::image

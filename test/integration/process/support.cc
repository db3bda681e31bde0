#include "test/integration/process/support.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "runtime/security/capability.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/status.h"
#include "test/host_unique.h"

namespace wherry::process {
namespace {

namespace fs = std::filesystem;
constexpr char kCgroups[] = "/sys/fs/cgroup";

std::pair<sys::UniqueFd, sys::UniqueFd> Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) abort();
  return {sys::UniqueFd(ends[0]), sys::UniqueFd(ends[1])};
}

int ExitCode(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

sys::UniqueFd NewShm() {
  auto context = sys::FsContext::Open("tmpfs");
  EXPECT_TRUE(context.ok() && context->Set("mode", "1777").ok() && context->Set("size", "1m").ok());
  return *context->Mount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

Stdio OutputTo(int fd) {
  Stdio stdio;
  stdio.in = *sys::OpenAt(AT_FDCWD, "/dev/null", O_RDONLY);
  stdio.out.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  stdio.err.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  return stdio;
}

std::string DirectoryOf(pid_t pod) { return "/tmp/wherry-process-test-" + HostUnique(pod); }
std::string CgroupOf(pid_t pod) { return "/wherry-process-test-" + HostUnique(pod); }

// After the pod's process: its containers die with it, so what is left is busy for a moment at most.
void Clean(pid_t pod) {
  std::vector<std::string> cgroups = {kCgroups + CgroupOf(pod)};
  for (const auto& entry : fs::directory_iterator(kCgroups)) cgroups.push_back(entry.path().string() + CgroupOf(pod));
  for (const std::string& cgroup : cgroups) {
    while (::rmdir(cgroup.c_str()) != 0 && errno == EBUSY) (void)::sched_yield();
  }
  std::error_code ignored;
  fs::remove_all(DirectoryOf(pod), ignored);
}

// The overlay is volatile: an upper directory serves once.
void Renew(const shim::v1::Rootfs& rootfs) {
  if (!fs::exists(rootfs.workdir() + "/work")) return;
  for (const std::string& dir : {rootfs.upperdir(), rootfs.workdir()}) {
    fs::remove_all(dir);
    fs::create_directory(dir);
  }
}

// A mount namespace with the tmpfs as its root, held by a descriptor only.
sys::UniqueFd NamespaceOf(const sys::UniqueFd& tmpfs) {
  auto [ready, said] = Pipe();
  auto [wait, go] = Pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    go.reset();
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(1);
    if (::move_mount(tmpfs.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) ::_exit(1);
    if (::fchdir(tmpfs.get()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0) ::_exit(1);
    if (::umount2(".", MNT_DETACH) != 0) ::_exit(1);
    char byte = 0;
    if (::write(said.get(), &byte, 1) != 1) ::_exit(1);
    (void)!::read(wait.get(), &byte, 1);
    ::_exit(0);
  }
  said.reset();
  char byte;
  EXPECT_EQ(::read(ready.get(), &byte, 1), 1);
  auto ns = sys::OpenAt(AT_FDCWD, "/proc/" + std::to_string(child) + "/ns/mnt", O_RDONLY);
  EXPECT_TRUE(ns.ok());
  go.reset();
  (void)::waitpid(child, nullptr, 0);
  return *std::move(ns);
}

}  // namespace

Pod::Pod(bool shm_in_namespace) {
  directory_ = DirectoryOf(::getpid());
  MakeLayer();
  MakeCgroups();
  if (shm_in_namespace) {
    context_.shm_namespace = NamespaceOf(NewShm());
  } else {
    context_.shm = NewShm();
  }
}

void Pod::MakeLayer() const {
  for (const char* dir : {"/base/bin", "/base/etc", "/base/tmp", "/base/root"})
    fs::create_directories(directory_ + dir);
  fs::copy_file("/bin/busybox", layer() + "/bin/busybox");
  for (const char* applet :
       {"sh",  "true", "cat",   "id",       "ls",   "stat",  "mount", "touch", "sleep", "echo", "grep",    "pwd",
        "env", "tty",  "mkdir", "readlink", "stty", "umask", "head",  "od",    "df",    "ip",   "hostname"})
    fs::create_symlink("busybox", layer() + "/bin/" + applet);
  Write("base/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnginx:x:101:102:nginx:/var/www:/bin/sh\n");
  Write("base/etc/group", "root:x:0:\nnginx:x:102:\ntape:x:26:nginx\n");
}

void Pod::MakeCgroups() {
  const std::string name = CgroupOf(::getpid());
  for (const auto& entry : fs::directory_iterator(kCgroups)) {
    if (!entry.is_directory() || entry.is_symlink()) continue;
    const std::string dir = entry.path().string() + name;
    if (fs::exists(entry.path() / "tasks") && fs::create_directory(dir)) {
      if (entry.path().filename() == "cpuset") {
        for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
          std::ifstream from(entry.path().string() + file);
          std::string value;
          std::getline(from, value);
          std::ofstream(dir + file) << value;
        }
      }
      cgroup_.add_v1_dirs(dir);
    } else if (fs::exists(entry.path() / "cgroup.controllers") && fs::create_directory(dir)) {
      cgroup_.set_unified_dir(dir);
    }
  }
  if (cgroup_.v1_dirs().empty() && fs::exists(std::string(kCgroups) + "/cgroup.controllers") &&
      fs::create_directory(kCgroups + name))
    cgroup_.set_unified_dir(kCgroups + name);
}

void Pod::Write(const std::string& path, const std::string& text, mode_t mode) const {
  const std::string full = directory_ + "/" + path;
  fs::create_directories(fs::path(full).parent_path());
  std::ofstream(full) << text;
  EXPECT_EQ(::chmod(full.c_str(), mode), 0);
}

shim::v1::StartContainerRequest Pod::Request(const std::vector<std::string>& args) {
  const std::string own = directory_ + "/c" + std::to_string(containers_++);
  fs::create_directories(own + "/upper");
  fs::create_directories(own + "/work");
  shim::v1::StartContainerRequest request;
  request.set_container_id("c");
  request.set_work_directory(own);
  shim::v1::Process& process = *request.mutable_process();
  for (const std::string& arg : args) process.add_args(arg);
  process.add_env("PATH=/bin");
  process.set_cwd("/");
  process.mutable_capabilities()->set_permitted(security::DefaultCapabilities());
  process.mutable_capabilities()->set_bounding(security::DefaultCapabilities());
  request.mutable_rootfs()->add_lowerdirs(layer());
  request.mutable_rootfs()->set_upperdir(own + "/upper");
  request.mutable_rootfs()->set_workdir(own + "/work");
  *request.mutable_cgroup() = cgroup_;
  return request;
}

shim::v1::ExecRequest Pod::ExecRequest(const shim::v1::StartContainerRequest& container,
                                       const std::vector<std::string>& args) const {
  shim::v1::ExecRequest request;
  request.set_container_id(container.container_id());
  request.set_exec_id("e");
  *request.mutable_process() = container.process();
  request.mutable_process()->clear_args();
  for (const std::string& arg : args) request.mutable_process()->add_args(arg);
  *request.mutable_cgroup() = container.cgroup();
  return request;
}

Ended Pod::Finish(absl::StatusOr<Launch> launch, int output) {
  Ended ended;
  if (!launch.ok()) {
    ended.start = launch.status();
    return ended;
  }
  pollfd poll{launch->outcome.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll, 1, -1), 1);
  auto outcome = ReadOutcome(*launch);
  ended.start = outcome.status();
  sys::UniqueFd master;
  if (outcome.ok()) {
    ended.user = outcome->user;
    master = std::move(outcome->tty_master);
  }
  char chunk[4096];
  // A pty's master ends with EIO.
  for (ssize_t n; (n = ::read(master.valid() ? master.get() : output, chunk, sizeof(chunk))) > 0;)
    ended.output.append(chunk, static_cast<size_t>(n));
  int status = 0;
  EXPECT_EQ(::waitpid(launch->pid, &status, 0), launch->pid);
  ended.code = ExitCode(status);
  return ended;
}

Ended Pod::Run(const shim::v1::StartContainerRequest& request, std::optional<pid_t> target) {
  Renew(request.rootfs());
  auto [read, write] = Pipe();
  Stdio stdio;
  if (!request.process().tty()) stdio = OutputTo(write.get());
  write.reset();
  auto launch = StartContainer(request, context_, target, std::move(stdio));
  return Finish(std::move(launch), read.get());
}

Launch Pod::Start(const shim::v1::StartContainerRequest& request) {
  Stdio stdio;
  for (sys::UniqueFd* fd : {&stdio.in, &stdio.out, &stdio.err}) *fd = *sys::OpenAt(AT_FDCWD, "/dev/null", O_RDWR);
  auto launch = StartContainer(request, context_, std::nullopt, std::move(stdio));
  EXPECT_TRUE(launch.ok()) << launch.status();
  if (!launch.ok()) return Launch();
  pollfd poll{launch->outcome.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll, 1, -1), 1);
  auto outcome = ReadOutcome(*launch);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return *std::move(launch);
}

Ended Pod::Exec(const shim::v1::ExecRequest& request, const Launch& init) {
  auto [read, write] = Pipe();
  Stdio stdio;
  if (!request.process().tty()) stdio = OutputTo(write.get());
  write.reset();
  auto launch = process::Exec(request, context_, init.pid, init.pidfd.get(), std::move(stdio));
  return Finish(std::move(launch), read.get());
}

void Pod::End(Launch& launch) {
  if (launch.pid <= 0) return;
  (void)::kill(launch.pid, SIGKILL);
  (void)::waitpid(launch.pid, nullptr, 0);
  launch.pid = -1;
}

void Pod::SharePidNamespaceOf(const Launch& init) {
  context_.pid_namespace = *sys::OpenAt(AT_FDCWD, "/proc/" + std::to_string(init.pid) + "/ns/pid", O_RDONLY);
}

void InPod(const std::function<void()>& body) {
  (void)fflush(nullptr);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS) != 0) ::_exit(2);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(2);
    (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    body();
    (void)fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  Clean(child);
  EXPECT_EQ(status, 0) << "failed in the pod's process, see above";
}

}  // namespace wherry::process

#include "test/integration/shim/pod_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"

namespace wherry::shim {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr auto kStdPatience = std::chrono::seconds(60);
constexpr uint64_t kDefaultCapabilities = 0xa80425fb;

bool EnterMountNamespace() {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

bool LooksLikeTime(const std::string& text) {
  const std::string pattern = "0000-00-00T00:00:00.000000000Z";
  if (text.size() != pattern.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool digit = isdigit(static_cast<unsigned char>(text[i])) != 0;
    if (pattern[i] == '0' ? !digit : text[i] != pattern[i]) return false;
  }
  return true;
}

}  // namespace

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string ReadToEnd(int fd) {
  std::string out;
  char buffer[65536];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof(buffer))) > 0;) out.append(buffer, static_cast<size_t>(n));
  return out;
}

void PodTest::SetUp() {
  ASSERT_EQ(::geteuid(), 0U) << "needs root";
  static const bool entered = EnterMountNamespace();
  ASSERT_TRUE(entered);
  // A node's files are on a disk: before Linux 6.3 a tmpfs cannot be idmapped.
  const char* disk = std::getenv("WHERRY_E2E_DISK");
  dir_ = absl::StrCat(disk != nullptr ? disk : "/tmp", "/wherry-shim-test-XXXXXX");
  ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  if (disk != nullptr) {
    ASSERT_EQ(::mount(dir_.c_str(), dir_.c_str(), nullptr, MS_BIND, nullptr), 0);
  } else {
    ASSERT_EQ(::mount("tmpfs", dir_.c_str(), "tmpfs", 0, "mode=0700"), 0);
  }
  pod_id_ = "pod-" + dir_.substr(dir_.size() - 6);
  socket_ = dir_ + "/shim.sock";
  netns_ = dir_ + "/netns";
  MakeRoot();
}

void PodTest::TearDown() {
  if (hub_ != nullptr) {
    EXPECT_TRUE(hub_->End(pod_id_, shim_).ok());
  }
  hub_.reset();
  (void)::umount2(netns_.c_str(), MNT_DETACH);
  EXPECT_EQ(::umount2(dir_.c_str(), MNT_DETACH), 0);
  std::filesystem::remove_all(dir_);
  for (auto it = cgroups_.rbegin(); it != cgroups_.rend(); ++it) EXPECT_EQ(::rmdir(it->c_str()), 0) << *it;
}

void PodTest::MakeRoot() {
  const std::string root = dir_ + "/lower";
  for (const char* sub : {"", "/bin", "/etc", "/tmp", "/proc", "/dev", "/sys"}) ::mkdir((root + sub).c_str(), 0755);
  std::filesystem::copy_file("/bin/busybox", root + "/bin/busybox");
  for (const char* applet :
       {"sh",   "cat", "echo", "true",   "false", "sleep",  "seq", "hostname", "id", "dd",    "yes",  "head", "tr",
        "grep", "ls",  "kill", "printf", "tty",   "setsid", "ps",  "touch",    "wc", "nohup", "stty", "tail", "stat"}) {
    ASSERT_EQ(::symlink("busybox", (root + "/bin/" + applet).c_str()), 0);
  }
  std::ofstream(root + "/etc/passwd") << "root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n";
  std::ofstream(root + "/etc/group") << "root:x:0:\nuser:x:1000:\n";
}

v1::Cgroup PodTest::MakeCgroup(const std::string& id) {
  v1::Cgroup cgroup;
  for (const char* controller : {"freezer", "memory", "pids"}) {
    const std::string base = std::string("/sys/fs/cgroup/") + controller;
    if (!std::filesystem::exists(base + "/tasks")) continue;
    const std::string dir = absl::StrCat(base, "/wherry-", pod_id_, "-", id);
    EXPECT_EQ(::mkdir(dir.c_str(), 0755), 0) << dir;
    cgroups_.push_back(dir);
    cgroup.add_v1_dirs(dir);
    if (controller == std::string("memory")) cgroup.set_memory_dir(dir);
  }
  if (cgroup.v1_dirs().empty()) {
    const std::string dir = "/sys/fs/cgroup/wherry-" + pod_id_ + "-" + id;
    EXPECT_EQ(::mkdir(dir.c_str(), 0755), 0) << dir;
    cgroups_.push_back(dir);
    cgroup.set_unified_dir(dir);
    cgroup.set_memory_dir(dir);
  }
  return cgroup;
}

void PodTest::StartHub(bool shm_in_namespace) {
  Events events;
  events.container_exited = [this](const std::string&, const v1::ContainerExited& event) {
    std::lock_guard lock(mutex_);
    containers_[event.container_id()] = event.exit();
    changed_.notify_all();
  };
  events.exec_exited = [this](const std::string&, const v1::ExecExited& event) {
    std::lock_guard lock(mutex_);
    execs_[event.exec_id()] = event.exit();
    changed_.notify_all();
  };
  events.lost = [this](const std::string&) {
    std::lock_guard lock(mutex_);
    lost_ = true;
    changed_.notify_all();
  };
  auto hub = Hub::Create({WHERRY_SHIM_PROGRAM, "", shm_in_namespace}, events);
  ASSERT_TRUE(hub.ok()) << hub.status();
  hub_ = std::move(*hub);
}

void PodTest::StartPod() {
  if (hub_ == nullptr) StartHub();
  auto process = hub_->Spawn(pod_id_, socket_);
  ASSERT_TRUE(process.ok()) << process.status();
  shim_ = *process;
  auto reply = Call(SetupRequest());
  ASSERT_TRUE(reply.ok()) << reply.status();
}

v1::Request PodTest::SetupRequest() const {
  v1::Request request;
  v1::SetupPodRequest* setup = request.mutable_setup_pod();
  setup->set_pod_id(pod_id_);
  setup->set_new_net(true);
  setup->set_new_ipc(true);
  setup->set_new_uts(true);
  setup->set_netns_path(netns_);
  setup->set_hostname("gull");
  return request;
}

v1::Request PodTest::ContainerRequest(const std::string& id, const std::string& script) {
  v1::Request request;
  v1::StartContainerRequest* start = request.mutable_start_container();
  start->set_container_id(id);
  v1::Process* process = start->mutable_process();
  for (const std::string& arg : {std::string("/bin/sh"), std::string("-c"), script}) process->add_args(arg);
  process->add_env("PATH=/bin");
  process->set_cwd("/");
  process->mutable_capabilities()->set_permitted(kDefaultCapabilities);
  process->mutable_capabilities()->set_bounding(kDefaultCapabilities);
  const std::string work = dir_ + "/" + id;
  for (const char* sub : {"", "/upper", "/work", "/private"}) ::mkdir((work + sub).c_str(), 0755);
  start->mutable_rootfs()->add_lowerdirs(dir_ + "/lower");
  start->mutable_rootfs()->set_upperdir(work + "/upper");
  start->mutable_rootfs()->set_workdir(work + "/work");
  start->set_work_directory(work + "/private");
  *start->mutable_cgroup() = MakeCgroup(id);
  start->mutable_log()->set_directory(dir_ + "/logs");
  start->mutable_log()->set_path(id + "/0.log");
  return request;
}

v1::Request PodTest::ExecRequest(const std::string& container, const std::string& id,
                                 const std::vector<std::string>& args) const {
  v1::Request request;
  v1::ExecRequest* exec = request.mutable_exec();
  exec->set_container_id(container);
  exec->set_exec_id(id);
  for (const std::string& arg : args) exec->mutable_process()->add_args(arg);
  exec->mutable_process()->add_env("PATH=/bin");
  exec->mutable_process()->set_cwd("/");
  exec->mutable_process()->mutable_capabilities()->set_permitted(kDefaultCapabilities);
  exec->mutable_process()->mutable_capabilities()->set_bounding(kDefaultCapabilities);
  for (const std::string& dir : cgroups_) {
    const std::string suffix = "-" + container;
    if (dir.size() > suffix.size() && dir.compare(dir.size() - suffix.size(), suffix.size(), suffix) == 0) {
      if (dir.rfind("/sys/fs/cgroup/wherry-", 0) == 0)
        exec->mutable_cgroup()->set_unified_dir(dir);
      else
        exec->mutable_cgroup()->add_v1_dirs(dir);
    }
  }
  return request;
}

absl::StatusOr<Reply> PodTest::Call(v1::Request request, std::vector<sys::UniqueFd> fds) {
  return hub_->Call(pod_id_, std::move(request), kPatience, std::move(fds));
}

absl::StatusOr<v1::StartContainerReply> PodTest::Start(const std::string& id, const std::string& script) {
  auto reply = Call(ContainerRequest(id, script));
  if (!reply.ok()) return reply.status();
  return reply->message.start_container();
}

v1::Exit PodTest::WaitContainer(const std::string& id) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kStdPatience, [&] { return containers_.count(id) != 0; })) << id;
  return containers_[id];
}

void PodTest::WaitLost() {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kStdPatience, [&] { return lost_; }));
}

absl::StatusOr<PodTest::Output> PodTest::Run(const std::string& container, const std::string& id,
                                             const std::vector<std::string>& args) {
  int out[2], err[2];
  EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(err, O_CLOEXEC), 0);
  sys::UniqueFd out_read(out[0]), err_read(err[0]);
  std::vector<sys::UniqueFd> fds;
  fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  fds.emplace_back(out[1]);
  fds.emplace_back(err[1]);
  auto reply = Call(ExecRequest(container, id, args), std::move(fds));
  if (!reply.ok()) return reply.status();
  Output output;
  output.out = ReadToEnd(out_read.get());
  output.err = ReadToEnd(err_read.get());
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kStdPatience, [&] { return execs_.count(id) != 0; })) << id;
  output.exit = execs_[id];
  return output;
}

absl::Status PodTest::Signal(const std::string& container, int signal, bool all, const std::string& exec_id) {
  v1::Request request;
  request.mutable_signal()->set_container_id(container);
  request.mutable_signal()->set_signal(signal);
  request.mutable_signal()->set_all(all);
  request.mutable_signal()->set_exec_id(exec_id);
  return Call(std::move(request)).status();
}

absl::Status PodTest::Forget(const std::string& container) {
  v1::Request request;
  request.mutable_forget()->set_container_id(container);
  return Call(std::move(request)).status();
}

v1::StateReply PodTest::State() {
  v1::Request request;
  request.mutable_state();
  auto reply = Call(std::move(request));
  EXPECT_TRUE(reply.ok()) << reply.status();
  return reply.ok() ? reply->message.state() : v1::StateReply();
}

std::string PodTest::Log(const std::string& id) const {
  std::string out;
  const std::string text = ReadFile(LogPath(id));
  EXPECT_TRUE(text.empty() || text.back() == '\n');
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(LooksLikeTime(line.substr(0, 30))) << line;
    out += line.size() > 31 ? line.substr(31) : "";
    out += '\n';
  }
  return out;
}

}  // namespace wherry::shim

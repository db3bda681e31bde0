#include "test/e2e/node.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

namespace wherry::e2e {
namespace fs = std::filesystem;
namespace {

// Only what fails is waited for that long, and on an emulated machine what works may take long too.
constexpr std::chrono::seconds kPatience(120);

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

void WriteFile(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
}

std::string Describe(const grpc::Status& s) {
  return "code " + std::to_string(s.error_code()) + ": " + s.error_message();
}

// Runs a program to its end; its output goes to the test's.
int Spawn(const std::vector<std::string>& args) {
  std::vector<char*> argv;
  argv.reserve(args.size() + 1);
  for (const auto& a : args) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  if (posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

}  // namespace

void RemoveCgroupsNamed(const std::string& path) {
  std::error_code ec;
  std::vector<fs::path> tops = {"/sys/fs/cgroup" + path};
  for (const auto& e : fs::directory_iterator("/sys/fs/cgroup", ec)) tops.push_back(e.path().string() + path);
  for (const auto& top : tops) {
    if (!fs::is_directory(top, ec)) continue;
    std::vector<fs::path> all = {top};
    for (const auto& e : fs::recursive_directory_iterator(top, ec))
      if (e.is_directory()) all.push_back(e.path());
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.string().size() > b.string().size(); });
    for (const auto& d : all) ::rmdir(d.c_str());
  }
}

void Eventually(const std::string& what, const std::function<bool()>& done) {
  auto end = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) {
      FAIL() << "waited " << kPatience.count() << " s in vain for: " << what;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Node::Node() {
  static int number = 0;
  dir_ = "/mnt/node" + std::to_string(++number);
  const char* cgroup = getenv("WHERRY_E2E_CGROUP");  // main.cc makes it
  cgroup_ = std::string(cgroup == nullptr ? "" : cgroup) + "/node" + std::to_string(number);
  socket_ = dir_ + "/run/wherry.sock";
  WriteConfig();
}

Node::~Node() {
  if (pid_ > 0) Kill9();
}

void Node::WriteConfig() {
  WriteFile(dir_ + "/config.toml", "root = \"" + dir_ + "/lib\"\nstate = \"" + dir_ + "/run\"\nsocket = \"" + socket_ +
                                       "\"\ncgroup_driver = \"cgroupfs\"\ncgroup_parent = \"" + cgroup_ +
                                       "\"\n[cni]\nconf_dir = \"" + dir_ +
                                       "/net.d\"\nbin_dirs = [\"" WHERRY_BIN_DIR "/cni\"]\ncache_dir = \"" + dir_ +
                                       "/cni\"\n[cdi]\nspec_dirs = [\"" + dir_ + "/cdi\", \"" + dir_ +
                                       "/cdi2\"]\n[handlers.limited]\nprivileged_without_host_devices = true\n"
                                       "pids_limit = 20\nmemory_limit_bytes = 67108864\n"
                                       "[log]\nlevel = \"debug\"\n");
  WriteFile(dir_ + "/net.d/10-test.conflist", R"({
    "cniVersion": "1.0.0", "name": "test", "plugins": [{
      "type": "bridge", "bridge": "wtest0", "isGateway": true,
      "ipam": {"type": "host-local", "dataDir": ")" +
                                                  dir_ + R"(/ipam",
        "ranges": [[{"subnet": "10.88.0.0/16"}], [{"subnet": "fd00:88::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}]})");
}

void Node::Start() {
  fs::create_directories(dir_);
  std::string config = dir_ + "/config.toml", log = dir_ + "/wherryd.log";
  const char* argv[] = {WHERRY_BIN_DIR "/wherryd", "--config", config.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  ASSERT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, const_cast<char**>(argv), environ), 0) << argv[0];
  posix_spawn_file_actions_destroy(&actions);
  Connect();
}

void Node::Connect() {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetMaxReceiveMessageSize(64 << 20);
  auto channel = grpc::CreateCustomChannel("unix://" + socket_, grpc::InsecureChannelCredentials(), args);
  runtime_ = cri::RuntimeService::NewStub(channel);
  images_ = cri::ImageService::NewStub(channel);
  own_ = wherry::v1::Wherry::NewStub(channel);
  auto deadline = std::chrono::system_clock::now() + kPatience;
  ASSERT_TRUE(channel->WaitForConnected(deadline)) << "wherryd does not listen:\n" << ReadFile(dir_ + "/wherryd.log");
}

void Node::Kill9() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int Node::Terminate() {
  int status = -1;
  kill(pid_, SIGTERM);
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

cri::PodSandboxConfig Node::PodConfig(const std::string& name) {
  cri::PodSandboxConfig c;
  c.mutable_metadata()->set_name(name);
  c.mutable_metadata()->set_uid("uid-" + name);
  c.mutable_metadata()->set_namespace_("default");
  c.set_hostname(name);
  c.set_log_directory(log_dir() + "/" + name);
  c.mutable_linux();
  return c;
}

std::string Node::RunPod(const std::string& name, const std::function<void(cri::PodSandboxConfig&)>& edit) {
  cri::RunPodSandboxRequest req;
  *req.mutable_config() = PodConfig(name);
  if (edit) edit(*req.mutable_config());
  cri::RunPodSandboxResponse resp;
  grpc::ClientContext ctx;
  auto st = runtime_->RunPodSandbox(&ctx, req, &resp);
  EXPECT_TRUE(st.ok()) << "RunPodSandbox " << name << ": " << Describe(st);
  return resp.pod_sandbox_id();
}

cri::CreateContainerRequest Node::CreateRequest(const std::string& pod, const std::string& name,
                                                const std::vector<std::string>& command) {
  cri::CreateContainerRequest req;
  req.set_pod_sandbox_id(pod);
  auto* c = req.mutable_config();
  c->mutable_metadata()->set_name(name);
  c->mutable_image()->set_image(kImage);
  for (const auto& a : command) c->add_command(a);
  c->set_log_path(name + ".log");
  auto* sec = c->mutable_linux()->mutable_security_context();
  sec->mutable_seccomp()->set_profile_type(cri::SecurityProfile::Unconfined);
  sec->mutable_namespace_options()->set_pid(cri::CONTAINER);
  cri::PodSandboxStatusRequest ask;
  ask.set_pod_sandbox_id(pod);
  cri::PodSandboxStatusResponse resp;
  grpc::ClientContext ctx;
  if (runtime_->PodSandboxStatus(&ctx, ask, &resp).ok()) {
    *req.mutable_sandbox_config() = PodConfig(resp.status().metadata().name());
    sec->mutable_namespace_options()->set_network(resp.status().linux().namespaces().options().network());
  }
  return req;
}

std::string Node::Create(const std::string& pod, const std::string& name, const std::vector<std::string>& command,
                         const std::function<void(cri::ContainerConfig&)>& edit) {
  cri::CreateContainerRequest req = CreateRequest(pod, name, command);
  if (edit) edit(*req.mutable_config());
  cri::CreateContainerResponse resp;
  grpc::ClientContext ctx;
  auto st = runtime_->CreateContainer(&ctx, req, &resp);
  EXPECT_TRUE(st.ok()) << "CreateContainer " << name << ": " << Describe(st);
  return resp.container_id();
}

grpc::Status Node::TryStart(const std::string& container) {
  cri::StartContainerRequest req;
  req.set_container_id(container);
  cri::StartContainerResponse resp;
  grpc::ClientContext ctx;
  return runtime_->StartContainer(&ctx, req, &resp);
}

grpc::Status Node::TryStop(const std::string& container, int64_t timeout, std::chrono::milliseconds client_deadline) {
  cri::StopContainerRequest req;
  req.set_container_id(container);
  req.set_timeout(timeout);
  cri::StopContainerResponse resp;
  grpc::ClientContext ctx;
  ctx.set_deadline(std::chrono::system_clock::now() + client_deadline);
  return runtime_->StopContainer(&ctx, req, &resp);
}

grpc::Status Node::TryRemove(const std::string& container) {
  cri::RemoveContainerRequest req;
  req.set_container_id(container);
  cri::RemoveContainerResponse resp;
  grpc::ClientContext ctx;
  return runtime_->RemoveContainer(&ctx, req, &resp);
}

grpc::Status Node::TryStopPod(const std::string& pod) {
  cri::StopPodSandboxRequest req;
  req.set_pod_sandbox_id(pod);
  cri::StopPodSandboxResponse resp;
  grpc::ClientContext ctx;
  return runtime_->StopPodSandbox(&ctx, req, &resp);
}

grpc::Status Node::TryRemovePod(const std::string& pod) {
  cri::RemovePodSandboxRequest req;
  req.set_pod_sandbox_id(pod);
  cri::RemovePodSandboxResponse resp;
  grpc::ClientContext ctx;
  return runtime_->RemovePodSandbox(&ctx, req, &resp);
}

void Node::StartContainer(const std::string& id) {
  auto st = TryStart(id);
  EXPECT_TRUE(st.ok()) << "StartContainer " << id << ": " << Describe(st);
}

std::string Node::Run(const std::string& pod, const std::string& name, const std::vector<std::string>& command,
                      const std::function<void(cri::ContainerConfig&)>& edit) {
  std::string id = Create(pod, name, command, edit);
  StartContainer(id);
  return id;
}

void Node::RemovePod(const std::string& pod) {
  auto st = TryStopPod(pod);
  EXPECT_TRUE(st.ok()) << "StopPodSandbox: " << Describe(st);
  st = TryRemovePod(pod);
  EXPECT_TRUE(st.ok()) << "RemovePodSandbox: " << Describe(st);
}

cri::ContainerStatus Node::Status(const std::string& container) {
  cri::ContainerStatusRequest req;
  req.set_container_id(container);
  cri::ContainerStatusResponse resp;
  grpc::ClientContext ctx;
  auto st = runtime_->ContainerStatus(&ctx, req, &resp);
  EXPECT_TRUE(st.ok()) << "ContainerStatus " << container << ": " << Describe(st);
  return resp.status();
}

cri::ContainerStatus Node::WaitExited(const std::string& container) {
  cri::ContainerStatus s;
  Eventually("container " + container + " to exit", [&] {
    s = Status(container);
    return s.state() == cri::CONTAINER_EXITED;
  });
  return s;
}

std::string Node::PodIp(const std::string& pod) {
  cri::PodSandboxStatusRequest req;
  req.set_pod_sandbox_id(pod);
  cri::PodSandboxStatusResponse resp;
  grpc::ClientContext ctx;
  auto st = runtime_->PodSandboxStatus(&ctx, req, &resp);
  EXPECT_TRUE(st.ok()) << "PodSandboxStatus: " << Describe(st);
  return resp.status().network().ip();
}

cri::ExecSyncResponse Node::Exec(const std::string& container, const std::vector<std::string>& command) {
  cri::ExecSyncRequest req;
  req.set_container_id(container);
  for (const auto& a : command) req.add_cmd(a);
  req.set_timeout(60);
  cri::ExecSyncResponse resp;
  grpc::ClientContext ctx;
  auto st = runtime_->ExecSync(&ctx, req, &resp);
  EXPECT_TRUE(st.ok()) << "ExecSync: " << Describe(st);
  return resp;
}

std::string Node::Log(const std::string& container) { return ReadFile(Status(container).log_path()); }

std::string Node::LogText(const std::string& container) {
  std::istringstream in(Log(container));
  std::string line, out;
  while (std::getline(in, line)) {
    size_t tag = line.find(' ', line.find(' ') + 1) + 1;
    out += line.substr(std::min(tag + 2, line.size()));
    if (line[tag] == 'F') out += '\n';
  }
  return out;
}

void Node::ImportImage(const std::string& archive, const std::string& name, const std::string& program) {
  if (!fs::exists(archive)) {
    const std::string script = std::string(WHERRY_SOURCE_DIR) + "/hack/busybox-image.sh";
    ASSERT_EQ(Spawn({"/usr/bin/env", "BUSYBOX=" + program, "/bin/bash", script, archive, "docker.io/library/" + name}),
              0);
  }
  wherry::v1::ImportImageRequest req;
  req.set_path(archive);
  wherry::v1::ImportImageResponse resp;
  grpc::ClientContext ctx;
  auto st = own_->ImportImage(&ctx, req, &resp);
  ASSERT_TRUE(st.ok()) << "ImportImage: " << Describe(st);
}

// The archive is kept on the tmpfs: the same bytes for all tests.
void NodeTest::SetUp() {
  ASSERT_NO_FATAL_FAILURE(node.Start());
  ASSERT_NO_FATAL_FAILURE(node.ImportImage("/mnt/busybox.tar", kImage));
}

void NodeTest::TearDown() {
  if (node.pid() < 0) return;
  cri::ListPodSandboxResponse pods;
  grpc::ClientContext ctx;
  if (!node.runtime().ListPodSandbox(&ctx, {}, &pods).ok()) return;
  for (const auto& p : pods.items()) node.RemovePod(p.id());
  if (HasFailure()) {
    std::ifstream log(node.dir() + "/wherryd.log");
    std::string line;
    std::vector<std::string> lines;
    while (std::getline(log, line)) lines.push_back(line);
    for (size_t i = lines.size() > 60 ? lines.size() - 60 : 0; i < lines.size(); ++i)
      std::cerr << "wherryd| " << lines[i] << "\n";
  }
}

}  // namespace wherry::e2e

#include "test/integration/backend/node.h"

#include <net/if.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "test/host_unique.h"

namespace wherry::streaming {
namespace {

namespace fs = std::filesystem;
namespace cri = ::runtime::v1;

constexpr int kPatienceMs = 30000;

void RemoveCgroups(const std::string& path) {
  std::error_code ec;
  std::vector<fs::path> dirs;
  for (const auto& top : fs::directory_iterator("/sys/fs/cgroup", ec)) {
    if (!fs::is_directory(top.path().string() + path, ec)) continue;
    dirs.emplace_back(top.path().string() + path);
    for (const auto& below : fs::recursive_directory_iterator(dirs.back(), ec)) {
      if (below.is_directory()) dirs.push_back(below.path());
    }
  }
  std::sort(dirs.begin(), dirs.end(),
            [](const auto& a, const auto& b) { return a.native().size() > b.native().size(); });
  for (const fs::path& dir : dirs) ::rmdir(dir.c_str());
}

void WriteConflist(const std::string& dir) {
  fs::create_directories(dir + "/net.d");
  std::ofstream(dir + "/net.d/10-test.conflist")
      << R"({"cniVersion": "1.0.0", "name": "test", "plugins": [{"type": "bridge", "bridge": "wstream0",
             "ipam": {"type": "host-local", "dataDir": ")"
      << dir << R"(/ipam", "ranges": [[{"subnet": "10.89.0.0/16"}]]}}]})";
}

int Spawn(const std::vector<std::string>& args) {
  std::vector<char*> argv;
  argv.reserve(args.size() + 1);
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  int status = -1;
  if (::posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) == 0) (void)::waitpid(pid, &status, 0);
  return status;
}

template <typename T>
void Take(absl::StatusOr<T> from, T& to) {
  ASSERT_TRUE(from.ok()) << from.status();
  to = std::move(*from);
}

}  // namespace

std::string BackendTest::archive_dir_;

void BackendTest::SetUpTestSuite() {
  std::string name = "/tmp/wherry-streaming-image-XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  archive_dir_ = name;
  const std::string script = WHERRY_SOURCE_DIR "/hack/busybox-image.sh";
  ASSERT_EQ(Spawn({"/bin/bash", script, archive_dir_ + "/busybox.tar"}), 0);
}

void BackendTest::TearDownTestSuite() { fs::remove_all(archive_dir_); }

void BackendTest::SetUp() {
  ASSERT_EQ(::geteuid(), 0U) << "needs root";
  std::string name = "/tmp/wherry-streaming-XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  dir_ = name;
  ASSERT_EQ(::mount("tmpfs", name.c_str(), "tmpfs", 0, "mode=0755"), 0);
  cgroup_ = "/wherry-streaming-" + HostUnique(::getpid());
  config_.root = dir_ + "/lib";
  config_.state = dir_ + "/run";
  config_.cgroup_parent = cgroup_;
  fs::create_directories(config_.root);
  fs::create_directories(config_.state);
  WriteConflist(dir_);
  const std::string bin = WHERRY_BIN_DIR;
  ASSERT_NO_FATAL_FAILURE(Take(store::Store::Open(config_.root + "/wherry.db"), store_));
  ASSERT_NO_FATAL_FAILURE(Take(image::ImageStore::Open({config_.root, bin + "/wherry-pull"}), images_));
  ASSERT_NO_FATAL_FAILURE(Take(cgroup::OpenCgroupfs(), cgroups_));
  ASSERT_NO_FATAL_FAILURE(Take(network::Network::Create({dir_ + "/net.d", dir_ + "/cni", {bin + "/cni"}}), network_));
  ASSERT_NO_FATAL_FAILURE(Take(shim::Hub::Create({bin + "/wherry-shim", ""}, inbox_.events()), hub_));
  host_ = container::HostFacts::Probe(config_);
  container::Dependencies dependencies{config_, *store_, *images_, *cgroups_, *hub_, inbox_, host_};
  containers_ = std::make_unique<container::Service>(dependencies);
  pods_ = std::make_unique<pod::Service>(dependencies, *network_, *containers_);
  ASSERT_TRUE(pods_->Recover().ok());
  images_->HoldsRestored();
  backend_ = std::make_unique<server::StreamingBackend>(*containers_, *pods_);
  auto imported = images_->Import(archive_dir_ + "/busybox.tar", {});
  ASSERT_TRUE(imported.ok()) << imported.status();
}

void BackendTest::TearDown() {
  if (pods_ != nullptr) {
    for (const auto& pod : pods_->List({})) EXPECT_EQ(pods_->Remove(pod.id()), absl::OkStatus());
  }
  backend_.reset();
  pods_.reset();
  containers_.reset();
  hub_.reset();
  images_.reset();
  store_.reset();
  RemoveCgroups(cgroup_);
  EXPECT_EQ(::umount2(dir_.c_str(), MNT_DETACH), 0);
  EXPECT_EQ(::rmdir(dir_.c_str()), 0);
  // The plugin made it; a pod of the host's network needs none.
  if (::if_nametoindex("wstream0") != 0) {
    EXPECT_EQ(Spawn({"/usr/sbin/ip", "link", "del", "wstream0"}), 0);
  }
}

std::string BackendTest::RunPod(const std::string& name, bool host_network) {
  cri::RunPodSandboxRequest request;
  cri::PodSandboxConfig& config = *request.mutable_config();
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_uid("uid-" + name);
  config.mutable_metadata()->set_namespace_("default");
  config.set_log_directory(dir_ + "/logs/" + name);
  auto& namespaces = *config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  namespaces.set_network(host_network ? cri::NODE : cri::POD);
  namespaces.set_pid(cri::CONTAINER);
  if (!host_network) config.set_hostname(name);
  auto id = pods_->Run(request);
  EXPECT_TRUE(id.ok()) << id.status();
  return id.value_or("");
}

std::string BackendTest::Run(const std::string& pod, const std::string& name, const std::string& script,
                             const std::function<void(cri::ContainerConfig&)>& edit) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  cri::ContainerConfig& config = *request.mutable_config();
  config.mutable_metadata()->set_name(name);
  config.mutable_image()->set_image("busybox:latest");
  for (const std::string& word : {std::string("sh"), std::string("-c"), script}) config.add_command(word);
  config.set_log_path(name + ".log");
  auto& security = *config.mutable_linux()->mutable_security_context();
  security.mutable_namespace_options()->set_pid(cri::CONTAINER);
  auto found = store_->FindPod(pod);
  EXPECT_TRUE(found.ok()) << found.status();
  if (!found.ok()) return "";
  *request.mutable_sandbox_config() = (*found)->config();
  security.mutable_namespace_options()->set_network(
      (*found)->config().linux().security_context().namespace_options().network());
  if (edit) edit(config);
  auto id = containers_->Create(request);
  EXPECT_TRUE(id.ok()) << id.status();
  if (!id.ok()) return "";
  absl::Status started = containers_->Start(*id);
  EXPECT_TRUE(started.ok()) << started;
  return *id;
}

std::unique_ptr<Process> BackendTest::Exec(const std::string& container, const std::string& script, Streams streams) {
  auto process = backend_->Exec(container, {"sh", "-c", script}, streams);
  EXPECT_TRUE(process.ok()) << process.status();
  return process.ok() ? std::move(*process) : nullptr;
}

std::unique_ptr<Process> BackendTest::Attach(const std::string& container, Streams streams) {
  auto process = backend_->Attach(container, streams);
  EXPECT_TRUE(process.ok()) << process.status();
  return process.ok() ? std::move(*process) : nullptr;
}

std::string BackendTest::Output(const std::string& container, const std::string& script) {
  cri::ExecSyncRequest request;
  request.set_container_id(container);
  for (const std::string& word : {std::string("sh"), std::string("-c"), script}) request.add_cmd(word);
  auto response = containers_->ExecSync(request, [] { return false; });
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? response->stdout() : "";
}

void BackendTest::WaitForProcess(const std::string& container, const std::string& words, bool there) {
  // Brackets keep the pattern from finding itself.
  const std::string pattern = "[" + words.substr(0, 1) + "]" + words.substr(1);
  for (int i = 0; i < kPatienceMs / 5; ++i) {
    if (Output(container, "ps | grep '" + pattern + "' || true").empty() != there) return;
    ::usleep(5000);
  }
  FAIL() << "processes \"" << words << "\" are " << (there ? "not " : "") << "there";
}

void AwaitEnd(const Process& process) {
  pollfd polled{process.ended(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, kPatienceMs), 1) << "the process does not end";
}

std::string ReadUntil(int fd, const std::string& text) {
  std::string got;
  char buffer[65536];
  while (text.empty() || got.find(text) == std::string::npos) {
    pollfd polled{fd, POLLIN, 0};
    if (::poll(&polled, 1, kPatienceMs) != 1) break;
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) break;
    got.append(buffer, static_cast<size_t>(n));
  }
  return got;
}

std::string ReadAll(int fd) { return ReadUntil(fd, ""); }

void Write(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    pollfd polled{fd, POLLOUT, 0};
    ASSERT_EQ(::poll(&polled, 1, kPatienceMs), 1);
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    ASSERT_GT(n, 0);
    done += static_cast<size_t>(n);
  }
}

}  // namespace wherry::streaming

#include "test/integration/cni/other_runtime.h"

#include <sys/mount.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "runtime/sys/child.h"

namespace wherry::cni_test {

namespace fs = std::filesystem;

namespace {

// The cgroup and those below it, as soon as they are empty: what a runtime started for a container outlives its command by a moment.
void RemoveCgroup(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  do {
    for (const auto& entry : fs::directory_iterator(path, error))
      if (entry.is_directory(error)) fs::remove(entry.path(), error);
    fs::remove(path, error);
    if (!fs::is_directory(path)) return;
    usleep(10000);
  } while (std::chrono::steady_clock::now() < deadline);
  ADD_FAILURE() << path << " stays: " << error.message();
}

}  // namespace

void OtherRuntime::SetUp() {
  if (access(Peer(program_).c_str(), X_OK) != 0)
    GTEST_SKIP() << "no " << program_ << " in " << WHERRY_PEER_DIR << " (hack/peer.sh fetches it)";
  Node::SetUp();
  for (const char* dir : {"rootfs/bin", "etc/cni/net.d", "opt/cni", "run"}) fs::create_directories(root_ / dir);
  fs::copy_file("/bin/busybox", root_ / "rootfs/bin/busybox");
  fs::create_symlink(WHERRY_CNI_DIR, root_ / "opt/cni/bin");
  for (const char* dir : {"etc", "opt", "run"})
    ASSERT_EQ(mount((root_ / dir).c_str(), (fs::path("/") / dir).c_str(), nullptr, MS_BIND, nullptr), 0);
}

void OtherRuntime::TearDown() {
  if (root_.empty()) return;
  for (const char* dir : {"/etc", "/opt", "/run"}) umount2(dir, MNT_DETACH);
  // runc leaves the parent of a container's cgroup, in each hierarchy; podman that of its conmon too.
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup")) RemoveCgroup(hierarchy.path() / cgroup_);
  RemoveCgroup(fs::path("/sys/fs/cgroup") / cgroup_);
  Node::TearDown();
}

void OtherRuntime::WriteConflist(nlohmann::json tuning) const {
  nlohmann::json bridge = BridgeConf({{"ipMasq", true}});
  bridge.erase("cniVersion"), bridge.erase("name");
  tuning["type"] = "tuning";
  const nlohmann::json list = {
      {"cniVersion", "1.0.0"},
      {"name", "pods"},
      {"plugins",
       {bridge, {{"type", "portmap"}, {"capabilities", {{"portMappings", true}}}}, {{"type", "firewall"}}, tuning}}};
  std::ofstream("/etc/cni/net.d/10-pods.conflist") << list.dump();
}

std::string OtherRuntime::Output(const std::string& program, const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& environment) {
  sys::Children children;
  auto ended =
      children.Run({program, arguments, environment, ""}, sys::Children::Clock::now() + std::chrono::seconds(90));
  return ended.ok() ? ended->output + ended->errors : ended.status().ToString();
}

}  // namespace wherry::cni_test

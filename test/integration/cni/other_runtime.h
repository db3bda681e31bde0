#pragma once

#include <unistd.h>

#include "test/host_unique.h"
#include "test/integration/cni/node.h"

namespace wherry::cni_test {

// A node for another runtime from Debian (hack/peer.sh): /etc, /opt and /run are the test's own, and so is the cgroup, which the runtime
// is told by name. Skips where the runtime could not be fetched.
class OtherRuntime : public Node {
 protected:
  explicit OtherRuntime(std::string program) : program_(std::move(program)) {}
  void SetUp() override;
  void TearDown() override;

  static std::string Peer(const std::string& path) { return std::string(WHERRY_PEER_DIR) + "/usr/" + path; }
  static std::string Path() { return "PATH=" + Peer("bin") + ":" + Peer("sbin") + ":/usr/sbin:/usr/bin:/sbin:/bin"; }
  std::string Rootfs() const { return root_ / "rootfs"; }  // busybox and nothing else
  // In /etc/cni/net.d: the network "pods" with masquerading, host ports, firewall, and `tuning` of its interfaces.
  void WriteConflist(nlohmann::json tuning) const;
  // Its output and errors, or why there are none.
  static std::string Output(const std::string& program, const std::vector<std::string>& arguments,
                            const std::vector<std::string>& environment);

  const std::string cgroup_ = "wherry-cni-test-" + HostUnique(getpid());

 private:
  const std::string program_;
};

}  // namespace wherry::cni_test

// The node as an image, in a pod of the node: systemd is the first process of a privileged container, and runs a wherryd that has pods of
// its own. So do kind's nodes.

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "test/node/node.h"

namespace wherry::node {
namespace {

using testing::HasSubstr;

// A systemd in a pod has divided the pod's cgroup.
bool HasDivided() {
  std::error_code error;
  std::filesystem::recursive_directory_iterator it("/sys/fs/cgroup/wherry.slice", error), end;
  for (; !error && it != end; it.increment(error)) {
    if (it->path().filename() == "system.slice") return true;
  }
  return false;
}

class NodeImageTest : public NodeTest {
 protected:
  void TearDown() override { RemoveAllPods(); }

  static std::string Inside(std::vector<std::string> command) {
    command.insert(command.begin(), {"wherry", "exec", "inner"});
    return Do(command);
  }
};

TEST_F(NodeImageTest, BootsInAPrivilegedPodAndRunsPods) {
  const std::filesystem::path busybox = getenv("WHERRY_NODE_IMAGE"), files = "/var/lib/inner";
  Do({"wherry", "image", "import", busybox.parent_path() / "node.tar"});
  // The inner wherryd's files are on the node's disk: an overlay cannot be the upper directory of another.
  std::filesystem::create_directory(files);
  std::filesystem::copy_file(busybox, files / "busybox.tar", std::filesystem::copy_options::overwrite_existing);
  Do({"wherry", "run", "--detach", "--privileged", "--name", "inner", "--volume", files.string() + ":/var/lib/wherry",
      "wherry-node"});
  // An exec before that would be where systemd may leave no process.
  Eventually("the inner systemd to begin", HasDivided);
  const std::string ask =
      "until systemctl is-system-running --wait 2>/dev/null | grep -xE 'running|degraded'; do :; done";
  EXPECT_EQ(Inside({"sh", "-c", ask + "; systemctl --failed --plain --no-legend"}), "running\n");
  Inside({"wherry", "image", "import", "/var/lib/wherry/busybox.tar"});
  EXPECT_THAT(Inside({"wherry", "run", "busybox", "cat", "/proc/self/cgroup"}), HasSubstr("0::/\n"));
}

}  // namespace
}  // namespace wherry::node

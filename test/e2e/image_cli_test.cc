// Images by the command line: pulled with progress, named, loaded into the node as kind loads them, verified and exported; and what a
// pull costs wherryd.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "test/e2e/node.h"
#include "test/integration/image/fake_registry.h"

namespace wherry::e2e {
namespace {

using image::test::HttpServer;
using image::test::Request;
using image::test::TarWriter;
using testing::HasSubstr;
using testing::Not;

struct Ended {
  int exit_code = -1;
  std::string out, err;
};

std::string Text(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class ImageCliTest : public NodeTest {
 protected:
  Ended Do(std::vector<std::string> args, const std::string& input = "/dev/null") {
    const std::string out = node.dir() + "/out", err = node.dir() + "/err";
    std::vector<char*> argv;
    argv.reserve(args.size() + 1);
    for (std::string& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, input.c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ), 0) << argv[0];
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), Text(out), Text(err)};
  }
  std::string Socket() { return node.dir() + "/run/wherry.sock"; }
  Ended Wherry(std::vector<std::string> args) {
    args.insert(args.begin(), {WHERRY_BIN_DIR "/wherry", "--endpoint", "unix://" + Socket()});
    return Do(std::move(args));
  }
  Ended Ctr(std::vector<std::string> args, const std::string& input = "/dev/null") {
    args.insert(args.begin(), {WHERRY_BIN_DIR "/compat/ctr", "--address", Socket()});
    return Do(std::move(args), input);
  }
  // Bytes of memory that are wherryd's own.
  long OwnMemory() {
    std::ifstream in("/proc/" + std::to_string(node.pid()) + "/status");
    for (std::string line; std::getline(in, line);)
      if (line.rfind("RssAnon:", 0) == 0) return std::stol(line.substr(8)) << 10;
    return -1;
  }
};

TEST_F(ImageCliTest, APullShowsItsLayersAndDoesNotMakeWherrydGrow) {
  std::string noise(48 << 20, '\0');
  uint64_t x = 1;
  for (char& c : noise) c = static_cast<char>((x = x * 6364136223846793005U + 1) >> 56);
  const auto small = image::test::MakeImage({TarWriter().File("a", "one").Bytes()});
  const auto large = image::test::MakeImage({TarWriter().File("b", noise).Bytes()});
  HttpServer server(
      [&](const Request& r) { return Answer(r.path.find("/large/") != std::string::npos ? large : small, r); });
  ASSERT_EQ(Wherry({"image", "pull", server.host() + "/small:1"}).exit_code, 0);
  const long before = OwnMemory();
  Ended pull = Wherry({"image", "pull", server.host() + "/large:1"});
  ASSERT_EQ(pull.exit_code, 0) << pull.err;
  EXPECT_LT(OwnMemory() - before, 4 << 20);
  EXPECT_EQ(pull.out, large.config_digest.substr(7, 13) + "  " + server.host() + "/large:1\n");
  EXPECT_THAT(pull.err, testing::StartsWith(large.layer_digests[0].substr(7, 13) + "  50.3 MB\n"));
  pull = Wherry({"image", "pull", server.host() + "/UPPER"});
  EXPECT_EQ(pull.exit_code, 1);
  EXPECT_THAT(pull.err, HasSubstr("InvalidArgument"));
}

// The calls of kind's pkg/cluster/nodeutils and pkg/build/nodeimage.
TEST_F(ImageCliTest, KindLoadsImagesByCtr) {
  ASSERT_EQ(Wherry({"image", "rm", "busybox"}).exit_code, 0);
  Ended load =
      Ctr({"--namespace=k8s.io", "images", "import", "--all-platforms", "--digests", "--snapshotter=overlayfs", "-"},
          "/mnt/busybox.tar");
  ASSERT_EQ(load.exit_code, 0) << load.err;
  EXPECT_EQ(Ctr({"info"}).exit_code, 0);
  const std::string names = Ctr({"--namespace=k8s.io", "images", "list", "-q"}).out;
  EXPECT_THAT(names, HasSubstr("docker.io/library/busybox:latest\n"));
  const std::string id = names.substr(names.rfind("\nsha256:") + 1, 71);
  EXPECT_EQ(Ctr({"--namespace=k8s.io", "images", "tag", "--force", id, "registry.example/b:2"}).exit_code, 0);
  EXPECT_EQ(Ctr({"--namespace=k8s.io", "images", "tag", id, "registry.example/b:2"}).exit_code, 0);
  EXPECT_THAT(Wherry({"image", "ls"}).out, HasSubstr("registry.example/b:2"));
  load = Ctr({"--namespace=k8s.io", "images", "import", "--label=io.cri-containerd.pinned=pinned", "--all-platforms",
              "--no-unpack", "--digests", "-"},
             "/mnt/busybox.tar");
  ASSERT_EQ(load.exit_code, 0) << load.err;
  EXPECT_THAT(Wherry({"image", "ls", "-o", "json"}).out, HasSubstr("\"pinned\": true"));
  EXPECT_EQ(Ctr({"-n", "k8s.io", "i", "rm", "docker.io/library/busybox:latest"}).exit_code, 0);
  EXPECT_THAT(Wherry({"image", "ls"}).out, Not(HasSubstr("docker.io/library/busybox:latest")));
  EXPECT_THAT(Wherry({"image", "ls"}).out, HasSubstr("registry.example/b:2"));
  Ended wrong = Ctr({"images", "ls"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("ctr -n k8s.io"));
  EXPECT_EQ(Ctr({"-n", "k8s.io", "images", "import", "--label=a=b", "-"}, "/mnt/busybox.tar").exit_code, 1);
  EXPECT_NE(Ctr({"-n", "k8s.io", "snapshots", "ls"}).exit_code, 0);
}

TEST_F(ImageCliTest, TagsAndImportsALayoutFromItsDirectory) {
  EXPECT_EQ(Wherry({"image", "tag", "busybox", "a", "registry.example/b:2"}).out,
            "docker.io/library/a:latest\nregistry.example/b:2\n");
  EXPECT_EQ(Wherry({"run", "a", "echo", "it runs"}).out, "it runs\n");
  const std::string layout = node.dir() + "/layout";
  std::filesystem::create_directory(layout);
  ASSERT_EQ(Do({"/bin/tar", "-xf", "/mnt/busybox.tar", "-C", layout}).exit_code, 0);
  ASSERT_EQ(Wherry({"image", "rm", "busybox"}).exit_code, 0);
  Ended import = Wherry({"image", "import", layout});
  ASSERT_EQ(import.exit_code, 0) << import.err;
  EXPECT_THAT(import.out, HasSubstr("docker.io/library/busybox:latest"));
  import = Wherry({"image", "import", node.dir()});
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_THAT(import.err, HasSubstr("no OCI image layout"));
}

TEST_F(ImageCliTest, ADamagedImageIsNamedAndMendedByTheNextPull) {
  const auto image = image::test::MakeImage({TarWriter().File("etc/a", "right").Bytes()});
  HttpServer server([&](const Request& r) { return Answer(image, r); });
  const std::string name = server.host() + "/a:1";
  ASSERT_EQ(Wherry({"image", "pull", name}).exit_code, 0);
  EXPECT_EQ(Wherry({"image", "verify"}).exit_code, 0);
  for (const auto& e : std::filesystem::recursive_directory_iterator(node.dir() + "/lib/images/layers"))
    if (e.path().filename() == "a") std::ofstream(e.path()) << "wrong";
  Ended verify = Wherry({"image", "verify", name});
  EXPECT_EQ(verify.exit_code, 1);
  EXPECT_THAT(verify.out, HasSubstr("/etc/a: contents differ"));
  EXPECT_THAT(verify.out, HasSubstr(name));
  ASSERT_EQ(Wherry({"image", "pull", name}).exit_code, 0);
  EXPECT_EQ(Wherry({"image", "verify", name}).exit_code, 0);
  EXPECT_EQ(Wherry({"image", "rm", name}).exit_code, 0);
}

TEST_F(ImageCliTest, AnExportedImageRunsWhenItComesBack) {
  const std::string file = node.dir() + "/exported.tar";
  Ended out = Wherry({"image", "export", "busybox", file});
  ASSERT_EQ(out.exit_code, 0) << out.err;
  EXPECT_EQ(Wherry({"image", "export", "busybox", "-"}).out, Text(file));
  ASSERT_EQ(Wherry({"image", "rm", "busybox"}).exit_code, 0);
  Ended import = Wherry({"image", "import", file});
  ASSERT_EQ(import.exit_code, 0) << import.err;
  EXPECT_EQ(Wherry({"run", "busybox", "echo", "it runs"}).out, "it runs\n");
  EXPECT_EQ(Wherry({"image", "export", "nothing", node.dir() + "/nothing.tar"}).exit_code, 1);
  for (const auto& e : std::filesystem::directory_iterator(node.dir()))
    EXPECT_THAT(e.path().filename().string(), Not(HasSubstr("nothing")));
}

}  // namespace
}  // namespace wherry::e2e

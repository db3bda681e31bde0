// An exported image in other hands: Debian's containerd imports it, and what it unpacks is the tree that is here.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "test/integration/image/store_fixture.h"
#include "test/integration/image/tree_description.h"

namespace wherry::image {
namespace {

using test::TarWriter;
using ::testing::IsEmpty;

class ContainerdTest : public StoreTest {
 protected:
  void SetUp() override {
    if (::access(Program("containerd").c_str(), X_OK) != 0)
      GTEST_SKIP() << "there is no " << Program("containerd") << ": hack/peer.sh fetches it";
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    StoreTest::SetUp();
    StartContainerd();
  }
  void TearDown() override {
    if (daemon_ > 0) {
      ::kill(daemon_, SIGTERM);
      ::waitpid(daemon_, nullptr, 0);
    }
    for (const char* dir : {"/ours", "/theirs"})
      if (!root_.empty()) ::umount2((root_ + dir).c_str(), MNT_DETACH);
    StoreTest::TearDown();
  }
  static std::string Program(const std::string& name) { return absl::StrCat(WHERRY_PEER_DIR "/usr/bin/", name); }
  std::string Socket() const { return root_ + "/containerd.sock"; }

  void StartContainerd() {
    std::string program = Program("containerd"), flag = "-c";
    std::string config = Write("containerd.toml", absl::StrCat("version = 2\nroot = \"", root_, "/root\"\nstate = \"",
                                                               root_, "/state\"\n[grpc]\naddress = \"", Socket(),
                                                               "\"\n[plugins.\"io.containerd.grpc.v1.cri\"]\n"
                                                               "disable_apparmor = true\n"));
    char* argv[] = {program.data(), flag.data(), config.data(), nullptr};
    char* envp[] = {nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int fd : {1, 2})
      posix_spawn_file_actions_addopen(&actions, fd, (root_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_EQ(::posix_spawn(&daemon_, program.c_str(), &actions, nullptr, argv, envp), 0);
    posix_spawn_file_actions_destroy(&actions);
    while (::access(Socket().c_str(), F_OK) != 0) {
      ASSERT_EQ(::waitpid(daemon_, nullptr, WNOHANG), 0) << Read(root_ + "/log");
      std::this_thread::yield();
    }
  }
  int Ctr(std::vector<std::string> args) {
    args.insert(args.begin(), {Program("ctr"), "--address", Socket(), "images"});
    return Tool(std::move(args));
  }

  pid_t daemon_ = -1;
};

TEST_F(ContainerdTest, ImportsWhatIsExportedHere) {
  test::TarEntry link;
  link.name = "bin/b";
  link.type = '1';
  link.target = "bin/a";
  link.mode = 04755;  // as tar writes it: containerd gives it to the file
  test::ImageSpec image;
  image.layers = {TarWriter()
                      .Dir(".")
                      .Dir("bin", 0750)
                      .File("bin/a", std::string(100'000, 'a'), 04755)
                      .Add(link)
                      .Symlink("bin/c", "a")
                      .Dir("etc")
                      .File("etc/gone", "x")
                      .Dir("old")
                      .File("old/gone", "x")
                      .Bytes(),
                  TarWriter()
                      .Dir(".")
                      .Dir("etc")
                      .File("etc/.wh.gone", "")
                      .Dir("old")
                      .File("old/.wh..wh..opq", "")
                      .File("old/new", "y")
                      .Bytes()};
  const auto images = Import(test::OciArchive({image}));
  ASSERT_TRUE(images.ok()) << images.status();
  const auto layers = store_->Hold(images->front()->id, "test");
  ASSERT_TRUE(layers.ok()) << layers.status();
  const std::string ours = root_ + "/ours", theirs = root_ + "/theirs", exported = root_ + "/exported.tar";
  {
    std::ofstream file(exported, std::ios::binary);
    ASSERT_TRUE(store_
                    ->Export("example.org/test:1",
                             [&](absl::string_view bytes) {
                               file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
                               return absl::OkStatus();
                             })
                    .ok());
  }
  for (const std::string& dir : {ours, theirs}) ASSERT_EQ(::mkdir(dir.c_str(), 0755), 0);
  ASSERT_EQ(Ctr({"import", exported}), 0) << Read(root_ + "/log");
  ASSERT_EQ(Ctr({"mount", "example.org/test:1", theirs}), 0) << Read(root_ + "/log");
  const std::string lower = absl::StrCat("lowerdir=", (*layers)[0], ":", (*layers)[1]);
  ASSERT_EQ(::mount("overlay", ours.c_str(), "overlay", MS_RDONLY, lower.c_str()), 0);
  EXPECT_EQ(Read(theirs + "/old/new"), "y");
  auto here = test::DescribeTree(ours), there = test::DescribeTree(theirs);
  for (auto* tree : {&here, &there}) tree->erase("");  // containerd leaves the root's time as it was made
  EXPECT_THAT(test::Differences(here, there), IsEmpty());
}

}  // namespace
}  // namespace wherry::image

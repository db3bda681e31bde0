#include "test/integration/image/store_fixture.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace wherry::image {

using ::testing::IsEmpty;

void StoreTest::SetUp() {
  ASSERT_EQ(::geteuid(), 0U) << "this test needs root";
  std::string name = "/tmp/wherry-image-XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  root_ = name;
  Reopen();
}

void StoreTest::TearDown() {
  store_.reset();
  if (root_.empty()) return;
  EXPECT_TRUE(RemoveTree(AT_FDCWD, root_).ok());
}

void StoreTest::Reopen() {
  ASSERT_NO_FATAL_FAILURE(ReopenWithoutHolds());
  store_->HoldsRestored();
}

void StoreTest::ReopenWithoutHolds() {
  store_.reset();
  options_.root = root_;
  options_.pull_program = WHERRY_PULL;
  absl::StatusOr<std::unique_ptr<ImageStore>> store = ImageStore::Open(options_);
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = std::move(*store);
}

void StoreTest::Hosts(const std::string& domain, const std::string& toml) {
  std::filesystem::create_directories(root_ + "/certs.d/" + domain);
  std::ofstream(root_ + "/certs.d/" + domain + "/hosts.toml") << toml;
}

std::string StoreTest::Write(const std::string& name, const std::string& bytes) {
  std::string path = root_ + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

absl::StatusOr<std::string> StoreTest::ImportLayer(const test::TarWriter& tar) {
  test::ImageSpec image;
  image.layers = {tar.Bytes()};
  auto images = Import(test::OciArchive({image}));
  if (!images.ok()) return images.status();
  auto paths = store_->Hold(images->front()->id, "test");
  if (!paths.ok()) return paths.status();
  return paths->front();
}

pid_t StoreTest::StartImport(const std::string& archive) {
  int opened[2];
  EXPECT_EQ(::pipe2(opened, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto store = ImageStore::Open({root_, WHERRY_PULL});
    (void)!::write(opened[1], "x", 1);
    if (store.ok()) (void)(*store)->Import(archive, {});
    ::pause();
    ::_exit(0);
  }
  ::close(opened[1]);
  char byte = 0;
  EXPECT_EQ(::read(opened[0], &byte, 1), 1);
  ::close(opened[0]);
  return child;
}

std::vector<std::string> StoreTest::Entries(const std::string& dir) {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(dir)) names.push_back(e.path().filename());
  return names;
}

std::vector<std::string> StoreTest::LeftInStaging() {
  store_.reset();
  return Entries(root_ + "/images/staging");
}

std::vector<pid_t> StoreTest::Pulls() {
  std::vector<pid_t> pids;
  for (const std::string& name : Entries("/proc")) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code ignored;
    const std::string lock = std::filesystem::read_symlink("/proc/" + name + "/fd/6", ignored).string();
    if (Read("/proc/" + name + "/comm") == "wherry-pull\n" && lock == root_ + "/images/pull.lock")
      pids.push_back(std::stoi(name));
  }
  return pids;
}

void StoreTest::ExpectNothingLeft() {
  EXPECT_THAT(store_->List(), IsEmpty());
  EXPECT_THAT(Pulls(), IsEmpty());
  EXPECT_THAT(LeftInStaging(), IsEmpty());
  EXPECT_THAT(Layers(), IsEmpty());
  EXPECT_THAT(Entries(root_ + "/images/indexes"), IsEmpty());
}

struct stat StoreTest::Stat(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st;
}

std::string StoreTest::Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();  // sees to it that a process which ends meanwhile is no exception
  return text.str();
}

int StoreTest::Tool(std::vector<std::string> args) {
  std::vector<char*> argv;
  argv.reserve(args.size() + 1);
  for (std::string& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
  int status = -1;
  ::waitpid(pid, &status, 0);
  return status;
}

}  // namespace wherry::image

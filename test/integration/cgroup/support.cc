#include "test/integration/cgroup/support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "test/host_unique.h"

namespace wherry::cgroup {
namespace {

bool JoinAll(const Membership& where) {
  std::vector<std::string> files;
  for (const std::string& dir : where.v1_dirs) files.push_back(dir + "/tasks");
  if (!where.unified_dir.empty()) files.push_back(where.unified_dir + "/cgroup.procs");
  for (const std::string& file : files) {
    int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, "0", 1) != 1) return false;
    ::close(fd);
  }
  return true;
}

}  // namespace

Child::Child(const Membership& where, const std::function<int()>& body) {
  int ready[2];
  EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  pid_ = ::_Fork();  // fork() makes a thread, too, under ThreadSanitizer
  if (pid_ == 0) {
    const bool joined = JoinAll(where);
    if (::write(ready[1], joined ? "y" : "n", 1) != 1 || !joined) ::_exit(125);
    ::close(ready[1]);
    ::_exit(body());
  }
  ::close(ready[1]);
  char answer = 'n';
  EXPECT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y') << "the child could not join the cgroup";
  ::close(ready[0]);
}

Child::~Child() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  Wait();
}

int Child::Wait() {
  int status = 0;
  while (pid_ > 0 && ::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

int Sleep() {
  while (true) ::pause();
}

std::unique_ptr<Cgroups> CgroupTest::Open() {
  auto opened = OpenCgroupfs();
  EXPECT_TRUE(opened.ok()) << opened.status();
  return opened.ok() ? std::move(*opened) : nullptr;
}

void CgroupTest::SetUp() {
  static int count = 0;
  ASSERT_EQ(::geteuid(), 0u) << "these tests need root";
  cgroups = Open();
  ASSERT_NE(cgroups, nullptr);
  base = absl::StrCat("/wherry-test-", HostUnique(::getpid()), "-", ++count);
  ASSERT_TRUE(cgroups->Create(base).ok());
}

void CgroupTest::TearDown() {
  if (!cgroups) return;
  EXPECT_TRUE(cgroups->Kill(base, 5000).ok());
  absl::Status removed = cgroups->Remove(base);
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_FALSE(Exists(base, false));
}

Child CgroupTest::Run(const std::string& path, const std::function<int()>& body) {
  auto where = cgroups->Members(path);
  EXPECT_TRUE(where.ok()) << where.status();
  return Child(*where, body);
}

bool CgroupTest::Exists(const std::string& path, bool all) {
  auto where = cgroups->Members(path);
  std::vector<std::string> dirs = where->v1_dirs;
  if (!where->unified_dir.empty()) dirs.push_back(where->unified_dir);
  size_t found = 0;
  for (const std::string& dir : dirs) found += ::access(dir.c_str(), F_OK) == 0 ? 1 : 0;
  return all ? found == dirs.size() : found > 0;
}

}  // namespace wherry::cgroup

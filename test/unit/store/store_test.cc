#include "cri/store/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace wherry::store {
namespace {

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    std::string pattern = testing::TempDir() + "/store-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    path_ = dir_ + "/wherry.db";
  }
  ~StoreTest() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<Store> Open() {
    auto store = Store::Open(path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(store).value();
  }

  std::string dir_, path_;
};

PodRecord MakePod(const std::string& id, int64_t created, PodState state = POD_READY) {
  PodRecord pod;
  pod.set_id(id);
  pod.set_created_at_ns(created);
  pod.set_state(state);
  pod.mutable_config()->mutable_metadata()->set_name("name-" + id);
  return pod;
}

ContainerRecord MakeContainer(const std::string& id, const std::string& pod, int64_t created) {
  ContainerRecord container;
  container.set_id(id);
  container.set_pod_id(pod);
  container.set_created_at_ns(created);
  container.mutable_config()->add_envs()->set_value(std::string("\0\xff", 2));
  return container;
}

std::vector<std::string> Ids(const auto& records) {
  std::vector<std::string> out;
  for (const auto& record : records) out.push_back(record->id());
  return out;
}

TEST_F(StoreTest, KeepsRecordsAcrossReopening) {
  {
    auto store = Open();
    ASSERT_TRUE(store->Put(MakePod("aa", 2)).ok());
    ASSERT_TRUE(store->Put(MakePod("bb", 1)).ok());
    ASSERT_TRUE(store->Put(MakePod("cc", 3)).ok());
    ASSERT_TRUE(store->Put(MakeContainer("aa", "bb", 5)).ok());
    ASSERT_TRUE(store->DeletePod("cc").ok());
  }
  auto store = Open();
  EXPECT_EQ(Ids(store->Pods()), (std::vector<std::string>{"bb", "aa"}));
  EXPECT_EQ((*store->FindPod("aa"))->config().metadata().name(), "name-aa");
  EXPECT_EQ((*store->FindContainer("aa"))->config().envs(0).value(), std::string("\0\xff", 2));
}

TEST_F(StoreTest, AnUpdateReplacesAndAReaderKeepsWhatItHas) {
  auto store = Open();
  ASSERT_TRUE(store->Put(MakePod("aa", 1, POD_CREATING)).ok());
  Pod before = *store->FindPod("aa");
  ASSERT_TRUE(store->Put(MakePod("aa", 1, POD_READY)).ok());
  EXPECT_EQ(before->state(), POD_CREATING);
  EXPECT_EQ((*store->FindPod("aa"))->state(), POD_READY);
  EXPECT_EQ(store->Pods().size(), 1u);
}

TEST_F(StoreTest, FindsByUnambiguousPrefix) {
  auto store = Open();
  ASSERT_TRUE(store->Put(MakePod("abc", 1)).ok());
  ASSERT_TRUE(store->Put(MakePod("abcd", 2)).ok());
  ASSERT_TRUE(store->Put(MakePod("ad", 3)).ok());
  EXPECT_EQ((*store->FindPod("ad"))->id(), "ad");
  EXPECT_EQ((*store->FindPod("abc"))->id(), "abc") << "a whole id wins over a longer one";
  EXPECT_EQ((*store->FindPod("abcd"))->id(), "abcd");
  EXPECT_EQ(store->FindPod("ab").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store->FindPod("x").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store->FindPod("abcde").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store->FindPod("").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(StoreTest, ListsContainersOfAPodInOrderOfCreation) {
  auto store = Open();
  ASSERT_TRUE(store->Put(MakeContainer("c1", "p", 30)).ok());
  ASSERT_TRUE(store->Put(MakeContainer("c2", "p", 10)).ok());
  ASSERT_TRUE(store->Put(MakeContainer("c3", "q", 20)).ok());
  EXPECT_EQ(Ids(store->ContainersOf("p")), (std::vector<std::string>{"c2", "c1"}));
  EXPECT_EQ(Ids(store->Containers()), (std::vector<std::string>{"c2", "c3", "c1"}));
  ASSERT_TRUE(store->DeleteContainer("c2").ok());
  ASSERT_TRUE(store->DeleteContainer("unknown").ok());
  EXPECT_EQ(Ids(store->ContainersOf("p")), (std::vector<std::string>{"c1"}));
}

TEST_F(StoreTest, WritesFromManyThreadsAreAllKept) {
  {
    auto store = Open();
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          std::string id = "t" + std::to_string(t) + "-" + std::to_string(i);
          EXPECT_TRUE(store->Put(MakePod(id, i)).ok());
          EXPECT_TRUE(store->FindPod(id).ok()) << "not visible after its commit";
          if (i % 2 == 1) {
            EXPECT_TRUE(store->DeletePod(id).ok());
          }
        }
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(store->Pods().size(), 800u);
  }
  EXPECT_EQ(Open()->Pods().size(), 800u);
}

// What was acknowledged survives SIGKILL at any moment, whatever the checkpointer is doing.
TEST_F(StoreTest, LosesNothingWhenKilled) {
  int acks[2];
  ASSERT_EQ(pipe2(acks, O_CLOEXEC), 0);
  pid_t child = fork();
  if (child == 0) {
    auto store = Store::Open(path_);
    for (uint32_t i = 0;; ++i) {
      PodRecord pod = MakePod("p" + std::to_string(i), i);
      pod.set_cgroup_path(std::string(8000, 'x'));
      if (!(*store)->Put(std::move(pod)).ok() || write(acks[1], &i, sizeof i) != sizeof i) _exit(1);
    }
  }
  close(acks[1]);
  uint32_t last = 0;
  while (last < 1500) ASSERT_EQ(read(acks[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  uint32_t next;
  while (read(acks[0], &next, sizeof next) == static_cast<ssize_t>(sizeof next)) last = next;
  close(acks[0]);
  auto store = Open();
  for (uint32_t i = 0; i <= last; ++i) EXPECT_TRUE(store->FindPod("p" + std::to_string(i)).ok()) << i;
}

TEST_F(StoreTest, TheFileIsPrivate) {
  mode_t old = umask(0);
  auto store = Open();
  umask(old);
  ASSERT_TRUE(store->Put(MakePod("aa", 1)).ok());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat st;
    ASSERT_EQ(stat((path_ + suffix).c_str(), &st), 0) << suffix;
    EXPECT_EQ(st.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(StoreTest, RefusesANewerSchema) {
  Open().reset();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version=99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  EXPECT_EQ(Store::Open(path_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StoreTest, RefusesWhatIsNoDatabase) {
  int fd = open(path_.c_str(), O_WRONLY | O_CREAT, 0600);
  std::string junk(8192, 'j');
  ASSERT_EQ(write(fd, junk.data(), junk.size()), static_cast<ssize_t>(junk.size()));
  close(fd);
  EXPECT_EQ(Store::Open(path_).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace wherry::store

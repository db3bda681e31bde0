// Kill -9 of wherry-pull, or of the process that runs the store, at any moment of an import: the next Open() finds nothing but
// whole images, and no process is left.
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cri/image/sha256.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::ImageSpec;
using test::TarWriter;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CrashTest : public StoreTest {
 protected:
  // Large enough that an import takes some tens of milliseconds.
  static ImageSpec Large(const std::string& salt) {
    ImageSpec image;
    for (int layer = 0; layer < 3; ++layer) {
      TarWriter tar;
      for (int i = 0; i < 300; ++i)
        tar.File(absl::StrCat("l", layer, "/d", i % 7, "/f", i), std::string(3000 + i, 'x') + salt);
      image.layers.push_back(tar.Bytes());
    }
    return image;
  }

  // The store runs in a child, which is killed so long after it began to import.
  void KillDuringImport(const std::string& archive, int wait_ms) {
    store_.reset();
    const pid_t child = StartImport(archive);
    std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    Reopen();  // waits for the orphaned wherry-pull to end
    EXPECT_THAT(Pulls(), IsEmpty());
  }
};

TEST_F(CrashTest, KilledPullFailsTheImportOnly) {
  const std::string archive = Write("archive.tar", test::OciArchive({Large("a")}));
  int killed = 0;
  for (int round = 0; round < 5; ++round) {
    std::atomic<bool> done{false};
    std::thread killer([&] {
      while (!done)
        for (pid_t pid : Pulls())
          if (::kill(pid, SIGKILL) == 0) ++killed;
    });
    auto images = store_->Import(archive, {});
    done = true;
    killer.join();
    if (images.ok()) {  // it was quicker than the killer
      ASSERT_TRUE(store_->Remove(images->front()->id).ok());
      continue;
    }
    EXPECT_EQ(images.status().code(), absl::StatusCode::kUnavailable) << images.status();
    EXPECT_THAT(std::string(images.status().message()), ::testing::HasSubstr("killed by signal 9"));
    EXPECT_THAT(store_->List(), IsEmpty());
  }
  EXPECT_GT(killed, 0);
  ExpectNothingLeft();
}

// The store is killed later and later, until an import gets through.
TEST_F(CrashTest, KilledWherrydLeavesNothingOrTheImage) {
  const std::string archive = Write("archive.tar", test::OciArchive({Large("b")}));
  bool whole = false;
  int rounds = 0;
  for (int wait_ms = 0; !whole && rounds < 60; ++rounds, wait_ms += 5 + wait_ms / 4) {
    ASSERT_NO_FATAL_FAILURE(KillDuringImport(archive, wait_ms));
    whole = !store_->List().empty();
    EXPECT_THAT(LeftInStaging(), IsEmpty());
    EXPECT_THAT(Layers(), SizeIs(whole ? 3 : 0));
  }
  Reopen();
  EXPECT_TRUE(whole);
  EXPECT_GT(rounds, 2);
  auto image = store_->Find("example.org/test:1");
  ASSERT_TRUE(image.ok());
  auto dirs = store_->Hold((*image)->id, "c");
  EXPECT_EQ(Read(dirs->back() + "/l0/d0/f7"), std::string(3007, 'x') + "b");
}

// The same with an image that was found damaged: it stays damaged or is whole again, and no layer is left over.
TEST_F(CrashTest, KilledWherrydLeavesADamagedImageDamagedOrMended) {
  const std::string archive = Write("archive.tar", test::OciArchive({Large("c")}));
  auto images = store_->Import(archive, {});
  ASSERT_TRUE(images.ok()) << images.status();
  const std::string id = images->front()->id;
  const auto held = store_->Hold(id, "container");
  ASSERT_TRUE(held.ok()) << held.status();
  std::ofstream(held->front() + "/l2/d0/f7") << "wrong";
  ASSERT_TRUE(store_->Verify({}).ok());
  bool damaged = true;
  for (int wait_ms = 0, rounds = 0; damaged && rounds < 60; ++rounds, wait_ms += 5 + wait_ms / 4) {
    ASSERT_NO_FATAL_FAILURE(KillDuringImport(archive, wait_ms));
    auto image = store_->Find(id);
    ASSERT_TRUE(image.ok()) << image.status();
    damaged = (*image)->damaged;
    EXPECT_THAT(LeftInStaging(), IsEmpty());
    Reopen();
  }
  EXPECT_FALSE(damaged);
  const auto findings = store_->Verify({});
  ASSERT_TRUE(findings.ok()) << findings.status();
  for (const LayerFindings& layer : *findings) EXPECT_THAT(layer.findings, IsEmpty());
  const auto mended = store_->Hold(id, "next");
  ASSERT_TRUE(mended.ok()) << mended.status();
  EXPECT_EQ(Read(mended->front() + "/l2/d0/f7"), std::string(3007, 'x') + "c");
  EXPECT_THAT(Layers(), SizeIs(3));
}

// And when only wherry-pull is killed: the image stays, as damaged as it was, and the next one mends it.
TEST_F(CrashTest, KilledPullLeavesADamagedImageDamaged) {
  const std::string archive = Write("archive.tar", test::OciArchive({Large("d")}));
  auto images = store_->Import(archive, {});
  ASSERT_TRUE(images.ok()) << images.status();
  const std::string id = images->front()->id;
  absl::Status ended;
  for (int round = 0; ended.ok(); ++round) {  // OK: the mending was quicker than the killer
    ASSERT_LT(round, 50);
    const auto held = store_->Hold(id, "damager");
    ASSERT_TRUE(held.ok()) << held.status();
    std::ofstream(held->front() + "/l2/d0/f7") << "wrong";
    store_->Release("damager");
    ASSERT_TRUE(store_->Verify({}).ok());
    std::atomic<bool> done{false};
    std::thread killer([&] {
      while (!done)
        for (pid_t pid : Pulls()) (void)::kill(pid, SIGKILL);
    });
    ended = store_->Import(archive, {}).status();
    done = true;
    killer.join();
  }
  EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
  EXPECT_TRUE((*store_->Find(id))->damaged);
  ASSERT_TRUE(store_->Import(archive, {}).ok());
  EXPECT_FALSE((*store_->Find(id))->damaged);
  EXPECT_EQ(Read(store_->Hold(id, "next")->front() + "/l2/d0/f7"), std::string(3007, 'x') + "d");
  EXPECT_THAT(Pulls(), IsEmpty());
  EXPECT_THAT(LeftInStaging(), IsEmpty());
  EXPECT_THAT(Layers(), SizeIs(3));
}

TEST_F(CrashTest, RecordsAndDirectoriesThatDisagreeAreDropped) {
  ImageSpec a, b;
  a.layers = {TarWriter().File("shared", "").Bytes(), TarWriter().File("a", "").Bytes()};
  a.name = "a:1";
  b.layers = {TarWriter().File("shared", "").Bytes(), TarWriter().File("b", "").Bytes()};
  b.name = "b:1";
  ASSERT_TRUE(Import(test::OciArchive({a, b})).ok());
  store_.reset();
  const std::string layers = root_ + "/images/layers/";
  // As after a power cut: a's own layer did not make it, and one came without a record.
  std::filesystem::remove_all(layers + Sha256Of(a.layers[1]).substr(7, 32));
  std::filesystem::create_directories(layers + std::string(32, '0') + "/dir");
  std::filesystem::create_directories(root_ + "/images/staging/0123456789abcdef/half");
  Reopen();
  EXPECT_TRUE(absl::IsNotFound(store_->Find("a:1").status()));
  EXPECT_TRUE(store_->Find("b:1").ok());
  EXPECT_THAT(Layers(), SizeIs(2));
  // And what was lost can come again.
  ASSERT_TRUE(Import(test::OciArchive({a})).ok());
  EXPECT_THAT(LeftInStaging(), IsEmpty());
}

TEST_F(CrashTest, ImportsRunAtOnce) {
  std::vector<std::string> archives;
  for (int i = 0; i < 4; ++i) {
    ImageSpec image = Large(absl::StrCat(i % 2));  // each twice
    image.name = absl::StrCat("image:", i);
    archives.push_back(Write(absl::StrCat("archive", i, ".tar"), test::OciArchive({image})));
  }
  std::vector<std::thread> threads;
  threads.reserve(archives.size());
  std::atomic<int> ok{0};
  for (const std::string& archive : archives)
    threads.emplace_back([&] { ok += store_->Import(archive, {}).ok() ? 1 : 0; });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(ok, 4);
  EXPECT_THAT(store_->List(), SizeIs(2));
  EXPECT_THAT(Layers(), SizeIs(6));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(store_->Find(absl::StrCat("image:", i)).ok());
  EXPECT_THAT(LeftInStaging(), IsEmpty());
}

// Imports and removals of images that share layers, all at once: whatever is listed at the end is whole.
TEST_F(CrashTest, ImportsAndRemovalsAtOnce) {
  std::vector<std::string> archives;
  for (int i = 0; i < 3; ++i) {
    ImageSpec image;
    image.layers = {TarWriter().File("shared", "s").Bytes(), TarWriter().File(absl::StrCat("own", i), "o").Bytes()};
    image.name = absl::StrCat("image:", i);
    archives.push_back(Write(absl::StrCat("archive", i, ".tar"), test::OciArchive({image})));
  }
  std::vector<std::thread> threads;
  threads.reserve(archives.size());
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 10; ++n) {
        EXPECT_TRUE(store_->Import(archives[i], {}).ok());
        const std::string holder = absl::StrCat("holder", i);
        if (auto image = store_->Find(absl::StrCat("image:", i));
            image.ok() && store_->Hold((*image)->id, holder).ok()) {
          EXPECT_TRUE(store_->Remove((*image)->id).ok());
          for (const std::string& diff_id : (*image)->diff_ids)
            EXPECT_TRUE(std::filesystem::exists(root_ + "/images/layers/" + diff_id.substr(7, 32)));
          store_->Release(holder);
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  ExpectNothingLeft();
}

}  // namespace
}  // namespace wherry::image

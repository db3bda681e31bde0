#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "cri/image/remove_tree.h"
#include "cri/image/store.h"
#include "test/unit/image/tar_writer.h"

namespace wherry::image {

// A store of its own below /tmp, with the real wherry-pull.
class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::geteuid(), 0U) << "this test needs root";
    std::string name = "/tmp/wherry-image-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    Reopen();
  }
  void TearDown() override {
    store_.reset();
    if (root_.empty()) return;
    EXPECT_TRUE(RemoveTree(AT_FDCWD, root_).ok());
  }

  void Reopen() {
    store_.reset();
    absl::StatusOr<std::unique_ptr<ImageStore>> store = ImageStore::Open({root_, WHERRY_PULL});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = std::move(*store);
    store_->HoldsRestored();
  }

  std::string Write(const std::string& name, const std::string& bytes) {
    std::string path = root_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  absl::StatusOr<std::vector<std::shared_ptr<const Image>>> Import(const std::string& bytes,
                                                                   const std::vector<std::string>& references = {}) {
    return store_->Import(Write("archive.tar", bytes), {references});
  }

  // Imports one layer as an image of its own and returns its directory.
  absl::StatusOr<std::string> ImportLayer(const test::TarWriter& tar) {
    test::ImageSpec image;
    image.layers = {tar.Bytes()};
    auto images = Import(test::OciArchive({image}));
    if (!images.ok()) return images.status();
    auto paths = store_->Hold(images->front()->id, "test");
    if (!paths.ok()) return paths.status();
    return paths->front();
  }

  static std::vector<std::string> Entries(const std::string& dir) {
    std::vector<std::string> names;
    for (const auto& e : std::filesystem::directory_iterator(dir)) names.push_back(e.path().filename());
    return names;
  }
  // Closing the store waits for its background work; what is left then is left for good.
  std::vector<std::string> LeftInStaging() {
    store_.reset();
    return Entries(root_ + "/images/staging");
  }
  std::vector<std::string> Layers() { return Entries(root_ + "/images/layers"); }

  // The wherry-pull processes of this store, known by its lock, which they hold as descriptor 6.
  std::vector<pid_t> Pulls() {
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

  static struct stat Stat(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st;
  }
  static std::string Read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();  // sees to it that a process which ends meanwhile is no exception
    return text.str();
  }

  std::string root_;
  std::unique_ptr<ImageStore> store_;
};

}  // namespace wherry::image

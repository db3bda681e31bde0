#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "cri/image/remove_tree.h"
#include "cri/image/store.h"
#include "test/unit/image/tar_writer.h"

namespace wherry::image {

// A store of its own below /tmp, with the real wherry-pull.
class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // With `options_`, in which a test may have changed something; root and program are set anew.
  void Reopen();
  // A wherryd that has not taken its containers' holds again yet.
  void ReopenWithoutHolds();
  // Has the store read hosts.toml files, below root_ + "/certs.d".
  void UseHosts() {
    options_.registry_config = root_ + "/certs.d";
    Reopen();
  }
  void Hosts(const std::string& domain, const std::string& toml);

  std::string Write(const std::string& name, const std::string& bytes);

  absl::StatusOr<std::vector<std::shared_ptr<const Image>>> Import(const std::string& bytes,
                                                                   const std::vector<std::string>& references = {}) {
    return store_->Import(Write("archive.tar", bytes), {references});
  }
  // Imports one layer as an image of its own and returns its directory.
  absl::StatusOr<std::string> ImportLayer(const test::TarWriter& tar);
  // A process of its own that opens a store, says so, imports the archive and stays.
  pid_t StartImport(const std::string& archive);

  static std::vector<std::string> Entries(const std::string& dir);
  // Closing the store waits for its background work; what is left then is left for good.
  std::vector<std::string> LeftInStaging();
  std::vector<std::string> Layers() { return Entries(root_ + "/images/layers"); }
  // The wherry-pull processes of this store, known by its lock, which they hold as descriptor 6.
  std::vector<pid_t> Pulls();
  // No image, layer, index, unfinished work or process. Closes the store.
  void ExpectNothingLeft();

  static struct stat Stat(const std::string& path);
  static std::string Read(const std::string& path);
  // Runs a program to its end; its wait status, or -1 when there is none of this name.
  static int Tool(std::vector<std::string> args);

  std::string root_;
  ImageStore::Options options_;
  std::unique_ptr<ImageStore> store_;
};

}  // namespace wherry::image

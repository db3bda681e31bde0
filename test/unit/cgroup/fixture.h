#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace wherry::cgroup {

// A directory with files that look like a cgroup's. What is written replaces the start of a file, as pwrite(2) at offset 0
// does, so a test compares first lines of values no shorter than what they replace.
class Fixture : public ::testing::Test {
 protected:
  Fixture() {
    char name[] = "/tmp/wherry-cgroup-XXXXXX";
    root_ = ::mkdtemp(name);
  }
  ~Fixture() override { std::filesystem::remove_all(root_); }

  void Put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string Get(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(root_ + "/" + path).rdbuf();
    return out.str();
  }

  std::string root_;
};

}  // namespace wherry::cgroup

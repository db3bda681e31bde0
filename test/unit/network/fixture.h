#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace wherry::network {

// A directory of the test's own, with plugins that are shell scripts.
class Scratch : public testing::Test {
 protected:
  Scratch() {
    std::string pattern = std::filesystem::temp_directory_path() / "wherry-network-XXXXXX";
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    for (const char* sub : {"/net.d", "/bin", "/cache"}) std::filesystem::create_directory(dir_ + sub);
  }
  ~Scratch() override { std::filesystem::remove_all(dir_); }

  void Write(const std::string& name, const std::string& text) const { std::ofstream(dir_ + "/" + name) << text; }
  std::string Read(const std::string& name) const {
    std::ifstream in(dir_ + "/" + name);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }
  bool Exists(const std::string& name) const { return std::filesystem::exists(dir_ + "/" + name); }
  size_t Entries(const std::string& name) const {
    std::error_code none;
    auto it = std::filesystem::directory_iterator(dir_ + "/" + name, none);
    return static_cast<size_t>(std::distance(it, std::filesystem::directory_iterator()));
  }
  // The script's $here is the test's directory.
  void Plugin(const std::string& name, const std::string& script) const {
    Write("bin/" + name, "#!/bin/sh\nhere=" + dir_ + "\n" + script + "\n");
    ASSERT_EQ(chmod((dir_ + "/bin/" + name).c_str(), 0755), 0);
  }

  std::string dir_;
};

inline constexpr char kId[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

}  // namespace wherry::network

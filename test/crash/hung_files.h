#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace wherry::crash {

// A file system that is mounted and never answers, as one of a server that is gone: FUSE with nobody behind. Whoever looks into it waits
// until it is killed, or until the file system's end.
class HungFiles {
 public:
  explicit HungFiles(std::string path);
  ~HungFiles();
  HungFiles(const HungFiles&) = delete;
  HungFiles& operator=(const HungFiles&) = delete;

  const std::string& path() const { return path_; }
  // Waiters get an error from now on.
  void End();

 private:
  const std::string path_;
  int fd_ = -1;
};

}  // namespace wherry::crash

#pragma once

#include <string>
#include <thread>

namespace wherry::crash {

// A file system that is mounted and never answers, as one of a server that is gone, until Fail(): FUSE with nobody behind. Whoever looks into it waits
// until it is killed, or until the file system's end.
class HungFiles {
 public:
  explicit HungFiles(std::string path);
  ~HungFiles();
  HungFiles(const HungFiles&) = delete;
  HungFiles& operator=(const HungFiles&) = delete;

  const std::string& path() const { return path_; }
  // Somebody waits.
  bool asked() const;
  // Who waits, and who asks from now on, is answered with this error: the disk below is broken. Once.
  void Fail(int error);
  // Waiters get an error from now on.
  void End();

 private:
  const std::string path_;
  int fd_ = -1;
  std::thread failing_;
};

}  // namespace wherry::crash

#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/cgroup/cgroup.h"

namespace wherry::cgroup {

// A process forked into a cgroup; killed and reaped at the end.
class Child {
 public:
  // `body` runs once the process is in the cgroup; its result is the exit code. Its children are in the cgroup too.
  Child(const Membership& where, const std::function<int()>& body);
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child(const Child&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  // The wait(2) status.
  int Wait();

 private:
  pid_t pid_ = -1;
};

// A body that sleeps until it is killed.
int Sleep();

// Gives each test a cgroup subtree of its own, "/wherry-test-PID-N", and takes it down afterwards.
class CgroupTest : public ::testing::Test {
 protected:
  // What OpenCgroupfs found, or another view of the same host.
  virtual std::unique_ptr<Cgroups> Open();
  void SetUp() override;
  void TearDown() override;

  // Forks into `path`, which exists.
  Child Run(const std::string& path, const std::function<int()>& body);
  // True when a directory of the cgroup is there in every hierarchy (`all`), or in any.
  bool Exists(const std::string& path, bool all);

  std::unique_ptr<Cgroups> cgroups;
  std::string base;
};

}  // namespace wherry::cgroup

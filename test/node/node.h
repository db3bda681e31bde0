#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace wherry::node {

struct Outcome {
  int status;  // of waitpid(2); -1 without an end in five minutes
  std::string output, errors;
};

// Runs a program of $PATH as an administrator would.
Outcome Try(const std::vector<std::string>& command);

// The same, and returns what it prints on standard output. Fails the test, with what it says on standard error, when it ends with another
// exit code than 0.
std::string Do(const std::vector<std::string>& command);

// A property of wherryd's unit, as `systemctl show` has it.
std::string Unit(const std::string& property);

// Returns when wherryd's unit is active with a main process other than `old`.
void WaitForAnotherDaemon(const std::string& old);

// A pod with one container on the node's network; returns the container's id.
std::string RunPod(const std::string& name, const std::vector<std::string>& command);

nlohmann::json Pods();
nlohmann::json Containers();  // those too that have ended

// Waits 60 s at most.
void Eventually(const std::string& what, const std::function<bool()>& done);

// Pods that must outlive what happens to wherryd.
class Witnesses {
 public:
  explicit Witnesses(int number);
  // The same processes, alive; asks wherryd nothing.
  void ExpectAlive() const;
  // wherryd has them as running, and can do something in them.
  void ExpectServed() const;

 private:
  std::vector<std::string> containers_;
  std::vector<pid_t> pids_;  // of their processes, as the host sees them
};

// A node with wherryd running and the image busybox. Programs are slow here, so pods are made once for all tests of a suite.
class NodeTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  void SetUp() override;  // refuses any other machine, since these tests stop and remove what runs there
  static void RemoveAllPods();
};

// Two pods for all tests of the suite, which they must outlive.
class WitnessedTest : public NodeTest {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void TearDown() override;  // the check

  static const Witnesses& witnesses() { return *witnesses_; }

 private:
  static std::unique_ptr<Witnesses> witnesses_;
};

}  // namespace wherry::node

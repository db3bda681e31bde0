#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/shim/client.h"

// A pod with a busybox root, driven through the real Hub and the real wherry-shim program. Everything happens in a mount
// namespace of the test's own, on a tmpfs, and in cgroups below one directory that the test makes and removes.
namespace wherry::shim {

class PodTest : public ::testing::Test {
 protected:
  struct Output {
    v1::Exit exit;
    std::string out;
    std::string err;
  };

  void SetUp() override;
  void TearDown() override;

  void StartHub(bool shm_in_namespace = false);
  // Spawns the pod's shim and sets the pod up.
  void StartPod();
  v1::Request SetupRequest() const;
  // A request that runs `script` in /bin/sh.
  v1::Request ContainerRequest(const std::string& id, const std::string& script);
  v1::Request ExecRequest(const std::string& container, const std::string& id,
                          const std::vector<std::string>& args) const;

  absl::StatusOr<Reply> Call(v1::Request request, std::vector<sys::UniqueFd> fds = {});
  absl::StatusOr<v1::StartContainerReply> Start(const std::string& id, const std::string& script);
  // Waits for the event.
  v1::Exit WaitContainer(const std::string& id);
  // The same for an exec; its output comes along.
  absl::StatusOr<Output> Run(const std::string& container, const std::string& id, const std::vector<std::string>& args);
  absl::Status Signal(const std::string& container, int signal, bool all = false, const std::string& exec_id = "");
  absl::Status Forget(const std::string& container);
  v1::StateReply State();
  void WaitLost();

  std::string LogPath(const std::string& id) const { return dir_ + "/logs/" + id + "/0.log"; }
  // The log without time stamps: "stdout F text\n"… Fails the test when a line has no proper one.
  std::string Log(const std::string& id) const;

  std::string dir_;  // private to the test
  std::string pod_id_;
  std::string socket_;
  std::string netns_;
  std::unique_ptr<Hub> hub_;
  Process shim_;

 private:
  void MakeRoot();
  v1::Cgroup MakeCgroup(const std::string& id);

  std::vector<std::string> cgroups_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, v1::Exit> containers_;
  std::map<std::string, v1::Exit> execs_;
  bool lost_ = false;
};

// Reads a descriptor to its end.
std::string ReadToEnd(int fd);
std::string ReadFile(const std::string& path);

}  // namespace wherry::shim

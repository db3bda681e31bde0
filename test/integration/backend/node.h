#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/cri/v1/api.pb.h"
#include "cri/config/config.h"
#include "cri/container/inbox.h"
#include "cri/container/service.h"
#include "cri/container/spec.h"
#include "cri/image/store.h"
#include "cri/network/network.h"
#include "cri/pod/service.h"
#include "cri/server/streaming_backend.h"
#include "cri/store/store.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/shim/client.h"

// What is behind the streaming server, without the server: the services of a wherryd in this process, with real shims,
// plugins and images, and the backend on top.
namespace wherry::streaming {

class BackendTest : public ::testing::Test {
 protected:
  // The image's archive is made once for a suite, which takes longer than most cases.
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  std::string RunPod(const std::string& name, bool host_network);
  // Made and started; it runs `script` in a shell.
  std::string Run(const std::string& pod, const std::string& name, const std::string& script,
                  const std::function<void(::runtime::v1::ContainerConfig&)>& edit = {});
  // A pod and a container that only waits.
  std::string RunIdle() { return Run(RunPod("p", true), "c", "exec sleep 100000"); }

  std::unique_ptr<Process> Exec(const std::string& container, const std::string& script, Streams streams);
  std::unique_ptr<Process> Attach(const std::string& container, Streams streams);
  // What ExecSync prints.
  std::string Output(const std::string& container, const std::string& script);
  // Waits until the container has processes with these words in their command lines, or none.
  void WaitForProcess(const std::string& container, const std::string& words, bool there);

  static std::string archive_dir_;
  std::string dir_, cgroup_;
  config::Config config_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<image::ImageStore> images_;
  std::unique_ptr<cgroup::Cgroups> cgroups_;
  std::unique_ptr<network::Network> network_;
  container::Inbox inbox_;
  container::HostFacts host_;
  std::unique_ptr<shim::Hub> hub_;
  std::unique_ptr<container::Service> containers_;
  std::unique_ptr<pod::Service> pods_;
  std::unique_ptr<server::StreamingBackend> backend_;
};

// Each waits for 30 s at most.
void AwaitEnd(const Process& process);
std::string ReadUntil(int fd, const std::string& text);
// To the end of file, or of the terminal.
std::string ReadAll(int fd);
void Write(int fd, const std::string& text);

}  // namespace wherry::streaming

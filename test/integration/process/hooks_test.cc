// Hooks of a device's vendor, by what they see, what they leave in the container, and what a wrong one does to the start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "test/integration/process/support.h"

namespace wherry::process {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Hook = shim::v1::Hook;

// Adds a hook that is a script of the host's shell.
Hook& AddScript(const std::string& script, shim::v1::StartContainerRequest& request,
                Hook::Stage stage = Hook::CREATE_CONTAINER) {
  shim::v1::Hooks& hooks = *request.mutable_hooks();
  hooks.set_bundle(request.work_directory());
  hooks.set_state(R"("ociVersion":"1.1.0","id":"c")");
  std::filesystem::create_directories(request.work_directory() + "/rootfs");
  Hook& hook = *hooks.add_list();
  hook.set_stage(stage);
  hook.set_path("/bin/sh");
  for (const char* arg : {"sh", "-c", script.c_str()}) hook.add_args(arg);
  hook.add_env("PATH=/usr/bin:/bin");
  return hook;
}

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Hooks, WhatTheyDoToTheTreeIsInTheContainerEvenIfThatMayNotWrite) {
  InPod([] {
    Pod pod;
    auto request = pod.Request({"cat", "/made", "/linked"});
    request.mutable_rootfs()->set_readonly(true);
    AddScript("cat rootfs/etc/passwd >rootfs/made && ln -s made rootfs/linked", request);
    const Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    const std::string text = TextOf(pod.layer() + "/etc/passwd");
    EXPECT_EQ(ended.output, text + text);
    EXPECT_TRUE(std::filesystem::is_empty(request.work_directory() + "/rootfs")) << "the host sees the tree";
  });
}

TEST(Hooks, SeeTheHostTheStateAndNothingOfTheContainersEnvironment) {
  InPod([] {
    Pod pod;
    auto request = pod.Request({"true"});
    request.mutable_process()->add_env("LD_PRELOAD=/evil.so");
    const std::string told = request.work_directory() + "/told";
    // A shell adds variables of its own; those that it was given are in /proc.
    AddScript("{ cat; echo; pwd; tr '\\0' '\\n' </proc/self/environ; } >" + told, request).add_env("OWN=yes");
    const Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_THAT(TextOf(told),
                testing::MatchesRegex("\\{\"pid\":[0-9]+,\"status\":\"creating\",\"ociVersion\":\"1.1.0\","
                                      "\"id\":\"c\"\\}\n[^\n]+\n(.|\n)*OWN=yes\n(.|\n)*"));
    EXPECT_THAT(TextOf(told), AllOf(HasSubstr("\n" + request.work_directory() + "\n"),
                                    HasSubstr("PATH=/usr/bin:/bin\n"), Not(HasSubstr("evil"))));
  });
}

TEST(Hooks, OfTheStartAreConfinedAsTheProgramIs) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("cat /tmp/told");
    request.mutable_process()->mutable_user()->set_user("nginx");
    request.mutable_process()->set_no_new_privs(true);
    request.mutable_rootfs()->clear_lowerdirs();
    pod.Write("open/tmp/told", "", 0666);
    request.mutable_rootfs()->add_lowerdirs(pod.directory() + "/open");
    request.mutable_rootfs()->add_lowerdirs(pod.layer());
    AddScript("{ id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; echo $0; cat; } >/tmp/told", request,
              Hook::START_CONTAINER);
    const Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_THAT(ended.output, AllOf(HasSubstr("101\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nsh\n"),
                                    HasSubstr("\"status\":\"created\"")));
  });
}

TEST(Hooks, OneThatFailsFailsTheStartAndIsQuoted) {
  InPod([] {
    Pod pod;
    auto request = pod.Request({"true"});
    AddScript("head -c 1000000 /dev/zero | tr '\\0' x; echo no such card >&2; exit 3", request);
    AddScript("echo ran >" + request.work_directory() + "/second", request);
    const absl::Status status = pod.Run(request).start;
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("createContainer \"/bin/sh\""), HasSubstr("exit code 3"), HasSubstr("no such card")));
    EXPECT_LT(status.message().size(), 4096u);
    EXPECT_FALSE(std::filesystem::exists(request.work_directory() + "/second"));
    auto missing = pod.Request({"true"});
    AddScript("", missing).set_path("/no/such/hook");
    EXPECT_THAT(std::string(pod.Run(missing).start.message()), HasSubstr("No such file"));
  });
}

TEST(Hooks, OneThatHangsIsKilledWithItsChildren) {
  InPod([] {
    Pod pod;
    auto request = pod.Request({"true"});
    request.set_pid_namespace(shim::v1::PID_HOST);  // its own would end them with the container's init
    // Whoever has the pipe open is alive.
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    AddScript("sleep 1000 & sleep 1000", request).set_timeout_s(1);
    const absl::Status status = pod.Run(request).start;
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    ::close(ends[1]);
    char byte;
    EXPECT_EQ(::read(ends[0], &byte, 1), 0);
    ::close(ends[0]);
  });
}

TEST(Hooks, OneThatWritesWithoutEndIsKilledInTime) {
  InPod([] {
    Pod pod;
    auto request = pod.Request({"true"});
    AddScript("for i in 1 2 3 4; do cat /dev/zero & done; wait", request).set_timeout_s(1);
    const absl::Status status = pod.Run(request).start;
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  });
}

TEST(Hooks, ADaemonThatOneLeavesBehindIsNotWaitedFor) {
  InPod([] {
    Pod pod;
    for (const char* daemon : {"setsid sleep 1000 &", "for i in 1 2 3 4; do setsid cat /dev/zero & done"}) {
      auto request = pod.Request({"true"});
      AddScript(daemon, request);
      const Ended ended = pod.Run(request);
      ASSERT_TRUE(ended.start.ok()) << daemon << ": " << ended.start;
      EXPECT_EQ(ended.code, 0);
    }
  });
}

}  // namespace
}  // namespace wherry::process

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "test/integration/process/support.h"

namespace wherry::process {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

shim::v1::Mount* AddBind(shim::v1::StartContainerRequest& request, const std::string& source,
                         const std::string& target) {
  auto* mount = request.mutable_rootfs()->add_mounts();
  mount->set_fs_type("bind");
  mount->set_source(source);
  mount->set_destination(target);
  return mount;
}

TEST(Rootfs, HasTheKernelsFileSystemsAndNothingOfTheHosts) {
  InPod([] {
    Pod pod;
    Ended ended = pod.Run(pod.Shell("cat /proc/self/mountinfo; ls /dev; ls -l /dev/fd; stat -c %a /dev/shm /dev/null"));
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.code, 0) << ended.output;
    for (const char* want : {" / / ", " /proc ", " /sys ", " /dev ", " /dev/pts ", " /dev/shm ", " /dev/mqueue "})
      EXPECT_THAT(ended.output, HasSubstr(want));
    EXPECT_THAT(
        ended.output,
        HasSubstr("core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n"));
    EXPECT_THAT(ended.output, HasSubstr("1777\n666\n"));
    ended = pod.Run(pod.Shell("cut -d' ' -f5 /proc/self/mountinfo | grep -v ^/sys/fs/cgroup"));
    std::set<std::string> mounts;
    std::istringstream lines(ended.output);
    for (std::string line; std::getline(lines, line);) EXPECT_TRUE(mounts.insert(line).second) << line << " twice";
    EXPECT_THAT(mounts, testing::ElementsAre("/", "/dev", "/dev/mqueue", "/dev/pts", "/dev/shm", "/proc", "/sys"));
  });
}

TEST(Rootfs, LeavesNothingInTheHostsMountTable) {
  InPod([] {
    Pod pod;
    auto count = [] {
      auto text = sys::ReadFileAt(AT_FDCWD, "/proc/self/mountinfo");
      return std::count(text->begin(), text->end(), '\n');
    };
    const auto before = count();
    auto request = pod.Request({"/bin/sleep", "1000"});
    AddBind(request, pod.directory() + "/base/etc", "/mnt");
    Launch init = pod.Start(request);
    EXPECT_EQ(count(), before);
    pod.End(init);
  });
}

TEST(Rootfs, ShowsItsOwnCgroupAsTheRoot) {
  InPod([] {
    Pod pod;
    Ended ended = pod.Run(pod.Shell(
        "cat /proc/self/cgroup; ls /sys/fs/cgroup; touch /sys/fs/cgroup/x; for f in /sys/fs/cgroup/*/cgroup.procs "
        "/sys/fs/cgroup/cgroup.procs; do test ! -e $f || { echo looked; echo $$ >$f && echo WRITTEN $f; }; done"));
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_THAT(ended.output, HasSubstr("looked"));
    EXPECT_THAT(ended.output, Not(HasSubstr("WRITTEN")));
    std::istringstream lines(ended.output);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("::") != std::string::npos || line.find(":memory:") != std::string::npos) {
        EXPECT_THAT(line, testing::EndsWith(":/"));
      }
    }
    EXPECT_THAT(ended.output, HasSubstr("Read-only file system"));
  });
}

TEST(Rootfs, TheOverlayKeepsChangesInTheUpperDirectory) {
  InPod([] {
    Pod pod;
    pod.Write("top/etc/motd", "from the top layer\n");
    auto request = pod.Shell("cat /etc/motd; echo new > /new; echo changed >> /etc/passwd");
    request.mutable_rootfs()->clear_lowerdirs();
    request.mutable_rootfs()->add_lowerdirs(pod.directory() + "/top");
    request.mutable_rootfs()->add_lowerdirs(pod.layer());
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "from the top layer\n");
    EXPECT_TRUE(std::filesystem::exists(request.rootfs().upperdir() + "/new"));
    EXPECT_FALSE(std::filesystem::exists(pod.layer() + "/new"));
  });
}

TEST(Rootfs, AReadOnlyRootCannotBeWritten) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("touch /x; touch /dev/shm/y && echo shm");
    request.mutable_rootfs()->set_readonly(true);
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_THAT(ended.output, HasSubstr("Read-only file system"));
    EXPECT_THAT(ended.output, HasSubstr("shm\n"));
  });
}

TEST(Rootfs, MasksFilesAndDirectoriesAndWriteProtects) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell(
        "ls /sys/firmware; ls /proc/scsi; head -c 1 /proc/kcore | od -c; echo 1 > /proc/sys/kernel/panic; ls "
        "/proc/missing");
    for (const char* path : {"/sys/firmware", "/proc/scsi", "/proc/kcore", "/etc/motd", "/no/such"})
      request.mutable_rootfs()->add_masked_paths(path);
    request.mutable_rootfs()->add_readonly_paths("/proc/sys");
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_THAT(ended.output, HasSubstr("0000000\n"));
    EXPECT_THAT(ended.output, HasSubstr("Read-only file system"));
    pod.Write("base/etc/motd", "secret");
    pod.Write("base/etc/keys/key", "secret");
    request = pod.Shell("cat /etc/motd; stat -c '%t:%T' /etc/motd; ls /etc/keys; touch /etc/keys/x");
    request.mutable_rootfs()->add_masked_paths("/etc/motd");
    request.mutable_rootfs()->add_masked_paths("/sys/firmware");
    request.mutable_rootfs()->add_masked_paths("/etc/keys");
    EXPECT_EQ(pod.Run(request).output, "1:3\ntouch: /etc/keys/x: Read-only file system\n");
  });
}

TEST(Rootfs, MountsVolumesInOrderMakingMissingTargets) {
  InPod([] {
    Pod pod;
    pod.Write("volume/file", "volume\n");
    pod.Write("inner/file", "inner\n");
    ASSERT_EQ(::symlink("volume", (pod.directory() + "/link").c_str()), 0);
    auto request = pod.Shell("cat /data/a/b/file /data/a/b/sub/file /single; touch /data/a/b/x; touch /data/a/b/sub/y");
    AddBind(request, pod.directory() + "/link", "/data/a/b");
    AddBind(request, pod.directory() + "/inner", "/data/a/b/sub")->set_readonly(true);
    AddBind(request, pod.directory() + "/inner/file", "/single");
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "volume\ninner\ninner\ntouch: /data/a/b/sub/y: Read-only file system\n");
    EXPECT_TRUE(std::filesystem::exists(pod.directory() + "/volume/x"));
  });
}

TEST(Rootfs, RecursiveReadOnlyReachesMountsBelow) {
  InPod([] {
    Pod pod;
    pod.Write("volume/file", "");
    std::filesystem::create_directory(pod.directory() + "/volume/sub");
    ASSERT_EQ(::mount("tmpfs", (pod.directory() + "/volume/sub").c_str(), "tmpfs", 0, nullptr), 0);
    for (bool recursive : {false, true}) {
      auto request = pod.Shell("touch /v/x; touch /v/sub/y && echo sub");
      auto* mount = AddBind(request, pod.directory() + "/volume", "/v");
      mount->set_readonly(true);
      mount->set_recursive_readonly(recursive);
      Ended ended = pod.Run(request);
      ASSERT_TRUE(ended.start.ok()) << ended.start;
      EXPECT_THAT(ended.output, HasSubstr("/v/x: Read-only"));
      EXPECT_EQ(ended.output.find("sub\n") != std::string::npos, !recursive) << ended.output;
    }
    (void)::umount2((pod.directory() + "/volume/sub").c_str(), MNT_DETACH);
  });
}

TEST(Rootfs, PropagationIsAsAsked) {
  InPod([] {
    Pod pod;
    const std::string shared = pod.directory() + "/shared";
    std::filesystem::create_directories(shared);
    ASSERT_EQ(::mount("tmpfs", shared.c_str(), "tmpfs", 0, nullptr), 0);
    auto request = pod.Shell("grep ' /v ' /proc/self/mountinfo");
    AddBind(request, shared, "/v")->set_propagation(shim::v1::BIDIRECTIONAL);
    EXPECT_EQ(pod.Run(request).start.code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_EQ(::mount(nullptr, shared.c_str(), nullptr, MS_SHARED, nullptr), 0);
    EXPECT_THAT(pod.Run(request).output, HasSubstr("shared:"));
    request.mutable_rootfs()->mutable_mounts(0)->set_propagation(shim::v1::HOST_TO_CONTAINER);
    Ended slave = pod.Run(request);
    EXPECT_THAT(slave.output, HasSubstr("master:"));
    EXPECT_THAT(slave.output, Not(HasSubstr("shared:")));
    request.mutable_rootfs()->mutable_mounts(0)->set_propagation(shim::v1::PRIVATE);
    EXPECT_THAT(pod.Run(request).output, Not(HasSubstr("master:")));
    // A mount that a bidirectional container makes is seen on the host.
    request = pod.Shell("mkdir /v/in && mount -t tmpfs in /v/in && exec sleep 1000");
    AddBind(request, shared, "/v")->set_propagation(shim::v1::BIDIRECTIONAL);
    request.mutable_process()->mutable_capabilities()->set_permitted(1ULL << 21 | 2);
    request.mutable_process()->mutable_capabilities()->set_bounding(1ULL << 21 | 2);
    Launch init = pod.Start(request);
    struct stat outer {
    }, inner{};
    ASSERT_EQ(::stat(shared.c_str(), &outer), 0);
    while (::stat((shared + "/in").c_str(), &inner) != 0 || inner.st_dev == outer.st_dev) {
    }
    pod.End(init);
    (void)::umount2((shared + "/in").c_str(), MNT_DETACH);
    (void)::umount2(shared.c_str(), MNT_DETACH);
  });
}

TEST(Rootfs, SymlinksOfTheImageStayInsideIt) {
  InPod([] {
    Pod pod;
    pod.Write("volume/file", "volume\n");
    const std::string outside = pod.directory() + "/outside", there = pod.directory() + "/there";
    std::filesystem::create_directory(there);
    ASSERT_EQ(::symlink(there.c_str(), (pod.layer() + "/there").c_str()), 0);
    ASSERT_EQ(::symlink((outside).c_str(), (pod.layer() + "/abs").c_str()), 0);
    ASSERT_EQ(::symlink("../../../../../..", (pod.layer() + "/up").c_str()), 0);
    auto request = pod.Shell("cat /abs/made/file /a/b/file /there/made/file");
    AddBind(request, pod.directory() + "/volume", "/abs/made");
    AddBind(request, pod.directory() + "/volume", "/up/a/b");
    AddBind(request, pod.directory() + "/volume", "/there/made");
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "volume\nvolume\nvolume\n");
    EXPECT_FALSE(std::filesystem::exists(outside));
    EXPECT_TRUE(std::filesystem::is_empty(there));
  });
}

TEST(Rootfs, RefusesImagesWhoseKernelDirectoriesAreSymlinks) {
  InPod([] {
    Pod pod;
    for (const char* name : {"proc", "sys", "dev"}) {
      const std::string layer = pod.directory() + "/bad-" + name;
      std::filesystem::create_directories(layer + "/elsewhere");
      ASSERT_EQ(::symlink("elsewhere", (layer + "/" + name).c_str()), 0);
      auto request = pod.Shell("true");
      request.mutable_rootfs()->clear_lowerdirs();
      request.mutable_rootfs()->add_lowerdirs(layer);
      request.mutable_rootfs()->add_lowerdirs(pod.layer());
      Ended ended = pod.Run(request);
      EXPECT_EQ(ended.start.code(), absl::StatusCode::kInvalidArgument) << ended.start;
    }
  });
}

TEST(Rootfs, RefusesMountsOverDirectoriesOfProc) {
  InPod([] {
    Pod pod;
    for (const char* target : {"/proc", "/proc/self/attr", "/"}) {
      auto request = pod.Shell("true");
      AddBind(request, pod.directory() + "/base/etc", target);
      Ended ended = pod.Run(request);
      EXPECT_EQ(ended.start.code(), absl::StatusCode::kInvalidArgument) << target << ": " << ended.start;
    }
    auto request = pod.Shell("cat /proc/meminfo");
    pod.Write("meminfo", "fake\n");
    AddBind(request, pod.directory() + "/meminfo", "/proc/meminfo");
    EXPECT_EQ(pod.Run(request).output, "fake\n");
  });
}

TEST(Rootfs, SaysWhichSourceIsMissing) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("true");
    AddBind(request, pod.directory() + "/nothing", "/v");
    Ended ended = pod.Run(request);
    EXPECT_EQ(ended.start.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(ended.start.message()), HasSubstr("/nothing\" on \"/v\""));
  });
}

TEST(Rootfs, GivesDevicesAndTmpfs) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("stat -c '%F %t:%T' /dev/deep/null; df /t | grep -c tmpfs; stat -c %a /t");
    auto* device = request.mutable_rootfs()->add_devices();
    device->set_path("/dev/deep/null");
    device->set_host_path("/dev/null");
    auto* mount = request.mutable_rootfs()->add_mounts();
    mount->set_fs_type("tmpfs");
    mount->set_destination("/t");
    mount->set_data("size=1m,mode=1770");
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "character special file 1:3\n1\n1770\n");
  });
}

TEST(Rootfs, AllDevicesAreTheHosts) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("stat -c '%F %t:%T' /dev/kmsg /dev/net/tun; ls /dev/pts");
    request.mutable_rootfs()->set_all_devices(true);
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "character special file 1:b\ncharacter special file a:c8\nptmx\n");
  });
}

TEST(Rootfs, SharedMemoryIsThePodsInBothWays) {
  for (bool in_namespace : {false, true}) {
    if (!in_namespace && !sys::ProbeCloneDetached().ok()) continue;  // older kernels have the other way only
    InPod([in_namespace] {
      Pod pod(in_namespace);
      EXPECT_TRUE(pod.Run(pod.Shell("echo hi > /dev/shm/x")).start.ok());
      Ended ended = pod.Run(pod.Shell("cat /dev/shm/x; df /dev/shm | grep -c 1024"));
      EXPECT_TRUE(ended.start.ok()) << ended.start;
      EXPECT_EQ(ended.output, "hi\n1\n");
    });
  }
}

}  // namespace
}  // namespace wherry::process

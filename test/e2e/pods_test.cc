// Pods on a bridge: what a user sees of two pods that talk to each other.

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using testing::HasSubstr;

const char kServe[] = "echo page of $HOSTNAME > /tmp/index.html; exec httpd -f -p 80 -h /tmp";

std::vector<std::string> Shell(const std::string& script) { return {"sh", "-c", script}; }

// wget until it answers: the server needs a moment to listen.
std::string Fetch(Node& node, const std::string& from, const std::string& ip) {
  const std::string host = ip.find(':') == std::string::npos ? ip : "[" + ip + "]";
  auto r = node.Exec(from, Shell("i=0; until wget -q -O - http://" + host +
                                 "/ 2>/tmp/err; do i=$((i+1)); [ $i -lt 100 ] || { cat /tmp/err >&2; exit 1; }; "
                                 "sleep 0.05; done"));
  EXPECT_EQ(r.exit_code(), 0) << r.stderr();
  return r.stdout();
}

class PodsTest : public NodeTest {};

TEST_F(PodsTest, TwoPodsOnPort80ReachEachOtherAndTheGateway) {
  std::string a = node.RunPod("a"), b = node.RunPod("b");
  std::string ca = node.Run(a, "web", Shell(kServe)), cb = node.Run(b, "web", Shell(kServe));
  EXPECT_NE(node.PodIp(a), node.PodIp(b));
  EXPECT_EQ(Fetch(node, ca, node.PodIp(b)), "page of b\n");
  EXPECT_EQ(Fetch(node, cb, node.PodIp(a)), "page of a\n");
  EXPECT_EQ(node.Exec(ca, {"ping", "-c", "1", "-w", "5", "10.88.0.1"}).exit_code(), 0);
}

TEST_F(PodsTest, PodsReachEachOtherOverIPv6) {
  std::string a = node.RunPod("a"), b = node.RunPod("b");
  std::string ca = node.Run(a, "web", Shell("exec sleep 1000"));
  node.Run(b, "web", Shell("echo six > /tmp/index.html; exec httpd -f -p [::]:80 -h /tmp"));
  cri::PodSandboxStatusRequest req;
  req.set_pod_sandbox_id(b);
  cri::PodSandboxStatusResponse resp;
  grpc::ClientContext ctx;
  ASSERT_TRUE(node.runtime().PodSandboxStatus(&ctx, req, &resp).ok());
  ASSERT_EQ(resp.status().network().additional_ips_size(), 1);
  EXPECT_EQ(Fetch(node, ca, resp.status().network().additional_ips(0).ip()), "six\n");
}

TEST_F(PodsTest, ContainersOfOnePodShareNetworkHostnameAndShmButNotProcessesOrFiles) {
  std::string pod = node.RunPod("p");
  std::string one = node.Run(pod, "one", Shell("echo x > /dev/shm/x; echo y > /tmp/y; " + std::string(kServe)));
  std::string two = node.Run(pod, "two", {"sleep", "1000"});
  EXPECT_EQ(Fetch(node, two, "127.0.0.1"), "page of p\n");
  EXPECT_EQ(node.Exec(two, {"hostname"}).stdout(), "p\n");
  EXPECT_EQ(node.Exec(two, {"cat", "/dev/shm/x"}).stdout(), "x\n");
  EXPECT_NE(node.Exec(two, {"cat", "/tmp/y"}).exit_code(), 0);
  EXPECT_THAT(node.Exec(two, {"cat", "/proc/1/cmdline"}).stdout(), HasSubstr("sleep"));
}

// KUBELET 24
TEST_F(PodsTest, ContainerSeesItselfAsDefaultsPromise) {
  std::string pod = node.RunPod("p");
  std::string c = node.Run(pod, "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    config.mutable_linux()->mutable_security_context()->set_no_new_privs(true);
  });
  EXPECT_EQ(node.Exec(c, {"cat", "/proc/self/cgroup"}).exit_code(), 0);
  auto status = node.Exec(c, {"cat", "/proc/1/status"}).stdout();
  EXPECT_THAT(status, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(status, HasSubstr("CapBnd:\t00000000a80425fb"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_EQ(node.Exec(c, Shell("ls /proc/1/fd | wc -l")).stdout(), "3\n");
  EXPECT_NE(node.Exec(c, Shell("echo 1 > /proc/sys/kernel/panic")).exit_code(), 0);
  EXPECT_EQ(node.Exec(c, Shell("cat /proc/kcore 2>/dev/null | wc -c")).stdout(), "0\n");
  EXPECT_EQ(node.Exec(c, Shell("echo a > /dev/null; head -c 4 /dev/zero | wc -c")).stdout(), "4\n");
  EXPECT_NE(node.Exec(c, Shell("mknod /tmp/sda b 8 0 && cat /tmp/sda")).exit_code(), 0);
}

TEST_F(PodsTest, HostMountTableGainsOnlyThePinnedNamespace) {
  auto count = [] {
    std::ifstream in("/proc/self/mountinfo");
    return std::count(std::istreambuf_iterator<char>(in), {}, '\n');
  };
  const auto before = count();
  std::string pod = node.RunPod("p");
  node.Run(pod, "one", {"sleep", "1000"});
  node.Run(pod, "two", {"sleep", "1000"});
  EXPECT_LE(count() - before, 1);
}

TEST_F(PodsTest, HostNetworkPodHasTheHostsInterfacesAndNoAddressOfItsOwn) {
  std::string other = node.RunPod("other");  // makes the bridge appear on the host
  std::string pod = node.RunPod("h", [](cri::PodSandboxConfig& c) {
    c.clear_hostname();
    c.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(cri::NODE);
  });
  std::string c = node.Run(pod, "c", {"sleep", "1000"});
  EXPECT_EQ(node.Exec(c, {"test", "-e", "/sys/class/net/wtest0"}).exit_code(), 0);
  EXPECT_EQ(node.PodIp(pod), "");
}

TEST_F(PodsTest, ResolvConfIsWhatTheRequestSays) {
  std::string pod = node.RunPod("p", [](cri::PodSandboxConfig& c) {
    c.mutable_dns_config()->add_servers("10.96.0.10");
    c.mutable_dns_config()->add_searches("default.svc.cluster.local");
    c.mutable_dns_config()->add_options("ndots:5");
  });
  std::string c = node.Run(pod, "c", {"sleep", "1000"});
  auto text = node.Exec(c, {"cat", "/etc/resolv.conf"}).stdout();
  EXPECT_THAT(text, HasSubstr("nameserver 10.96.0.10\n"));
  EXPECT_THAT(text, HasSubstr("search default.svc.cluster.local\n"));
  EXPECT_THAT(text, HasSubstr("options ndots:5\n"));
}

TEST_F(PodsTest, StopSendsTermThenKillsAndKeepsTheExitCode) {
  std::string pod = node.RunPod("p");
  std::string polite = node.Run(pod, "polite", Shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"));
  std::string deaf = node.Run(pod, "deaf", Shell("trap '' TERM; echo up; while :; do sleep 0.1; done"));
  for (const auto& id : {polite, deaf}) {
    Eventually("the trap to be set", [&] { return node.LogText(id) == "up\n"; });
    cri::StopContainerRequest req;
    req.set_container_id(id);
    req.set_timeout(id == polite ? 30 : 1);
    cri::StopContainerResponse resp;
    grpc::ClientContext ctx;
    ASSERT_TRUE(node.runtime().StopContainer(&ctx, req, &resp).ok());
    EXPECT_EQ(node.Status(id).state(), cri::CONTAINER_EXITED);
  }
  EXPECT_EQ(node.Status(polite).exit_code(), 7);
  EXPECT_EQ(node.Status(deaf).exit_code(), 137);
}

// KUBELET 30
TEST_F(PodsTest, ExitCodesAndReasons) {
  std::string pod = node.RunPod("p");
  auto good = node.WaitExited(node.Run(pod, "good", {"true"}));
  EXPECT_EQ(good.exit_code(), 0);
  EXPECT_EQ(good.reason(), "Completed");
  auto bad = node.WaitExited(node.Run(pod, "bad", Shell("exit 3")));
  EXPECT_EQ(bad.exit_code(), 3);
  EXPECT_EQ(bad.reason(), "Error");
  EXPECT_GE(bad.finished_at(), bad.started_at());
}

// KUBELET 44
TEST_F(PodsTest, ExecReturnsBothStreamsAndTheCode) {
  std::string pod = node.RunPod("p");
  std::string c = node.Run(pod, "c", {"sleep", "1000"});
  auto r = node.Exec(c, Shell("echo out; echo err >&2; exit 5"));
  EXPECT_EQ(r.stdout(), "out\n");
  EXPECT_EQ(r.stderr(), "err\n");
  EXPECT_EQ(r.exit_code(), 5);
}

// KUBELET 44
TEST_F(PodsTest, ExecPastItsTimeoutIsDeadlineExceededAndLeavesNoProcess) {
  std::string pod = node.RunPod("p");
  std::string c = node.Run(pod, "c", {"sleep", "1000"});
  cri::ExecSyncRequest req;
  req.set_container_id(c);
  for (const char* a : {"sh", "-c", "sleep 777 & sleep 778"}) req.add_cmd(a);
  req.set_timeout(1);
  cri::ExecSyncResponse resp;
  grpc::ClientContext ctx;
  auto st = node.runtime().ExecSync(&ctx, req, &resp);
  EXPECT_EQ(st.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << st.error_message();
  Eventually("the exec's processes to end",
             [&] { return node.Exec(c, Shell("ps | grep -c '[s]leep 77'")).stdout() == "0\n"; });
}

// Whoever tidies up cgroups may take those that are empty, as the shims' while there is no pod.
TEST_F(PodsTest, CanBeMadeAfterTheShimsCgroupWasRemoved) {
  node.RemovePod(node.RunPod("p"));
  int removed = 0;
  for (const char* tree : {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"}) {
    const std::string shims = tree + node.cgroup() + "/shims";
    if (!std::filesystem::exists(shims)) continue;
    Eventually("the shims' cgroup to be empty", [&] { return ::rmdir(shims.c_str()) == 0; });
    ++removed;
  }
  ASSERT_EQ(removed, 1);
  EXPECT_EQ(node.Exec(node.Run(node.RunPod("q"), "c", {"sleep", "1000"}), {"true"}).exit_code(), 0);
}

}  // namespace
}  // namespace wherry::e2e

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "test/integration/shim/pod_fixture.h"

namespace wherry::shim {
namespace {

constexpr uint32_t kFirst = 200000, kLength = 65536;

// KUBELET C18: one mapping of uids and one of gids.
class UserNamespaceTest : public PodTest {
 protected:
  void StartMappedPod(bool shared_pid = false) {
    StartHub();
    auto process = hub_->Spawn(pod_id_, socket_);
    ASSERT_TRUE(process.ok()) << process.status();
    shim_ = *process;
    v1::Request request = SetupRequest();
    v1::UserNamespace* users = request.mutable_setup_pod()->mutable_user_namespace();
    users->set_host_uid(kFirst);
    users->set_uids(kLength);
    users->set_host_gid(kFirst);
    users->set_gids(kLength);
    request.mutable_setup_pod()->set_shared_pid(shared_pid);
    auto reply = Call(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
  }
  v1::Request Mapped(const std::string& id, const std::string& script) {
    v1::Request request = ContainerRequest(id, script);
    const std::string& upper = request.start_container().rootfs().upperdir();
    EXPECT_EQ(::chown(upper.c_str(), kFirst, kFirst), 0);
    return request;
  }
  std::string RunMapped(const std::string& script) {
    auto reply = Call(Mapped("c", script));
    EXPECT_TRUE(reply.ok()) << reply.status();
    if (reply.ok()) WaitContainer("c");
    return Log("c");
  }
};

TEST_F(UserNamespaceTest, RootInsideIsAnOrdinaryUserOutside) {
  StartMappedPod();
  EXPECT_EQ(RunMapped("id -u; cat /proc/self/uid_map; stat -c %u:%g / /bin /etc/passwd /dev/null /dev/shm"),
            "stdout F 0\nstdout F          0     200000      65536\n"
            "stdout F 0:0\nstdout F 0:0\nstdout F 0:0\nstdout F 0:0\nstdout F 0:0\n");
}

}  // namespace
}  // namespace wherry::shim

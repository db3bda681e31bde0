// What RunPodSandbox refuses before anything is done.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "api/cri/v1/api.pb.h"
#include "cri/pod/core.h"

namespace wherry::pod {
namespace {

namespace cri = ::runtime::v1;

cri::RunPodSandboxRequest Good() {
  cri::RunPodSandboxRequest request;
  cri::PodSandboxConfig& config = *request.mutable_config();
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("u1");
  config.set_hostname("web");
  config.set_log_directory("/var/log/pods/web");
  config.mutable_linux()->set_cgroup_parent("/kubepods/pod1");
  return request;
}

absl::Status With(const std::function<void(cri::PodSandboxConfig&)>& edit) {
  cri::RunPodSandboxRequest request = Good();
  edit(*request.mutable_config());
  return Validate(request, false);
}

cri::NamespaceOption& Namespaces(cri::PodSandboxConfig& config) {
  return *config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
}

TEST(ValidateTest, AnOrdinaryPodIsFine) { EXPECT_TRUE(Validate(Good(), false).ok()) << Validate(Good(), false); }

TEST(ValidateTest, NamesThatWouldBreakOutOfCniArgsAreRefused) {
  for (const char* bad : {"", "a;K8S_POD_UID=0", "a=b", "a b", "a\nb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(With([&](auto& c) { c.mutable_metadata()->set_name(bad); }))) << bad;
    EXPECT_TRUE(absl::IsInvalidArgument(With([&](auto& c) { c.mutable_metadata()->set_namespace_(bad); }))) << bad;
    EXPECT_TRUE(absl::IsInvalidArgument(With([&](auto& c) { c.mutable_metadata()->set_uid(bad); }))) << bad;
  }
  const auto named = [](size_t length) {
    return With([&](auto& c) { c.mutable_metadata()->set_name(std::string(length, 'a')); });
  };
  EXPECT_TRUE(named(253).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(named(254)));
}

TEST(ValidateTest, PortsHaveToBePorts) {
  const auto map = [](int host, int container, int protocol = 0) {
    return With([&](auto& c) {
      cri::PortMapping& m = *c.add_port_mappings();
      m.set_host_port(host);
      m.set_container_port(container);
      m.set_protocol(static_cast<cri::Protocol>(protocol));
    });
  };
  EXPECT_TRUE(map(8080, 80).ok());
  EXPECT_TRUE(map(0, 80).ok()) << "the kubelet names container ports so";
  EXPECT_TRUE(absl::IsInvalidArgument(map(65536, 80)));
  EXPECT_TRUE(absl::IsInvalidArgument(map(-1, 80)));
  EXPECT_TRUE(absl::IsInvalidArgument(map(8080, 0)));
  EXPECT_TRUE(absl::IsInvalidArgument(map(8080, 70000)));
  EXPECT_TRUE(absl::IsInvalidArgument(map(8080, 80, 99)));
}

TEST(ValidateTest, UnknownNamespaceModesAreRefused) {
  for (int mode : {3, 99}) {  // TARGET is for containers
    const auto value = static_cast<cri::NamespaceMode>(mode);
    EXPECT_TRUE(absl::IsInvalidArgument(With([&](auto& c) { Namespaces(c).set_pid(value); }))) << mode;
    EXPECT_TRUE(absl::IsInvalidArgument(With([&](auto& c) { Namespaces(c).set_network(value); }))) << mode;
    EXPECT_TRUE(absl::IsInvalidArgument(With([&](auto& c) { Namespaces(c).set_ipc(value); }))) << mode;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(With([&](auto& c) {
    Namespaces(c).mutable_userns_options()->set_mode(cri::POD);
  }))) << "no mappings";
}

TEST(ValidateTest, CgroupParentsLeadNowhereElse) {
  for (const char* bad : {"kubepods", "/kubepods/../..", "/a/../b"})
    EXPECT_TRUE(absl::IsInvalidArgument(With([&](auto& c) { c.mutable_linux()->set_cgroup_parent(bad); }))) << bad;
}

TEST(ValidateTest, CgroupParentsAreTheDriversOwn) {
  cri::RunPodSandboxRequest request = Good();
  EXPECT_TRUE(absl::IsFailedPrecondition(Validate(request, true)));
  std::string& parent = *request.mutable_config()->mutable_linux()->mutable_cgroup_parent();
  for (const char* slice : {"kubepods-burstable-podU1.slice", "/kubepods-burstable-podU1.slice",
                            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU1.slice"}) {
    parent = slice;
    EXPECT_TRUE(Validate(request, true).ok()) << Validate(request, true);
    EXPECT_TRUE(absl::IsFailedPrecondition(Validate(request, false))) << slice;
  }
  for (const char* bad : {"/kubepods.slice/other-podU1.slice", "kubepods--podU1.slice", "../a.slice", "a b.slice"}) {
    parent = bad;
    EXPECT_TRUE(absl::IsInvalidArgument(Validate(request, true))) << bad << Validate(request, true);
  }
}

}  // namespace
}  // namespace wherry::pod

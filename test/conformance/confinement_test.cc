// What a container's processes may do: LinuxContainerSecurityContext.

#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "test/conformance/runtime.h"

namespace wherry::conformance {
namespace {

using testing::HasSubstr;

constexpr uint64_t Bit(int capability) { return uint64_t{1} << capability; }
constexpr int kChown = 0, kNetRaw = 13, kSysTime = 25, kSysAdmin = 21, kNetBindService = 10;

class ConfinementTest : public ConformanceTest {
 protected:
  struct Sets {
    uint64_t inheritable = 0, permitted = 0, effective = 0, bounding = 0, ambient = 0;
  };
  // The sets of a process that `script` runs, by the kernel's own account.
  Sets SetsOf(const EditContainer& edit) {
    const std::string id = Run({"sleep", "1000"}, edit);
    auto set = [&](const char* name) {
      uint64_t number = 0;
      const std::string text = Sh(id, absl::StrCat("sed -n 's/^", name, ":\t//p' /proc/1/status"));
      EXPECT_TRUE(absl::SimpleHexAtoi(text, &number)) << name << " \"" << text << "\"";
      return number;
    };
    return {set("CapInh"), set("CapPrm"), set("CapEff"), set("CapBnd"), set("CapAmb")};
  }
  static cri::Capability& Capabilities(cri::ContainerConfig& config) {
    return *SecurityOf(config).mutable_capabilities();
  }
};

TEST_F(ConfinementTest, CapabilitiesAreAddedAndDroppedByName) {
  RunPod();
  const Sets sets = SetsOf([](auto& config) {
    Capabilities(config).add_add_capabilities("SYS_TIME");
    Capabilities(config).add_drop_capabilities("CHOWN");
  });
  EXPECT_TRUE(sets.effective & Bit(kSysTime));
  EXPECT_FALSE(sets.effective & Bit(kChown));
  EXPECT_FALSE(sets.effective & Bit(kSysAdmin));
  EXPECT_EQ(sets.permitted, sets.effective);
  EXPECT_EQ(sets.bounding, sets.effective) << "what is dropped cannot come back";
  EXPECT_EQ(sets.inheritable, 0u);
}

TEST_F(ConfinementTest, AllCapabilitiesCanBeAddedOrDropped) {
  RunPod();
  const Sets all = SetsOf([](auto& config) { Capabilities(config).add_add_capabilities("ALL"); });
  EXPECT_TRUE(all.effective & Bit(kSysAdmin));
  EXPECT_TRUE(all.effective & Bit(kSysTime));
  const Sets one = SetsOf([](auto& config) {
    Capabilities(config).add_drop_capabilities("ALL");
    Capabilities(config).add_add_capabilities("NET_RAW");
  });
  EXPECT_EQ(one.effective, Bit(kNetRaw));
  EXPECT_EQ(one.bounding, Bit(kNetRaw));
  const Sets none = SetsOf([](auto& config) { Capabilities(config).add_drop_capabilities("ALL"); });
  EXPECT_EQ(none.effective | none.bounding | none.permitted, 0u);
}

TEST_F(ConfinementTest, AnAmbientCapabilityIsAnOrdinaryUsersToo) {
  RunPod();
  const Sets sets = SetsOf([](auto& config) {
    SecurityOf(config).mutable_run_as_user()->set_value(1000);
    Capabilities(config).add_add_ambient_capabilities("NET_BIND_SERVICE");
  });
  EXPECT_EQ(sets.effective, Bit(kNetBindService));
  EXPECT_EQ(sets.ambient, Bit(kNetBindService));
}

TEST_F(ConfinementTest, WithoutNewPrivilegesASetuidProgramGivesNone) {
  RunPod();
  for (const bool forbidden : {true, false}) {
    const std::string id = Run({"sleep", "1000"}, [&](auto& config) {
      SecurityOf(config).set_no_new_privs(forbidden);
      SecurityOf(config).mutable_run_as_user()->set_value(0);
    });
    EXPECT_EQ(Sh(id, "sed -n 's/^NoNewPrivs:\t//p' /proc/1/status /proc/self/status"), forbidden ? "1\n1" : "0\n0");
  }
}

TEST_F(ConfinementTest, PathsAreMaskedAndProtectedAsTheRequestSays) {
  RunPod();
  const std::string id = Run({"sleep", "1000"}, [](cri::ContainerConfig& config) {
    SecurityOf(config).add_masked_paths("/bin/nc");
    SecurityOf(config).add_masked_paths("/www");
    SecurityOf(config).add_masked_paths("/there/is/none");
    SecurityOf(config).add_readonly_paths("/tmp");
  });
  EXPECT_EQ(Sh(id, "wc -c </bin/nc; ls /www; ls /etc/group"), "0\n/etc/group");
  EXPECT_THAT(Exec(id, {"touch", "/tmp/x"}).stderr(), HasSubstr("Read-only"));
  EXPECT_EQ(Exec(id, {"touch", "/home/x"}).exit_code(), 0);
}

// Who a program is comes from the image, whatever the program itself may see of it.
TEST_F(ConfinementTest, AMaskedPasswdStillSaysWhoTheProgramIs) {
  RunPod();
  const std::string id = Run({"sleep", "1000"}, [](cri::ContainerConfig& config) {
    SecurityOf(config).add_masked_paths("/etc/passwd");
    SecurityOf(config).add_masked_paths("/etc/group");
    SecurityOf(config).set_run_as_username("www-data");
  });
  EXPECT_EQ(Sh(id, "id -u; id -g; cat /etc/passwd /etc/group; tr '\\0' '\\n' </proc/1/environ | grep ^HOME"),
            "33\n33\nHOME=/www");
}

TEST_F(ConfinementTest, APrivilegedContainerHasTheHostsDevicesAndNoRestriction) {
  RunPod([](auto& config) { SecurityOf(config).set_privileged(true); });
  const std::string id = Run({"sleep", "1000"}, [](auto& config) { SecurityOf(config).set_privileged(true); });
  std::string own, line;
  for (std::ifstream status("/proc/self/status"); std::getline(status, line);)
    if (line.rfind("CapBnd:", 0) == 0) own = line.substr(8);
  EXPECT_EQ(Sh(id, "sed -n 's/^CapEff:\t//p;s/^Seccomp:\t//p' /proc/1/status"), own + "\n0");
  EXPECT_EQ(Sh(id, "ls /dev/kmsg"), "/dev/kmsg");
  EXPECT_EQ(Sh(id, "grep -c ' /proc/' /proc/self/mounts"), "0") << "something in /proc is masked or protected";
  EXPECT_EQ(Sh(id, "grep ' /sys sysfs' /proc/self/mounts | cut -d' ' -f4 | cut -d, -f1"), "rw");
}

TEST_F(ConfinementTest, WhoIsNotPrivilegedHasOwnDevicesAReadOnlySysAndMasks) {
  RunPod();
  const std::string id = Run({"sleep", "1000"});
  EXPECT_EQ(Sh(id, "for f in /dev/kmsg /dev/mem /dev/fuse; do test -e $f && echo $f; done"), "");
  EXPECT_EQ(Sh(id, "for d in null zero full random urandom tty; do test -c /dev/$d || echo $d; done"), "");
  EXPECT_EQ(Sh(id, "grep ' /sys sysfs' /proc/self/mounts | cut -d' ' -f4 | cut -d, -f1"), "ro");
  EXPECT_THAT(Exec(id, {"sh", "-c", "echo x >/proc/sys/kernel/hostname"}).stderr(), HasSubstr("Read-only"));
  EXPECT_NE(Sh(id, "grep -c ' /proc/' /proc/self/mounts"), "0") << "nothing in /proc is masked or protected";
  EXPECT_THAT(Exec(id, {"mount", "-t", "tmpfs", "t", "/tmp"}).stderr(), HasSubstr("denied"));
}

TEST_F(ConfinementTest, AContainerIsPrivilegedOnlyInAPrivilegedPod) {
  RunPod();
  std::string id;
  EXPECT_FALSE(TryCreate(
                   {"true"}, [](auto& config) { SecurityOf(config).set_privileged(true); }, &id)
                   .ok());
}

}  // namespace
}  // namespace wherry::conformance

// The inheritable set is never filled beyond what is asked for as ambient (CVE-2022-24769 and its kin: a non-empty
// inheritable set gives files with inheritable bits back to a user who has dropped them); the shim keeps that rule.
#include "cri/container/capabilities.h"

#include <sys/prctl.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/security/capability.h"

namespace wherry::container {
namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

bool IsAll(absl::string_view name) { return absl::EqualsIgnoreCase(name, "ALL"); }

}  // namespace

uint64_t AvailableCapabilities() {
  uint64_t set = 0;
  for (int number = 0; number < 64; ++number) {
    int in_bounding_set = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (in_bounding_set < 0) break;
    if (in_bounding_set == 1) set |= Bit(number);
  }
  return set;
}

absl::StatusOr<shim::v1::Capabilities> ContainerCapabilities(const ::runtime::v1::Capability& request, bool privileged,
                                                             uint64_t available) {
  uint64_t set = privileged ? available : security::DefaultCapabilities() & available;
  uint64_t added = 0, dropped = 0, ambient = 0;
  for (const auto& name : request.add_capabilities()) {
    if (IsAll(name)) set = available;
  }
  for (const auto& name : request.drop_capabilities()) {
    if (IsAll(name)) set = 0;
  }
  for (const auto& name : request.add_capabilities()) {
    if (IsAll(name)) continue;
    auto number = security::CapabilityNumber(name);
    if (!number.ok()) return number.status();
    if ((available & Bit(*number)) == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("add_capabilities: wherryd itself has no ", security::CapabilityName(*number), " on this host"));
    }
    added |= Bit(*number);
  }
  for (const auto& name : request.drop_capabilities()) {
    if (IsAll(name)) continue;
    auto number = security::CapabilityNumber(name);
    if (!number.ok()) return number.status();
    dropped |= Bit(*number);
  }
  if (!privileged) set = (set | added) & ~dropped;
  for (const auto& name : request.add_ambient_capabilities()) {
    auto number = security::CapabilityNumber(name);
    if (!number.ok()) return number.status();
    if ((set & Bit(*number)) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("add_ambient_capabilities: ", security::CapabilityName(*number),
                                                     " is not among the container's capabilities"));
    }
    ambient |= Bit(*number);
  }
  shim::v1::Capabilities result;
  result.set_permitted(set);
  result.set_bounding(set);
  result.set_ambient(ambient);
  return result;
}

}  // namespace wherry::container

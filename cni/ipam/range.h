#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/address.h"

// The address ranges of host-local. A container gets one address of every range set; a set is one or more ranges of the
// same family that are used one after the other. The defaults are the reference plugin's, because both may serve one
// directory of leases: gateway .1, start .1 (the gateway is left out), end the last address, for IPv4 without the broadcast.
namespace wherry::ipam {

struct Range {
  cni::IpPrefix subnet;
  cni::IpAddress start, end, gateway;  // start and end are inclusive

  bool Contains(const cni::IpAddress& address) const;
  bool Overlaps(const Range& other) const;
  std::string ToString() const;  // "10.1.0.1-10.1.0.254"
};

using RangeSet = std::vector<Range>;

// Fills in what is missing and checks the rest. InvalidConfig (7): no subnet, too small, host bits set, a start or end
// outside, no range in a set, two families in one set, ranges of one set that overlap.
absl::Status Complete(Range* range);
absl::Status Complete(RangeSet* set);

// The range of the set that holds `address`, or null.
const Range* RangeOf(const RangeSet& set, const cni::IpAddress& address);
bool Overlap(const RangeSet& a, const RangeSet& b);
std::string ToString(const RangeSet& set);

// How many addresses the set can give out, at most about 2^40.
uint64_t Capacity(const RangeSet& set);

// Walks a set round and round, beginning behind `last` when that is in the set, else at its start.
class Cursor {
 public:
  Cursor(const RangeSet& set, const cni::IpAddress& last);
  const Range& range() const { return set_[index_]; }
  const cni::IpAddress& address() const { return address_; }
  void Advance();

 private:
  const RangeSet& set_;
  size_t index_ = 0;
  cni::IpAddress address_;
};

}  // namespace wherry::ipam

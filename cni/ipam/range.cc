#include "cni/ipam/range.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/cni/error.h"
#include "runtime/sys/status.h"

namespace wherry::ipam {
namespace {

constexpr uint64_t kCountLimit = uint64_t{1} << 40;

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

// The last address that can be given out: all host bits set, for IPv4 one less.
cni::IpAddress LastOf(const cni::IpPrefix& subnet) {
  const cni::IpAddress all = subnet.address.Fill(subnet.length);
  if (!subnet.address.is_v4()) return all;
  std::array<uint8_t, 4> bytes{};
  std::copy_n(all.data(), bytes.size(), bytes.begin());
  bytes[3] = static_cast<uint8_t>(bytes[3] - 1);  // the host part has two bits at least, so nothing is borrowed
  return cni::IpAddress::FromBytes(bytes.data(), bytes.size());
}

}  // namespace

bool Range::Contains(const cni::IpAddress& address) const {
  if (!subnet.Contains(address)) return false;
  return (!start.valid() || address >= start) && (!end.valid() || address <= end);
}

bool Range::Overlaps(const Range& other) const {
  return Contains(other.start) || Contains(other.end) || other.Contains(start) || other.Contains(end);
}

std::string Range::ToString() const { return absl::StrCat(start.ToString(), "-", end.ToString()); }

absl::Status Complete(Range* range) {
  const cni::IpPrefix& subnet = range->subnet;
  if (!subnet.address.valid()) return Invalid("the range has no subnet");
  if (subnet.length + 2 > static_cast<int>(8 * subnet.address.size()))
    return Invalid(absl::StrCat("network ", subnet.ToString(), " is too small to allocate from"));
  if (subnet.address != subnet.Network())
    return Invalid(absl::StrCat("network ", subnet.ToString(), " has host bits set; for its length the address is ",
                                subnet.Network().ToString()));
  if (!range->gateway.valid()) range->gateway = subnet.address.Next();
  if (range->gateway.size() != subnet.address.size())
    return Invalid(absl::StrCat("gateway ", range->gateway.ToString(), " is not of the family of ", subnet.ToString()));
  for (const auto& [name, bound] : {std::pair("rangeStart", range->start), std::pair("rangeEnd", range->end)}) {
    if (bound.valid() && !subnet.Contains(bound))
      return Invalid(absl::StrCat(name, " ", bound.ToString(), " is not in network ", subnet.ToString()));
  }
  if (!range->start.valid()) range->start = subnet.address.Next();
  if (!range->end.valid()) range->end = LastOf(subnet);
  if (range->end < range->start)
    return Invalid(
        absl::StrCat("rangeEnd ", range->end.ToString(), " lies before rangeStart ", range->start.ToString()));
  return absl::OkStatus();
}

absl::Status Complete(RangeSet* set) {
  if (set->empty()) return Invalid("the range set is empty");
  for (size_t i = 0; i < set->size(); ++i) {
    RETURN_IF_ERROR(Complete(&(*set)[i]));
    if ((*set)[i].start.size() != set->front().start.size()) return Invalid("the range set mixes IPv4 and IPv6");
    for (size_t j = 0; j < i; ++j) {
      if ((*set)[i].Overlaps((*set)[j]))
        return Invalid(absl::StrCat("ranges ", (*set)[j].ToString(), " and ", (*set)[i].ToString(), " overlap"));
    }
  }
  return absl::OkStatus();
}

const Range* RangeOf(const RangeSet& set, const cni::IpAddress& address) {
  for (const Range& range : set) {
    if (range.Contains(address)) return &range;
  }
  return nullptr;
}

bool Overlap(const RangeSet& a, const RangeSet& b) {
  for (const Range& range : a) {
    for (const Range& other : b) {
      if (range.Overlaps(other)) return true;
    }
  }
  return false;
}

std::string ToString(const RangeSet& set) {
  return absl::StrJoin(set, ",", [](std::string* out, const Range& range) { out->append(range.ToString()); });
}

uint64_t Capacity(const RangeSet& set) {
  uint64_t count = 0;
  for (const Range& range : set) {
    count += range.start.CountTo(range.end, kCountLimit);
    if (range.Contains(range.gateway)) --count;
  }
  return count;
}

Cursor::Cursor(const RangeSet& set, const cni::IpAddress& last) : set_(set), address_(set.front().start) {
  for (size_t i = 0; i < set_.size(); ++i) {
    if (!set_[i].Contains(last)) continue;
    index_ = i;
    address_ = last;
    Advance();
    return;
  }
}

void Cursor::Advance() {
  if (address_ == set_[index_].end) {
    index_ = (index_ + 1) % set_.size();
    address_ = set_[index_].start;
  } else {
    address_ = address_.Next();
  }
}

}  // namespace wherry::ipam

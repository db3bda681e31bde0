#include "cni/ipam/host_local.h"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/ipam/resolv_conf.h"
#include "cni/ipam/store.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::ipam {
namespace {

using cni::ErrorCode;
using cni::IpAddress;

// One run of Allocate: the open store, what is taken, what has been reserved so far.
struct Allocation {
  Store& store;
  const cni::Attachment& attachment;
  std::vector<Lease> leases;
  std::set<IpAddress> taken;
  std::vector<IpAddress> requested;  // not yet matched with a range set
  std::vector<IpAddress> reserved;
};

// Takes the requested address that lies in `set` out of the list.
IpAddress TakeRequested(const RangeSet& set, std::vector<IpAddress>* requested) {
  auto found = std::find_if(requested->begin(), requested->end(),
                            [&](const IpAddress& address) { return RangeOf(set, address) != nullptr; });
  if (found == requested->end()) return {};
  const IpAddress address = *found;
  requested->erase(found);
  return address;
}

absl::StatusOr<IpAddress> Requested(const RangeSet& set, const IpAddress& address, const Allocation& run) {
  if (address == RangeOf(set, address)->gateway)
    return cni::MakeError(ErrorCode::kInvalidConfig,
                          absl::StrCat("requested address ", address.ToString(), " is the subnet's gateway"));
  if (run.taken.contains(address))
    return cni::MakeError(ErrorCode::kTryAgainLater,
                          absl::StrCat("requested address ", address.ToString(), " is taken"));
  return address;
}

absl::StatusOr<IpAddress> NextFree(const RangeSet& set, size_t index, const Allocation& run) {
  for (const Lease& lease : run.leases) {
    if (lease.HeldBy(run.attachment) && RangeOf(set, lease.address) != nullptr)
      return cni::MakeError(ErrorCode::kInvalidConfig,
                            absl::StrCat("container ", lease.container_id, " already holds ", lease.address.ToString(),
                                         " for ", run.attachment.ifname));
  }
  Cursor cursor(set, run.store.LastReserved(index));
  // Each step finds a free address, one that is taken, or a gateway: so many steps see every address at least once.
  const uint64_t steps = std::min<uint64_t>(Capacity(set), run.taken.size()) + set.size();
  for (uint64_t i = 0; i <= steps; ++i, cursor.Advance()) {
    if (cursor.address() != cursor.range().gateway && !run.taken.contains(cursor.address())) return cursor.address();
  }
  return cni::MakeError(ErrorCode::kTryAgainLater, absl::StrCat("no address is free in ", ToString(set)));
}

absl::Status AllocateFrom(const RangeSet& set, size_t index, Allocation* run, cni::Result* out) {
  const IpAddress wanted = TakeRequested(set, &run->requested);
  ASSIGN_OR_RETURN(IpAddress address, wanted.valid() ? Requested(set, wanted, *run) : NextFree(set, index, *run));
  RETURN_IF_ERROR(run->store.Reserve(address, run->attachment));
  run->reserved.push_back(address);
  run->taken.insert(address);
  const Range* range = RangeOf(set, address);
  out->ips.push_back({std::nullopt, {address, range->subnet.length}, range->gateway});
  return run->store.SetLastReserved(index, address);
}

absl::Status AllocateAll(const HostLocalConfig& config, Allocation* run, cni::Result* out) {
  for (size_t i = 0; i < config.ranges.size(); ++i) RETURN_IF_ERROR(AllocateFrom(config.ranges[i], i, run, out));
  if (run->requested.empty()) return absl::OkStatus();
  return cni::MakeError(ErrorCode::kInvalidConfig, absl::StrCat("requested address ", run->requested.front().ToString(),
                                                                " is in no range, or its range was used already"));
}

}  // namespace

absl::StatusOr<cni::Result> Allocate(const HostLocalConfig& config, const cni::Attachment& attachment) {
  cni::Result out;
  if (!config.resolv_conf.empty()) {
    ASSIGN_OR_RETURN_CTX(std::string text, sys::ReadFileAt(AT_FDCWD, config.resolv_conf), "ipam.resolvConf");
    out.dns = ParseResolvConf(text);
  }
  ASSIGN_OR_RETURN(Store store, Store::Open(config.directory));
  Allocation run{store, attachment, {}, {}, config.requested, {}};
  std::sort(run.requested.begin(), run.requested.end());
  run.requested.erase(std::unique(run.requested.begin(), run.requested.end()), run.requested.end());
  ASSIGN_OR_RETURN(run.leases, store.Leases());
  for (const Lease& lease : run.leases) run.taken.insert(lease.address);
  absl::Status status = AllocateAll(config, &run, &out);
  if (!status.ok()) {
    for (const IpAddress& address : run.reserved) {
      if (absl::Status undone = store.Release(address); !undone.ok())
        status = sys::Annotate(status, absl::StrCat(undone.message(), "; after"));
    }
    return sys::Annotate(status, "host-local");
  }
  out.routes = config.routes;
  return out;
}

absl::Status Release(const HostLocalConfig& config, const cni::Attachment& attachment) {
  ASSIGN_OR_RETURN(Store store, Store::Open(config.directory));
  ASSIGN_OR_RETURN(std::vector<Lease> leases, store.Leases());
  absl::Status first;
  for (const Lease& lease : leases) {
    if (lease.HeldBy(attachment)) first.Update(store.Release(lease.address));
  }
  return first;
}

absl::Status Check(const HostLocalConfig& config, const cni::Attachment& attachment) {
  ASSIGN_OR_RETURN(Store store, Store::Open(config.directory));
  ASSIGN_OR_RETURN(std::vector<Lease> leases, store.Leases());
  if (std::any_of(leases.begin(), leases.end(), [&](const Lease& lease) { return lease.HeldBy(attachment); }))
    return absl::OkStatus();
  return cni::MakeError(ErrorCode::kUnknownContainer,
                        absl::StrCat("host-local: container ", attachment.container_id, " holds no address for ",
                                     attachment.ifname, " in ", config.directory));
}

absl::Status Collect(const HostLocalConfig& config, const std::vector<cni::Attachment>& valid) {
  ASSIGN_OR_RETURN(Store store, Store::Open(config.directory));
  ASSIGN_OR_RETURN(std::vector<Lease> leases, store.Leases());
  absl::Status first;
  for (const Lease& lease : leases) {
    if (std::none_of(valid.begin(), valid.end(), [&](const cni::Attachment& held) { return lease.HeldBy(held); }))
      first.Update(store.Release(lease.address));
  }
  return first;
}

absl::Status Ready(const HostLocalConfig& config) {
  ASSIGN_OR_RETURN(Store store, Store::Open(config.directory));
  ASSIGN_OR_RETURN(std::vector<Lease> leases, store.Leases());
  for (const RangeSet& set : config.ranges) {
    const auto used = std::count_if(leases.begin(), leases.end(),
                                    [&](const Lease& lease) { return RangeOf(set, lease.address) != nullptr; });
    if (static_cast<uint64_t>(used) >= Capacity(set))
      return cni::MakeError(ErrorCode::kNotAvailable,
                            absl::StrCat("host-local: no address is free in ", ToString(set)));
  }
  return absl::OkStatus();
}

}  // namespace wherry::ipam

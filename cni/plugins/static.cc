#include "cni/ipam/static.h"

#include "cni/plugins/plugin.h"
#include "cni/plugins/previous.h"
#include "runtime/sys/status.h"

// static as a program of its own, for other main plugins that run it from CNI_PATH.
namespace wherry::plugins {
namespace {

absl::StatusOr<cni::Result> Add(const Call& call) { return ipam::ReadStatic(call.document, call.arguments.ipam); }

// Nothing was taken: a configuration that has become unreadable does not keep the container alive.
absl::Status Del(const Call&) { return absl::OkStatus(); }

absl::Status Check(const Call& call) {
  ASSIGN_OR_RETURN(const cni::Result wanted, ipam::ReadStatic(call.document, call.arguments.ipam));
  ASSIGN_OR_RETURN(const cni::Result present, PreviousResult(call));
  return ipam::CheckStatic(wanted, present);
}

absl::Status Read(const Call& call) { return ipam::ReadStatic(call.document, call.arguments.ipam).status(); }

absl::Status Nothing(const Call&) { return absl::OkStatus(); }

}  // namespace

const Plugin kStatic = {"static", Add, Del, Check, Nothing, Nothing, Read};

}  // namespace wherry::plugins

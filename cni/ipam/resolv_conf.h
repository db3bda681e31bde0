#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/cni/result.h"

namespace wherry::ipam {

// The settings of a resolv.conf(5) text: nameserver, domain, search, options. Every search and options line counts.
cni::Dns ParseResolvConf(absl::string_view text);

}  // namespace wherry::ipam

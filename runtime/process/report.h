#pragma once

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"

// What a child tells its parent before it becomes another program or dies: one typed message in a memfd. The parent reads
// it when the outcome pipe ends. A file rather than the pipe itself: the pipe then has one event, its end, so that the
// parent's loop never waits for a second half, and a list of 65536 groups blocks nobody.
namespace wherry::process {

absl::StatusOr<sys::UniqueFd> MakeReport();

// Each replaces what was there.
absl::Status ReportUser(int report, const shim::v1::User& user);
void ReportFailure(int report, const absl::Status& status);

// The user, or the failure as the child saw it. Aborted when the child died without a word.
absl::StatusOr<shim::v1::User> ReadReport(int report);

}  // namespace wherry::process

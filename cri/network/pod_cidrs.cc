#include "cri/network/pod_cidrs.h"

#include <fcntl.h>

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/cni/address.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

constexpr mode_t kMode = 0600;

absl::StatusOr<std::vector<std::string>> Parse(const std::string& text) {
  std::vector<std::string> out;
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    const auto prefix = cni::IpPrefix::Parse(absl::StripAsciiWhitespace(item));
    if (!prefix.ok()) return absl::InvalidArgumentError(absl::StrCat("pod_cidr: ", prefix.status().message()));
    // As a subnet of host-local, which takes no host bits.
    out.push_back(cni::IpPrefix{prefix->Network(), prefix->length}.ToString());
  }
  return out;
}

}  // namespace

PodCidrs::PodCidrs(std::string file) : file_(std::move(file)) {
  if (file_.empty()) return;
  auto text = sys::ReadFileAt(AT_FDCWD, file_);
  if (!text.ok()) return;
  if (auto cidrs = Parse(*text); cidrs.ok()) cidrs_ = *std::move(cidrs);
}

absl::Status PodCidrs::Set(const std::string& text) {
  ASSIGN_OR_RETURN(std::vector<std::string> cidrs, Parse(text));
  if (Get() == cidrs) return absl::OkStatus();
  if (!file_.empty()) RETURN_IF_ERROR(sys::ReplaceFileAt(AT_FDCWD, file_, text, kMode));
  absl::MutexLock lock(&mutex_);
  cidrs_ = std::move(cidrs);
  return absl::OkStatus();
}

std::vector<std::string> PodCidrs::Get() const {
  absl::MutexLock lock(&mutex_);
  return cidrs_;
}

}  // namespace wherry::network

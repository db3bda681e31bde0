// The veto is the administrator's last word on what runs on a node, so that all doubts count as one: a directory that is not there, a
// file that cannot be run, a program that takes too long. containerd lets a missing directory pass, since it has one configured by
// default, and passes over the verifiers beyond max_verifiers; here nobody is asked unless a directory was configured, and then
// all of them are.
#include "cri/image/verifiers.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr char kDescriptorType[] = "application/vnd.oci.descriptor.v1+json";

std::string DescriptorJson(const Verifiers::Subject& subject) {
  return absl::StrCat(R"({"mediaType":")", subject.media_type, R"(","digest":")", subject.digest, R"(","size":)",
                      subject.size, "}\n");
}

// All of wherryd's own: a verifier may need the proxy, or the home directory with its keys.
std::vector<std::string> Environment() {
  std::vector<std::string> out;
  for (char** variable = ::environ; *variable != nullptr; ++variable) out.emplace_back(*variable);
  return out;
}

std::string Verdict(const sys::Children::Ended& ended) {
  const std::string how = WIFEXITED(ended.status) ? absl::StrCat("exit status ", WEXITSTATUS(ended.status))
                                                  : absl::StrCat("killed by signal ", WTERMSIG(ended.status));
  std::string reason = sys::Excerpt(ended.output);
  if (reason.empty()) reason = sys::Excerpt(ended.errors);
  return absl::StrCat("(", how, ")", reason.empty() ? " without a reason" : ": ", reason);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Verifiers::Programs() const {
  std::error_code error;
  std::vector<std::string> programs;
  for (std::filesystem::directory_iterator it(options_.bin_dir, error), end; !error && it != end; it.increment(error))
    programs.push_back(it->path().string());
  if (error)
    return absl::PermissionDeniedError(
        absl::StrCat("image verifiers cannot be read from \"", options_.bin_dir, "\": ", error.message()));
  if (options_.max_verifiers >= 0 && programs.size() > static_cast<size_t>(options_.max_verifiers))
    return absl::PermissionDeniedError(absl::StrCat("\"", options_.bin_dir, "\" has ", programs.size(),
                                                    " image verifiers, max_verifiers is ", options_.max_verifiers));
  std::sort(programs.begin(), programs.end());
  return programs;
}

absl::Status Verifiers::AskOne(const std::string& program, const Subject& subject, int cancel) {
  const std::vector<std::string> arguments = {"-name",        subject.name,        "-digest",
                                              subject.digest, "-stdin-media-type", kDescriptorType};
  const auto deadline = sys::Children::Clock::now() + absl::ToChronoNanoseconds(options_.timeout);
  absl::StatusOr<sys::Children::Ended> ended =
      children_.Run({program, arguments, Environment(), DescriptorJson(subject)}, deadline, cancel);
  if (absl::IsCancelled(ended.status())) return ended.status();
  if (!ended.ok())
    return absl::PermissionDeniedError(
        absl::StrCat("image verifier \"", program, "\": ", std::string(ended.status().message())));
  if (ended->status == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("refused by image verifier \"", program, "\" ", Verdict(*ended)));
}

absl::Status Verifiers::Ask(const Subject& subject, int cancel) {
  if (options_.bin_dir.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<std::string> programs, Programs());
  for (const std::string& program : programs) RETURN_IF_ERROR(AskOne(program, subject, cancel));
  return absl::OkStatus();
}

}  // namespace wherry::image

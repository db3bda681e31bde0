// The kernel takes profiles only as compiled automata, in a format that follows its version. apparmor_parser is the one compiler there
// is: libapparmor loads what it has made and compiles nothing. So this is one of the few programs that wherryd runs, once after a boot,
// and only when a container needs the profile. It gets the profile by standard input: no file of ours lies about that somebody could change
// between writing and reading.
#include <unistd.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "runtime/apparmor/apparmor.h"
#include "runtime/sys/status.h"

namespace wherry::apparmor {
namespace {

constexpr const char* kCompilers[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"};
// Compiling takes some 50 ms; emulated machines take some seconds.
constexpr std::chrono::seconds kTimeout(60);

absl::StatusOr<std::string> FindCompiler() {
  for (const char* path : kCompilers)
    if (::access(path, X_OK) == 0) return path;
  return absl::FailedPreconditionError("apparmor_parser is not installed (Debian's package apparmor)");
}

}  // namespace

absl::Status Loader::CheckDefault() {
  auto loaded = IsLoaded(kDefaultProfile);
  return loaded.ok() && *loaded ? absl::OkStatus() : FindCompiler().status();
}

absl::Status Loader::EnsureDefault() {
  ASSIGN_OR_RETURN_CTX(bool loaded, IsLoaded(kDefaultProfile), "AppArmor");
  if (loaded) return absl::OkStatus();
  const std::string what = absl::StrCat("loading AppArmor profile ", kDefaultProfile);
  ASSIGN_OR_RETURN_CTX(std::string compiler, FindCompiler(), what);
  sys::Children::Command command{.program = std::move(compiler)};
  command.arguments = {"--replace", "--skip-cache", "--quiet"};
  command.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  command.input = std::string(DefaultProfileText());
  ASSIGN_OR_RETURN_CTX(sys::Children::Ended ended, children_.Run(command, sys::Children::Clock::now() + kTimeout),
                       what);
  if (ended.status == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(what, ": ", command.program, " failed: ", sys::Excerpt(ended.errors + ended.output)));
}

}  // namespace wherry::apparmor

// The look-up in PATH is done by trying execve itself: the kernel's answer is the only one that counts, and there is no
// check that could be out of date.
#include "runtime/process/program.h"

#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/sys/status.h"

namespace wherry::process {
namespace {

constexpr absl::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool HasPrefix(absl::string_view text, absl::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<Program> Program::Prepare(const shim::v1::Process& process, const std::string& home) {
  if (process.args().empty() || process.args(0).empty())
    return absl::InvalidArgumentError("there is no command to run");
  Program program;
  program.args_.assign(process.args().begin(), process.args().end());
  program.env_.assign(process.env().begin(), process.env().end());
  bool has_home = false;
  absl::string_view search = kDefaultPath;
  for (const std::string& entry : program.env_) {
    if (HasPrefix(entry, "HOME=")) has_home = true;
    if (HasPrefix(entry, "PATH=")) search = absl::string_view(entry).substr(5);
  }
  const std::string& name = program.args_[0];
  if (name.find('/') != std::string::npos) {
    program.candidates_.push_back(name);
  } else {
    program.search_path_ = std::string(search);
    // Relative directories are left out: what runs must not depend on where.
    for (absl::string_view directory : absl::StrSplit(search, ':')) {
      if (HasPrefix(directory, "/")) program.candidates_.push_back(absl::StrCat(directory, "/", name));
    }
  }
  if (!has_home) program.env_.push_back(absl::StrCat("HOME=", home));
  return program;
}

absl::Status Program::Failure(const std::string& path, int err) const {
  const std::string what = absl::StrCat("exec \"", path, "\"");
  if (err == ENOENT && ::access(path.c_str(), F_OK) == 0)
    return absl::NotFoundError(absl::StrCat(what, ": its interpreter or dynamic loader is missing"));
  if (err == ENOEXEC) return absl::InvalidArgumentError(absl::StrCat(what, ": exec format error"));
  return sys::Errno(what, err);
}

absl::Status Program::Execute() const {
  const std::vector<char*> args = Pointers(args_);
  const std::vector<char*> env = Pointers(env_);
  const std::string* denied = nullptr;
  for (const std::string& candidate : candidates_) {
    (void)::execve(candidate.c_str(), args.data(), env.data());
    const int err = errno;
    const bool searching = !search_path_.empty();
    if (searching && err == EACCES && denied == nullptr) denied = &candidate;
    if (searching && (err == EACCES || err == ENOTDIR)) continue;
    if (searching && err == ENOENT && ::access(candidate.c_str(), F_OK) != 0) continue;
    return Failure(candidate, err);
  }
  if (denied != nullptr) return Failure(*denied, EACCES);
  return absl::NotFoundError(absl::StrCat("exec \"", args_[0], "\": not found in PATH \"", search_path_, "\""));
}

}  // namespace wherry::process

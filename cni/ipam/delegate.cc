#include "cni/ipam/delegate.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/cni/error.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::ipam {
namespace {

constexpr size_t kMaxOutput = 1 << 20;

absl::StatusOr<std::string> Find(const std::string& type, absl::string_view cni_path) {
  for (absl::string_view directory : absl::StrSplit(cni_path, ':', absl::SkipEmpty())) {
    std::string path = absl::StrCat(directory, "/", type);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return cni::MakeError(
      cni::ErrorCode::kInvalidConfig,
      absl::StrCat("plugin \"", type, "\" is in none of the directories of CNI_PATH \"", cni_path, "\""));
}

// The input as a file: unlike a pipe it takes everything at once, so nobody has to feed it.
absl::StatusOr<sys::UniqueFd> InputFile(absl::string_view input) {
  sys::UniqueFd file(memfd_create("cni-request", MFD_CLOEXEC));
  if (!file.valid()) return sys::Errno("memfd_create");
  RETURN_IF_ERROR(sys::WriteAll(file.get(), input));
  if (lseek(file.get(), 0, SEEK_SET) != 0) return sys::Errno("lseek");
  return file;
}

// `command_entry` must outlive the result.
std::vector<char*> EnvironmentWith(std::string* command_entry) {
  std::vector<char*> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!absl::StartsWith(*entry, "CNI_COMMAND=")) out.push_back(*entry);
  }
  out.push_back(command_entry->data());
  out.push_back(nullptr);
  return out;
}

absl::StatusOr<pid_t> Spawn(std::string path, absl::string_view command, int input, int output) {
  posix_spawn_file_actions_t actions;
  if (int error = posix_spawn_file_actions_init(&actions); error != 0)
    return sys::Errno("posix_spawn_file_actions_init", error);
  int error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  std::string command_entry = absl::StrCat("CNI_COMMAND=", command);
  std::vector<char*> environment = EnvironmentWith(&command_entry);
  std::array<char*, 2> arguments = {path.data(), nullptr};
  pid_t pid = -1;
  if (error == 0) error = posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return sys::Errno(absl::StrCat("run \"", path, "\""), error);
  return pid;
}

absl::StatusOr<int> Wait(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return sys::Errno("waitpid");
  }
  return status;
}

}  // namespace

absl::StatusOr<std::string> Delegate(const std::string& type, absl::string_view cni_path, absl::string_view command,
                                     absl::string_view input) {
  ASSIGN_OR_RETURN(const std::string path, Find(type, cni_path));
  ASSIGN_OR_RETURN(sys::UniqueFd file, InputFile(input));
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return sys::Errno("pipe2");
  sys::UniqueFd reader(ends[0]), writer(ends[1]);
  ASSIGN_OR_RETURN(pid_t pid, Spawn(path, command, file.get(), writer.get()));
  writer.reset();
  absl::StatusOr<std::string> output = sys::ReadAll(reader.get(), kMaxOutput);
  reader.reset();  // whoever still writes gets EPIPE and ends
  ASSIGN_OR_RETURN(const int status, Wait(pid));
  if (!output.ok()) return sys::Annotate(output.status(), absl::StrCat("output of \"", path, "\""));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
  absl::StatusOr<cni::Error> error = cni::ParseError(*output);
  if (error.ok()) return sys::Annotate(cni::ToStatus(*error), type);
  return absl::InternalError(absl::StrCat("\"", path, "\" ended with wait status ", status, " and no error document"));
}

}  // namespace wherry::ipam

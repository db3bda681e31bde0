// wherry-pull: fetches, verifies and unpacks one image, or checks or exports what is there, then exits. All parsing of foreign bytes (tar, gzip, zstd, JSON) happens in
// this process, which can be killed or crash without harm: what it makes stays in a staging directory that wherryd alone may
// publish. wherryd starts it with fixed descriptors; it is of no use to start by hand.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "cri/image/channel.h"
#include "cri/image/export_worker.h"
#include "cri/image/fetch_server.h"
#include "cri/image/import_worker.h"
#include "cri/image/pull_process.h"
#include "cri/image/pull_worker.h"
#include "cri/image/sandbox.h"
#include "runtime/sys/status.h"

namespace {

// When wherryd dies, its end of the socket closes, and this process must not go on writing into a directory that the next wherryd
// is about to remove.
void DieWith(int control) {
  std::thread([control] {
    struct pollfd p = {control, POLLRDHUP, 0};
    while (::poll(&p, 1, -1) < 0 || (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) {
    }
    ::_exit(3);
  }).detach();
}

// Splits off the half that has the network and the credentials; this one keeps the socket to it as kArchiveFd, and the rest of the
// request.
absl::StatusOr<wherry::image::pb::PullRequest> StartFetcher() {
  using namespace wherry;
  ASSIGN_OR_RETURN(image::pb::PullMessage message, image::Receive(image::kControlFd));
  if (!message.has_pull()) return absl::InternalError("wherryd did not begin with a request");
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return sys::Errno("socketpair");
  sys::UniqueFd ours(pair[0]), theirs(pair[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return sys::Errno("fork");
  if (child == 0) {
    sys::UniqueFd socket(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, image::kLockFd + 1));
    ours.reset();
    theirs.reset();
    for (int fd : {image::kControlFd, image::kArchiveFd, image::kStagingFd, image::kLockFd}) ::close(fd);
    (void)image::RunFetcher(message.pull(), std::move(socket), parent).ok();
    ::_exit(0);
  }
  // The pair may have been given that very number.
  sys::UniqueFd copy(::fcntl(ours.get(), F_DUPFD_CLOEXEC, image::kLockFd + 1));
  ours.reset();
  theirs.reset();
  if (!copy.valid() || ::dup2(copy.get(), image::kArchiveFd) < 0) return sys::Errno("dup2");
  message.mutable_pull()->clear_auth();
  return message.pull();
}

absl::Status Pull() {
  using namespace wherry;
  absl::StatusOr<image::pb::PullRequest> request = StartFetcher();
  absl::Status status = request.status();
  if (status.ok()) status = image::EnterSandbox(image::kStagingFd);
  if (!status.ok()) return image::Send(image::kControlFd, image::FailureMessage(sys::Annotate(status, "wherry-pull")));
  DieWith(image::kControlFd);
  return image::RunPull(image::kControlFd, *request, sys::UniqueFd(image::kArchiveFd),
                        sys::UniqueFd(image::kStagingFd));
}

absl::Status Import() {
  using namespace wherry;
  if (absl::Status status = image::EnterSandbox(image::kStagingFd); !status.ok())
    return image::Send(image::kControlFd, image::FailureMessage(sys::Annotate(status, "wherry-pull's sandbox")));
  DieWith(image::kControlFd);
  return image::RunImport(image::kControlFd, sys::UniqueFd(image::kArchiveFd), sys::UniqueFd(image::kStagingFd));
}

absl::Status Inspect(bool archive) {
  using namespace wherry;
  if (absl::Status status = image::EnterReadSandbox(image::kStagingFd); !status.ok())
    return image::Send(image::kControlFd, image::FailureMessage(sys::Annotate(status, "wherry-pull's sandbox")));
  DieWith(image::kControlFd);
  if (!archive) return image::RunCheck(image::kControlFd, sys::UniqueFd(image::kStagingFd));
  return image::RunExport(image::kControlFd, sys::UniqueFd(image::kArchiveFd), sys::UniqueFd(image::kStagingFd));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) return std::puts("wherry-pull " WHERRY_VERSION) < 0;
  const std::string verb = argc == 2 ? argv[1] : "";
  absl::Status status;
  if (verb == "pull") {
    status = Pull();
  } else if (verb == "import") {
    status = Import();
  } else if (verb == "check" || verb == "export") {
    status = Inspect(verb == "export");
  } else {
    (void)std::fputs("wherry-pull is started by wherryd, for one image at a time\n", stderr);
    return 2;
  }
  ::_exit(status.ok() ? 0 : 1);  // the watching thread still runs; nothing here needs a destructor
}

// wherry-pull: fetches, verifies and unpacks one image, then exits. All parsing of foreign bytes (tar, gzip, zstd, JSON) happens in
// this process, which can be killed or crash without harm: what it makes stays in a staging directory that wherryd alone may
// publish. wherryd starts it with fixed descriptors; it is of no use to start by hand.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>

#include "cri/image/channel.h"
#include "cri/image/import_worker.h"
#include "cri/image/pull_process.h"
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

}  // namespace

int main(int argc, char** argv) {
  using namespace wherry;
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) return std::puts("wherry-pull " WHERRY_VERSION) < 0;
  if (argc != 2 || std::strcmp(argv[1], "import") != 0) {
    (void)std::fputs("wherry-pull is started by wherryd, for one image at a time\n", stderr);
    return 2;
  }
  absl::Status status = image::EnterSandbox(image::kStagingFd);
  if (status.ok()) {
    DieWith(image::kControlFd);
    status = image::RunImport(image::kControlFd, sys::UniqueFd(image::kArchiveFd), sys::UniqueFd(image::kStagingFd));
  } else {
    status = image::Send(image::kControlFd, image::FailureMessage(sys::Annotate(status, "wherry-pull's sandbox")));
  }
  ::_exit(status.ok() ? 0 : 1);  // the watching thread still runs; nothing here needs a destructor
}

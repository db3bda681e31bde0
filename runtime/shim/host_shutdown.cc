// Only the SIGTERM of a PID 1 that is shutting down counts. Anybody else's, "systemctl kill wherryd" among them, must not cost
// a pod its supervisor. systemd executes systemd-shutdown as PID 1 for the last part, which /proc shows.
#include "runtime/shim/host_shutdown.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "absl/strings/string_view.h"
#include "runtime/shim/procfs.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr absl::string_view kProgram = "systemd-shutdow\n";  // comm is cut after 15 bytes

bool GoesDown() {
  auto procfs = OpenProcfs();
  if (!procfs.ok()) return false;
  auto comm = OpenInProcfs(procfs->get(), "1/comm", O_RDONLY);
  if (!comm.ok()) return false;
  char name[32];
  const ssize_t n = ::read(comm->get(), name, sizeof(name));
  return n > 0 && absl::string_view(name, static_cast<size_t>(n)) == kProgram;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HostShutdown>> HostShutdown::Watch(Poller& poller, Observer& observer) {
  std::unique_ptr<HostShutdown> watch(new HostShutdown(poller, observer));
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  watch->signals_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!watch->signals_.valid()) return sys::Errno("signalfd");
  RETURN_IF_ERROR(poller.Add(watch->signals_.get(), EPOLLIN, watch.get()));
  return watch;
}

HostShutdown::~HostShutdown() {
  if (signals_.valid()) poller_.Remove(signals_.get());
}

void HostShutdown::OnReady(uint32_t) {
  signalfd_siginfo signal{};
  if (::read(signals_.get(), &signal, sizeof(signal)) != sizeof(signal)) return;
  if (signal.ssi_code == SI_USER && signal.ssi_pid == 1 && GoesDown()) observer_.OnHostShutdown();
}

}  // namespace wherry::shim

// wherry-shim: the per-pod supervisor. wherryd starts it as
//   wherry-shim [--shm-in-namespace] POD_ID
//   wherry-shim --hold
// from a sealed memfd, with the pod's socket, bound and listening, as descriptor 3, /dev/null as 0 to 2, and an empty
// environment. It outlives wherryd and ends on Shutdown, or with the host. With --hold it only waits for the end of its standard input: a process that
// keeps a new cgroup of systemd's until a container is in it.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "runtime/shim/pod.h"
#include "runtime/shim/supervisor.h"

namespace wherry::shim {
namespace {

constexpr int kListener = 3;
constexpr int kOomScoreAdj = -998;  // just above the kubelet's own

extern "C" void IgnoreSignal(int) {}

// The heap stays small: big requests are mapped and unmapped, freed memory goes back. (Setting the threshold also keeps
// malloc from raising it after the first big free.)
void TuneHeap() {
  (void)::mallopt(M_MMAP_THRESHOLD, 64 << 10);
  (void)::mallopt(M_TRIM_THRESHOLD, 64 << 10);
  (void)::mallopt(M_TOP_PAD, 4 << 10);
}

// Handlers that do nothing, because execve(2) resets those and would keep SIG_IGN for the containers.
void SetSignals() {
  struct sigaction action {};
  action.sa_handler = IgnoreSignal;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM})
    (void)::sigaction(signal, &action, nullptr);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGTERM);
  (void)::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

bool IsListening(int fd) {
  int value = 0;
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

int Main(Supervisor::Options options) {
  TuneHeap();
  SetSignals();
  (void)::prctl(PR_SET_NAME, "wherry-shim", 0, 0, 0);
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return 1;
  (void)::umask(022);
  if (::chdir("/") != 0) return 1;
  SetOomScoreAdj(kOomScoreAdj);
  (void)::fcntl(kListener, F_SETFD, FD_CLOEXEC);
  (void)::fcntl(kListener, F_SETFL, O_NONBLOCK);
  auto supervisor = Supervisor::Create(std::move(options));
  if (!supervisor.ok()) return 1;
  (*supervisor)->Run();
  ::_exit(0);
}

int WaitForEndOfInput() {
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  char ignored;
  while (::read(0, &ignored, 1) > 0 || errno == EINTR) errno = 0;
  return 0;
}

}  // namespace
}  // namespace wherry::shim

int main(int argc, char** argv) {
  wherry::shim::Supervisor::Options options;
  if (argc == 2 && strcmp(argv[1], "--hold") == 0) return wherry::shim::WaitForEndOfInput();
  int next = 1;
  if (next < argc && strcmp(argv[next], "--shm-in-namespace") == 0) {
    options.shm_in_namespace = true;
    ++next;
  }
  if (argc != next + 1 || !wherry::shim::IsListening(wherry::shim::kListener)) {
    (void)fputs("wherry-shim is started by wherryd, with a listening socket as descriptor 3\n", stderr);
    return 2;
  }
  options.pod_id = argv[next];
  options.listener.reset(wherry::shim::kListener);
  return wherry::shim::Main(std::move(options));
}

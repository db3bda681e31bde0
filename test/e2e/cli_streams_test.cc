// exec -i -t, attach and port-forward of the command line, as somebody types them at a terminal.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "runtime/sys/unique_fd.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

std::vector<char*> Argv(std::vector<std::string>& words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

int Reap(pid_t pid) {
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// A program on a terminal of its own, and somebody in front of it.
class Terminal {
 public:
  explicit Terminal(std::vector<std::string> words) {
    const winsize size{24, 80, 0, 0};
    EXPECT_EQ(::openpty(&master_, &slave_, nullptr, nullptr, &size), 0);
    ::fcntl(master_, F_SETFD, FD_CLOEXEC);
    before_ = Settings();
    std::vector<char*> argv = Argv(words);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::login_tty(slave_);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
  }
  ~Terminal() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      Reap(pid_);
    }
    ::close(master_);
    ::close(slave_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void Type(const std::string& text) {
    EXPECT_EQ(::write(master_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // Reads until `text` has been shown.
  void See(const std::string& text) {
    Eventually("\"" + text + "\" on the terminal", [&] {
      pollfd poll{master_, POLLIN, 0};
      char buffer[4096];
      if (::poll(&poll, 1, 10) == 1)
        if (const ssize_t n = ::read(master_, buffer, sizeof(buffer)); n > 0) shown.append(buffer, n);
      return shown.find(text) != std::string::npos;
    });
    if (shown.find(text) == std::string::npos) ADD_FAILURE() << "the terminal shows: " << shown;
  }
  void Resize(uint16_t rows, uint16_t columns) {
    const winsize size{rows, columns, 0, 0};
    ::ioctl(master_, TIOCSWINSZ, &size);  // the kernel sends SIGWINCH
  }
  bool IsRaw() const { return (Settings().c_lflag & (ICANON | ECHO | ISIG)) == 0; }
  void Signal(int signal) const { ::kill(pid_, signal); }
  int Wait() { return Reap(std::exchange(pid_, -1)); }
  bool IsAsBefore() const {
    const termios now = Settings();
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag;
  }
  std::string shown;

 private:
  termios Settings() const {
    termios settings{};
    ::tcgetattr(slave_, &settings);
    return settings;
  }
  int master_ = -1, slave_ = -1;
  termios before_{};
  pid_t pid_ = -1;
};

class CliStreamsTest : public NodeTest {
 protected:
  std::vector<std::string> Words(std::vector<std::string> args) {
    args.insert(args.begin(), {WHERRY_BIN_DIR "/wherry", "--endpoint", "unix://" + node.dir() + "/run/wherry.sock"});
    return args;
  }
  // Runs it by a shell, with redirections.
  int Shell(const std::string& args, const std::string& redirections) {
    const std::string line =
        WHERRY_BIN_DIR "/wherry --endpoint unix://" + node.dir() + "/run/wherry.sock " + args + redirections;
    std::vector<std::string> words = {"/bin/sh", "-c", line};
    std::vector<char*> argv = Argv(words);
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    return Reap(pid);
  }
  static std::string Text(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string AContainer() { return node.Run(node.RunPod("p"), "c", {"sleep", "5000"}); }
};

TEST_F(CliStreamsTest, InputFromAFileComesBackWholeWithTheExitCode) {
  AContainer();
  const std::string in = node.dir() + "/in", out = node.dir() + "/out", err = node.dir() + "/err";
  std::string sent;
  for (int i = 0; i < 400'000; ++i) sent += std::to_string(i) + "\n";
  std::ofstream(in) << sent;
  EXPECT_EQ(Shell("exec -i c sh -c 'cat; echo seen >&2; exit 7'", " <" + in + " >" + out + " 2>" + err), 7);
  EXPECT_TRUE(Text(out) == sent) << Text(out).size() << " of " << sent.size();
  EXPECT_EQ(Text(err), "seen\n");
}

TEST_F(CliStreamsTest, AReaderThatGoesEndsTheCommand) {
  AContainer();
  const std::string out = node.dir() + "/out";
  EXPECT_EQ(Shell("exec -i c yes", " </dev/null | head -n 1 >" + out), 0);
  EXPECT_EQ(Text(out), "y\n");
}

TEST_F(CliStreamsTest, ATerminalIsRawHasTheSizeOfOursAndIsGivenBack) {
  AContainer();
  const std::string script =
      "trap 'echo caught' INT; echo up; read x; until [ \"$(stty size)\" = '43 132' ]; do sleep 0.01; done;"
      "echo resized; read y; echo got $x; exit 3";
  Terminal terminal(Words({"exec", "-it", "c", "sh", "-c", script}));
  terminal.See("up");
  EXPECT_TRUE(terminal.IsRaw());
  terminal.Resize(43, 132);
  terminal.Type("word\r");
  terminal.See("resized");
  terminal.Type("\x03");  // goes to the command
  terminal.See("caught");
  terminal.Type("\r");
  terminal.See("got word");
  EXPECT_EQ(terminal.Wait(), 3);
  EXPECT_TRUE(terminal.IsAsBefore());
}

TEST_F(CliStreamsTest, TheTerminalIsGivenBackOnEveryWayOut) {
  AContainer();
  Terminal refused(Words({"exec", "-it", "c", "nosuchprogram"}));
  refused.See("nosuchprogram");
  EXPECT_EQ(refused.Wait(), 125);
  EXPECT_TRUE(refused.IsAsBefore());
  for (int signal : {SIGTERM, SIGHUP}) {
    Terminal ended(Words({"exec", "-it", "c", "sh", "-c", "echo up; sleep 5000"}));
    ended.See("up");
    EXPECT_TRUE(ended.IsRaw());
    ended.Signal(signal);
    EXPECT_EQ(ended.Wait(), 128 + signal);
    EXPECT_TRUE(ended.IsAsBefore());
  }
  Terminal left(Words({"exec", "-it", "c", "sh", "-c", "echo up; sleep 5000"}));
  left.See("up");
  node.Kill9();
  EXPECT_EQ(left.Wait(), 125);
  EXPECT_TRUE(left.IsAsBefore());
  node.Start();
}

TEST_F(CliStreamsTest, AttachShowsTypesAndDetaches) {
  const std::string container =
      node.Run(node.RunPod("p"), "c", {"sh", "-c", "while read x; do echo got $x; done"}, [](cri::ContainerConfig& c) {
        c.set_stdin(true);
        c.set_tty(true);
      });
  Terminal terminal(Words({"attach", "-it", "c"}));
  Eventually("the attachment to show what is typed", [&] {
    terminal.Type("one\r");
    terminal.See("got one");
    return true;
  });
  terminal.Type("\x10\x11");
  EXPECT_EQ(terminal.Wait(), 0);
  EXPECT_TRUE(terminal.IsAsBefore());
  EXPECT_EQ(node.Status(container).state(), cri::CONTAINER_RUNNING);
}

sys::UniqueFd ConnectTo(uint16_t port) {
  sys::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) fd.reset();
  return fd;
}

// A connection to the local port, a word there and back.
std::string Ask(uint16_t port, const std::string& word) {
  const sys::UniqueFd fd = ConnectTo(port);
  std::string got;
  if (fd.valid() && ::write(fd.get(), word.data(), word.size()) > 0) {
    ::shutdown(fd.get(), SHUT_WR);
    char buffer[256];
    for (ssize_t n = 0; (n = ::read(fd.get(), buffer, sizeof(buffer))) > 0;) got.append(buffer, n);
  }
  return got;
}

// The port in the line "forwarding ADDRESS:PORT to port REMOTE".
uint16_t LocalPort(const std::string& shown, const std::string& remote) {
  const std::string before = shown.substr(0, shown.find(" to port " + remote + "\r"));
  return static_cast<uint16_t>(std::strtoul(before.substr(before.rfind(':') + 1).c_str(), nullptr, 10));
}

TEST_F(CliStreamsTest, LocalPortsLeadIntoThePodUntilItIsInterrupted) {
  node.Run(node.RunPod("p"), "c", {"nc", "-ll", "-p", "8080", "-e", "cat"});
  Terminal terminal(Words({"port-forward", "p", ":8080", ":81"}));
  terminal.See("to port 81");
  const uint16_t good = LocalPort(terminal.shown, "8080"), closed = LocalPort(terminal.shown, "81");
  Eventually("the program to listen", [&] { return Ask(good, "ping") == "ping"; });
  EXPECT_EQ(Ask(closed, "ping"), "");
  terminal.See("error forwarding port 81");
  EXPECT_EQ(Ask(good, "again"), "again");
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 0);
}

// A connection takes two descriptors: once the first is one too many, once the second.
class CliDescriptorsTest : public CliStreamsTest, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(Limits, CliDescriptorsTest, testing::Values(48, 49));

TEST_P(CliDescriptorsTest, WantOfThemEndsNoConnection) {
  node.Run(node.RunPod("p"), "c", {"nc", "-ll", "-p", "8080", "-e", "cat"});
  std::vector<std::string> words = {"/bin/sh", "-c", absl::StrCat("ulimit -n ", GetParam(), "; exec \"$@\""), "sh"};
  for (const std::string& word : Words({"port-forward", "p", ":8080"})) words.push_back(word);
  Terminal terminal(words);
  terminal.See("to port 8080");
  const uint16_t port = LocalPort(terminal.shown, "8080");
  Eventually("the program to listen", [&] { return Ask(port, "ping") == "ping"; });
  std::vector<sys::UniqueFd> many(64);
  for (sys::UniqueFd& fd : many) fd = ConnectTo(port);
  terminal.See("accept: Too many open files");
  many.clear();
  EXPECT_EQ(Ask(port, "again"), "again");
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 0);
}

}  // namespace
}  // namespace wherry::e2e

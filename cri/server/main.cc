#include <malloc.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <new>

#include "absl/synchronization/mutex.h"
#include "cri/config/config.h"
#include "cri/server/daemon.h"
#include "cri/server/watchdog.h"

// wherryd's command line and its life: start, say so to the service manager, wait for a signal, go. Nothing is cleaned up on
// the way out, since a kill must be as good as an orderly end: containers, sockets of shims and the database stay as they are.
namespace {

constexpr char kDefaultConfig[] = "/etc/wherry/config.toml";

int Fail(const absl::Status& status) {
  std::cerr << "wherryd: " << status.message() << "\n";
  return 1;
}

std::shared_ptr<spdlog::logger> MakeLogger(const std::string& level) {
  auto log = std::make_shared<spdlog::logger>("wherryd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  log->set_level(spdlog::level::from_str(level));
  log->flush_on(spdlog::level::trace);
  return log;
}

// Blocks the signals that end wherryd in all threads to come; sigwait(3) takes them. A client or a log reader that goes
// away is an error of write(2), not the end.
sigset_t BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  (void)signal(SIGPIPE, SIG_IGN);
  return set;
}

// A request that ends halfway, by std::bad_alloc, leaves behind what only the next start tidies up; so that comes at once.
[[noreturn]] void EndWithoutMemory() {
  constexpr char kText[] = "wherryd: out of memory\n";
  (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
  ::_exit(1);
}

int Serve(const wherry::config::Config& config) {
  std::set_new_handler(EndWithoutMemory);
  mallopt(M_ARENA_MAX, 2);  // gRPC's many threads would each keep a heap of their own
  // Debian builds Abseil with its search for lock cycles, which each lock of gRPC would pay for.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  ::umask(0022);
  const sigset_t signals = BlockSignals();
  auto log = MakeLogger(config.log.level);
  spdlog::set_default_logger(log);
  log->info("wherryd " WHERRY_VERSION " starts, pid {}", ::getpid());
  auto daemon = wherry::server::Daemon::Start(config, log);
  if (!daemon.ok()) {
    log->critical("cannot start: {}", std::string(daemon.status().message()));
    return 1;
  }
  sd_notify(0, "READY=1");
  const int signal = wherry::server::WaitForSignal(signals, config.socket, log);
  log->info("signal {}: stops; containers keep running", signal);
  sd_notify(0, "STOPPING=1");
  if (!(*daemon)->Stop()) {
    log->warn("requests were still under way; they are finished or undone at the next start");
    _exit(0);
  }
  return 0;
}

absl::StatusOr<wherry::config::Config> LoadConfig(const std::string& path, bool given) {
  if (!given && !std::filesystem::exists(path)) return wherry::config::Config{};
  return wherry::config::Load(path);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("wherryd: a Kubernetes container runtime");
  app.set_version_flag("--version", "wherryd " WHERRY_VERSION);
  std::string path = kDefaultConfig;
  CLI::Option* given = app.add_option("--config", path, "configuration file (TOML)")->capture_default_str();
  CLI::App* config = app.add_subcommand("config", "about the configuration file")->require_subcommand(1);
  CLI::App* show = config->add_subcommand("default", "print the default configuration");
  CLI::App* check = config->add_subcommand("check", "check a file and start nothing");
  std::string file;
  check->add_option("FILE", file, "the file")->required();
  CLI11_PARSE(app, argc, argv);

  if (show->parsed()) return fputs(wherry::config::DefaultToml().c_str(), stdout) < 0 ? 1 : 0;
  if (check->parsed()) {
    auto loaded = wherry::config::Load(file);
    if (!loaded.ok()) return Fail(loaded.status());
    printf("%s: correct\n", file.c_str());
    return 0;
  }
  auto loaded = LoadConfig(path, given->count() > 0);
  if (!loaded.ok()) return Fail(loaded.status());
  return Serve(*loaded);
}

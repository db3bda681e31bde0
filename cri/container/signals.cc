// glibc keeps the first two real-time signals for itself and calls the third SIGRTMIN; images and CRI mean that number too,
// because their peers are Go programs with a fixed table: SIGRTMIN is 34 and SIGRTMAX 64, whatever this process' libc says.
#include "cri/container/signals.h"

#include <csignal>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cri/store/records.pb.h"

namespace wherry::container {
namespace {

constexpr int kRtMin = 34;
constexpr int kRtMax = 64;

struct Name {
  absl::string_view name;
  int number;
};

// Where two names mean one number, the one to be shown comes first.
constexpr Name kNames[] = {
    {"ABRT", SIGABRT},   {"ALRM", SIGALRM}, {"BUS", SIGBUS},   {"CHLD", SIGCHLD},     {"CLD", SIGCHLD},
    {"CONT", SIGCONT},   {"FPE", SIGFPE},   {"HUP", SIGHUP},   {"ILL", SIGILL},       {"INT", SIGINT},
    {"IO", SIGIO},       {"IOT", SIGABRT},  {"KILL", SIGKILL}, {"PIPE", SIGPIPE},     {"POLL", SIGPOLL},
    {"PROF", SIGPROF},   {"PWR", SIGPWR},   {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV},     {"STKFLT", SIGSTKFLT},
    {"STOP", SIGSTOP},   {"SYS", SIGSYS},   {"TERM", SIGTERM}, {"TRAP", SIGTRAP},     {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},   {"TTOU", SIGTTOU}, {"URG", SIGURG},   {"USR1", SIGUSR1},     {"USR2", SIGUSR2},
    {"WINCH", SIGWINCH}, {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"RTMIN", kRtMin},
    {"RTMAX", kRtMax},
};

absl::Status Unknown(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no signal"));
}

// "RTMIN+n" and "RTMAX-n", also with CRI's PLUS and MINUS.
int ParseRealTime(absl::string_view name) {
  int offset = 0;
  if (absl::ConsumePrefix(&name, "RTMIN")) {
    if (!absl::ConsumePrefix(&name, "+") && !absl::ConsumePrefix(&name, "PLUS")) return 0;
    return absl::SimpleAtoi(name, &offset) && offset >= 0 && offset <= kRtMax - kRtMin ? kRtMin + offset : 0;
  }
  if (absl::ConsumePrefix(&name, "RTMAX")) {
    if (!absl::ConsumePrefix(&name, "-") && !absl::ConsumePrefix(&name, "MINUS")) return 0;
    return absl::SimpleAtoi(name, &offset) && offset >= 0 && offset <= kRtMax - kRtMin ? kRtMax - offset : 0;
  }
  return 0;
}

}  // namespace

absl::StatusOr<int> ParseSignal(absl::string_view text) {
  int number = 0;
  if (absl::SimpleAtoi(text, &number)) {
    if (number < 1 || number > kRtMax) return Unknown(text);
    return number;
  }
  std::string upper = absl::AsciiStrToUpper(text);
  absl::string_view name = absl::StripPrefix(absl::string_view(upper), "SIG");
  for (const Name& known : kNames) {
    if (known.name == name) return known.number;
  }
  number = ParseRealTime(name);
  if (number == 0) return Unknown(text);
  return number;
}

absl::StatusOr<int> SignalFromCri(int cri_signal) {
  if (cri_signal == 0) return 0;
  if (!::runtime::v1::Signal_IsValid(cri_signal)) {
    return absl::InvalidArgumentError(absl::StrCat("stop_signal: ", cri_signal, " is no value of Signal"));
  }
  return ParseSignal(::runtime::v1::Signal_Name(cri_signal));
}

int SignalToCri(int number) {
  std::string name;
  for (const Name& known : kNames) {
    if (known.number != number) continue;
    name = absl::StrCat("SIG", known.name);
    break;
  }
  if (name.empty() && number > kRtMin && number <= kRtMin + 15) name = absl::StrCat("SIGRTMINPLUS", number - kRtMin);
  if (name.empty() && number > kRtMin + 15 && number < kRtMax) name = absl::StrCat("SIGRTMAXMINUS", kRtMax - number);
  ::runtime::v1::Signal value{};
  return ::runtime::v1::Signal_Parse(name, &value) ? static_cast<int>(value) : 0;
}

}  // namespace wherry::container

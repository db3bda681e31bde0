#include "cni/iptables/program.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/cni/error.h"
#include "runtime/sys/child.h"
#include "runtime/sys/status.h"

namespace wherry::iptables {
namespace {

constexpr std::chrono::seconds kTimeout(20);  // a whole command; it waits for the lock of iptables-legacy
constexpr char kDefaultPath[] = "/usr/sbin:/usr/bin:/sbin:/bin";

std::string Path() {
  const char* path = std::getenv("PATH");
  return path == nullptr || *path == '\0' ? kDefaultPath : path;
}

std::vector<std::string> Command(const char* action, const Rule& rule) {
  std::vector<std::string> out = {action, rule.chain};
  for (std::string& argument : ArgumentsOf(rule)) out.push_back(std::move(argument));
  return out;
}

}  // namespace

absl::StatusOr<Program> Program::Find(bool v4) {
  const char* name = v4 ? "iptables" : "ip6tables";
  for (absl::string_view directory : absl::StrSplit(Path(), ':', absl::SkipEmpty())) {
    std::string path = absl::StrCat(directory, "/", name);
    if (access(path.c_str(), X_OK) == 0) return Program(std::move(path));
  }
  return cni::MakeError(cni::ErrorCode::kNotAvailable,
                        absl::StrCat(name, ", which the configuration asks for, is in none of: ", Path()));
}

absl::StatusOr<Program::Answer> Program::Run(const std::string& table, std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {"-w", "-t", table});
  const std::string what = absl::StrCat(path_, " ", absl::StrJoin(arguments, " "));
  sys::Children children;
  ASSIGN_OR_RETURN_CTX(sys::Children::Ended ended,
                       children.Run({path_, std::move(arguments), {absl::StrCat("PATH=", Path())}, ""},
                                    sys::Children::Clock::now() + kTimeout),
                       what);
  Answer out{ended.status == 0, std::move(ended.output), absl::OkStatus()};
  if (!out.ok) out.failure = absl::InternalError(absl::StrCat(what, ": ", sys::Excerpt(ended.errors)));
  return out;
}

absl::StatusOr<bool> Program::Has(const std::string& table, const Rule& rule) const {
  ASSIGN_OR_RETURN(const Answer answer, Run(table, Command("-C", rule)));
  return answer.ok;
}

absl::Status Program::EnsureChain(const std::string& table, const std::string& chain) const {
  ASSIGN_OR_RETURN(const Answer present, Run(table, {"-S", chain}));
  if (present.ok) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Answer made, Run(table, {"-N", chain}));
  if (made.ok) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Answer now, Run(table, {"-S", chain}));  // a parallel ADD may have been quicker
  return now.ok ? absl::OkStatus() : made.failure;
}

absl::Status Program::Apply(const std::string& table, const std::vector<Change>& changes) const {
  for (const Change& change : changes) {
    if (change.kind == Change::kChain) {
      RETURN_IF_ERROR(EnsureChain(table, change.rule.chain));
      continue;
    }
    ASSIGN_OR_RETURN(const bool present, Has(table, change.rule));
    if (present == (change.kind != Change::kDelete)) continue;
    const char* action = change.kind == Change::kDelete ? "-D" : change.kind == Change::kFirst ? "-I" : "-A";
    ASSIGN_OR_RETURN(const Answer answer, Run(table, Command(action, change.rule)));
    if (answer.ok) continue;
    ASSIGN_OR_RETURN(const bool still, Has(table, change.rule));  // somebody else may have deleted it just now
    if (still || change.kind != Change::kDelete) return answer.failure;
  }
  return absl::OkStatus();
}

absl::Status Program::Check(const std::string& table, const std::vector<Rule>& rules) const {
  for (const Rule& rule : rules) {
    ASSIGN_OR_RETURN(const bool present, Has(table, rule));
    if (!present)
      return absl::NotFoundError(absl::StrCat("check: ", path_, " -t ", table, " has no rule -A ", rule.chain, " ",
                                              absl::StrJoin(ArgumentsOf(rule), " ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Program::List(const std::string& table, const std::string& chain) const {
  ASSIGN_OR_RETURN(const Answer answer, Run(table, {"-S", chain}));
  std::vector<std::string> out;
  if (!answer.ok) return out;
  for (absl::string_view line : absl::StrSplit(answer.output, '\n')) {
    if (absl::StartsWith(line, "-A ")) out.emplace_back(line);
  }
  return out;
}

absl::Status Program::DeleteChain(const std::string& table, const std::string& chain) const {
  ASSIGN_OR_RETURN(const Answer flushed, Run(table, {"-F", chain}));
  if (!flushed.ok) return absl::OkStatus();  // no such chain
  ASSIGN_OR_RETURN(const Answer deleted, Run(table, {"-X", chain}));
  return deleted.ok ? absl::OkStatus() : deleted.failure;
}

}  // namespace wherry::iptables

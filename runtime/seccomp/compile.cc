#include "runtime/seccomp/compile.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::seccomp {
namespace {

struct Release {
  void operator()(scmp_filter_ctx ctx) const { seccomp_release(ctx); }
};
using Context = std::unique_ptr<void, Release>;

absl::Status Refuse(absl::string_view what, int rc) {
  return absl::InvalidArgumentError(absl::StrCat("seccomp profile: ", what, ": ", strerrordesc_np(-rc)));
}

uint32_t ToKernel(Action action, std::optional<uint32_t> errno_value) {
  switch (action) {
    case Action::kAllow:
      return SCMP_ACT_ALLOW;
    case Action::kErrno:
      return SCMP_ACT_ERRNO(errno_value.value_or(EPERM));
    case Action::kKillProcess:
      return SCMP_ACT_KILL_PROCESS;
    case Action::kKillThread:
      return SCMP_ACT_KILL_THREAD;
    case Action::kTrap:
      return SCMP_ACT_TRAP;
    case Action::kTrace:
      return SCMP_ACT_TRACE(errno_value.value_or(EPERM));
    case Action::kLog:
      return SCMP_ACT_LOG;
  }
  return SCMP_ACT_KILL_PROCESS;
}

scmp_compare ToKernel(Compare op) {
  switch (op) {
    case Compare::kNe:
      return SCMP_CMP_NE;
    case Compare::kLt:
      return SCMP_CMP_LT;
    case Compare::kLe:
      return SCMP_CMP_LE;
    case Compare::kEq:
      return SCMP_CMP_EQ;
    case Compare::kGe:
      return SCMP_CMP_GE;
    case Compare::kGt:
      return SCMP_CMP_GT;
    case Compare::kMaskedEq:
      return SCMP_CMP_MASKED_EQ;
  }
  return SCMP_CMP_EQ;
}

// Names of the profiles' condition members; the numbers are the kernel's.
bool Has(uint64_t capabilities, const std::string& name) {
  static const std::map<std::string, int> numbers = {
      {"CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH},
      {"CAP_SYS_ADMIN", CAP_SYS_ADMIN},
      {"CAP_SYS_BOOT", CAP_SYS_BOOT},
      {"CAP_SYS_CHROOT", CAP_SYS_CHROOT},
      {"CAP_SYS_MODULE", CAP_SYS_MODULE},
      {"CAP_SYS_PACCT", CAP_SYS_PACCT},
      {"CAP_SYS_PTRACE", CAP_SYS_PTRACE},
      {"CAP_SYS_RAWIO", CAP_SYS_RAWIO},
      {"CAP_SYS_TIME", CAP_SYS_TIME},
      {"CAP_SYS_TTY_CONFIG", CAP_SYS_TTY_CONFIG},
      {"CAP_SYS_NICE", CAP_SYS_NICE},
      {"CAP_SYSLOG", CAP_SYSLOG},
      {"CAP_BPF", CAP_BPF},
      {"CAP_PERFMON", CAP_PERFMON},
      {"CAP_NET_ADMIN", CAP_NET_ADMIN},
      {"CAP_IPC_LOCK", CAP_IPC_LOCK},
  };
  auto it = numbers.find(name);
  return it != numbers.end() && (capabilities >> it->second & 1) != 0;
}

// "6.1" of "6.1.0-13-amd64": what comes after the second number does not count.
std::optional<std::pair<int, int>> MajorAndMinor(absl::string_view version) {
  std::vector<absl::string_view> parts = absl::StrSplit(version, absl::MaxSplits('.', 2));
  int major = 0, minor = 0;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &major)) return std::nullopt;
  const size_t digits = parts[1].find_first_not_of("0123456789");
  if (!absl::SimpleAtoi(parts[1].substr(0, digits), &minor)) return std::nullopt;
  return std::pair(major, minor);
}

bool KernelIsAtLeast(const std::string& wanted) {
  utsname name = {};
  if (uname(&name) != 0) return false;
  const auto have = MajorAndMinor(name.release), want = MajorAndMinor(wanted);
  return have && want && *have >= *want;
}

#if defined(__x86_64__)
constexpr char kArch[] = "amd64";
#elif defined(__aarch64__)
constexpr char kArch[] = "arm64";
#else
#error "name this architecture as profiles do"
#endif

bool Names(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool Applies(const Rule& rule, uint64_t capabilities) {
  auto has = [&](const std::string& cap) { return Has(capabilities, cap); };
  if (!std::all_of(rule.include_caps.begin(), rule.include_caps.end(), has)) return false;
  if (std::any_of(rule.exclude_caps.begin(), rule.exclude_caps.end(), has)) return false;
  if (!rule.include_arches.empty() && !Names(rule.include_arches, kArch)) return false;
  if (Names(rule.exclude_arches, kArch)) return false;
  return rule.min_kernel.empty() || KernelIsAtLeast(rule.min_kernel);
}

absl::Status Add(scmp_filter_ctx ctx, const Rule& rule, uint32_t default_action) {
  const uint32_t action = ToKernel(rule.action, rule.errno_value);
  if (action == default_action) return absl::OkStatus();  // libseccomp refuses rules that change nothing
  std::vector<scmp_arg_cmp> args;
  for (const Argument& a : rule.args) args.push_back({a.index, ToKernel(a.op), a.value, a.value_two});
  for (const std::string& name : rule.names) {
    int number = seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) continue;  // another architecture's, or newer than this libseccomp
    int rc = seccomp_rule_add_array(ctx, action, number, static_cast<unsigned>(args.size()), args.data());
    // A second rule for the same call and arguments: the first one counts, as in every container tool.
    if (rc != 0 && rc != -EEXIST) return Refuse(absl::StrCat("rule for \"", name, "\""), rc);
  }
  return absl::OkStatus();
}

absl::Status AddArchitectures(scmp_filter_ctx ctx, const Profile& profile) {
  for (const std::string& name : profile.architectures) {
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    constexpr absl::string_view kPrefix = "scmp_arch_";
    if (lower.rfind(std::string(kPrefix), 0) == 0) lower.erase(0, kPrefix.size());
    uint32_t token = seccomp_arch_resolve_name(lower.c_str());
    if (token == 0)
      return absl::InvalidArgumentError(absl::StrCat("seccomp profile: unknown architecture \"", name, "\""));
    // Only the families that this machine can execute: others would just make the filter longer.
    if (token != SCMP_ARCH_X86_64 && token != SCMP_ARCH_X86 && token != SCMP_ARCH_X32 && token != SCMP_ARCH_AARCH64 &&
        token != SCMP_ARCH_ARM)
      continue;
    if ((seccomp_arch_native() == SCMP_ARCH_X86_64) != (token != SCMP_ARCH_AARCH64 && token != SCMP_ARCH_ARM)) continue;
    int rc = seccomp_arch_add(ctx, token);
    if (rc != 0 && rc != -EEXIST) return Refuse(absl::StrCat("architecture ", name), rc);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Export(scmp_filter_ctx ctx) {
  sys::UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (!file.valid()) return sys::Errno("memfd_create \"seccomp\"");
  if (int rc = seccomp_export_bpf(ctx, file.get()); rc != 0) return Refuse("export as BPF", rc);
  if (lseek(file.get(), 0, SEEK_SET) < 0) return sys::Errno("lseek \"seccomp\"");
  constexpr size_t kMaxInstructions = 4096;  // BPF_MAXINSNS
  return sys::ReadAll(file.get(), kMaxInstructions * 8);
}

}  // namespace

absl::StatusOr<std::string> Compile(const Profile& profile, uint64_t capabilities) {
  const uint32_t default_action = ToKernel(profile.default_action, profile.default_errno);
  Context ctx(seccomp_init(default_action));
  if (ctx == nullptr) return absl::InvalidArgumentError("seccomp profile: default action refused by libseccomp");
  // Calls through an ABI that the profile does not list get the default action, not the death of the process.
  if (int rc = seccomp_attr_set(ctx.get(), SCMP_FLTATR_ACT_BADARCH, default_action); rc != 0)
    return Refuse("bad-architecture action", rc);
  if (int rc = seccomp_attr_set(ctx.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); rc != 0) return Refuse("binary tree", rc);
  if (!profile.flags.empty())
    return absl::UnimplementedError(absl::StrCat("seccomp profile: flag ", profile.flags[0], " is not supported"));
  RETURN_IF_ERROR(AddArchitectures(ctx.get(), profile));
  for (const Rule& rule : profile.rules)
    if (Applies(rule, capabilities)) RETURN_IF_ERROR(Add(ctx.get(), rule, default_action));
  return Export(ctx.get());
}

}  // namespace wherry::seccomp

// Device access on v2. There is no devices controller; instead the kernel asks the BPF programs of type CGROUP_DEVICE that
// are attached to a cgroup and to those above it, and allows an access only if all of them return 1. Ours is an allow
// list with a default of 0 (runc once took a list of rules for a deny list, GHSA-g54h). An access has a type, a device
// number and a set of wanted operations; a rule allows it when it allows all of these operations. The program is loaded
// through bpf(2) itself: 6 instructions a rule need no library. It is recognised later by its name, so that programs of others
// (systemd attaches its own) are left in place.

#include "runtime/cgroup/device_filter.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

constexpr char kProgramName[] = "wherry_devices";
constexpr size_t kMaxPrograms = 64;  // BPF_CGROUP_MAX_PROGS
constexpr size_t kMaxRules = 10000;

// Registers: 1 = context on entry, 2 = type, 3 = operations, 4 = major, 5 = minor, 0 = result, 1 = scratch after that.
bpf_insn Load(uint8_t to, int16_t offset) {
  return {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = to, .src_reg = 1, .off = offset, .imm = 0};
}
bpf_insn Immediate(uint8_t op, uint8_t reg, int32_t value) {
  return {.code = static_cast<uint8_t>(BPF_ALU | op | BPF_K), .dst_reg = reg, .src_reg = 0, .off = 0, .imm = value};
}
bpf_insn Copy(uint8_t to, uint8_t from) {
  return {.code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = to, .src_reg = from, .off = 0, .imm = 0};
}
bpf_insn JumpUnless(uint8_t reg, int32_t value) {  // the target is filled in when the rule is complete
  return {.code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = reg, .src_reg = 0, .off = 0, .imm = value};
}
bpf_insn Exit() { return {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}; }

int32_t Operations(const std::string& access) {
  int32_t bits = 0;
  for (char c : access) bits |= c == 'r' ? BPF_DEVCG_ACC_READ : c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
  return bits;
}

constexpr int32_t kAllOperations = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;

bool AllowsAll(const DeviceRule& rule) {
  return rule.type == 'a' && rule.major < 0 && rule.minor < 0 && Operations(rule.access) == kAllOperations;
}

void AddRule(const DeviceRule& rule, std::vector<bpf_insn>& out) {
  const size_t begin = out.size();
  if (rule.type != 'a') out.push_back(JumpUnless(2, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
  if (const int32_t denied = kAllOperations & ~Operations(rule.access)) {
    out.push_back(Copy(1, 3));
    out.push_back(Immediate(BPF_AND, 1, denied));
    out.push_back(JumpUnless(1, 0));
  }
  if (rule.major >= 0) out.push_back(JumpUnless(4, static_cast<int32_t>(rule.major)));
  if (rule.minor >= 0) out.push_back(JumpUnless(5, static_cast<int32_t>(rule.minor)));
  out.push_back(Immediate(BPF_MOV, 0, 1));
  out.push_back(Exit());
  for (size_t i = begin; i < out.size(); ++i) {
    if (out[i].code == (BPF_JMP32 | BPF_JNE | BPF_K)) out[i].off = static_cast<int16_t>(out.size() - i - 1);
  }
}

sys::UniqueFd BpfFd(int command, bpf_attr& attr) {
  long fd = ::syscall(SYS_bpf, command, &attr, sizeof attr);
  return sys::UniqueFd(static_cast<int>(fd));
}

absl::StatusOr<sys::UniqueFd> LoadProgram(const std::vector<bpf_insn>& program) {
  bpf_attr attr{};
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = reinterpret_cast<uintptr_t>(program.data());
  attr.insn_cnt = static_cast<uint32_t>(program.size());
  attr.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  std::strncpy(attr.prog_name, kProgramName, sizeof attr.prog_name - 1);
  sys::UniqueFd fd = BpfFd(BPF_PROG_LOAD, attr);
  if (!fd.valid()) return sys::Errno("bpf BPF_PROG_LOAD of the device filter");
  return fd;
}

// Those of our programs that are attached to the cgroup.
absl::StatusOr<std::vector<sys::UniqueFd>> AttachedPrograms(int cgroup) {
  uint32_t ids[kMaxPrograms];
  bpf_attr query{};
  query.query.target_fd = static_cast<uint32_t>(cgroup);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<uintptr_t>(ids);
  query.query.prog_cnt = kMaxPrograms;
  if (::syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof query) != 0) return sys::Errno("bpf BPF_PROG_QUERY");
  std::vector<sys::UniqueFd> ours;
  for (uint32_t i = 0; i < query.query.prog_cnt; ++i) {
    bpf_attr attr{};
    attr.prog_id = ids[i];
    sys::UniqueFd fd = BpfFd(BPF_PROG_GET_FD_BY_ID, attr);
    if (!fd.valid()) continue;  // detached meanwhile
    bpf_prog_info info{};
    bpf_attr get{};
    get.info.bpf_fd = static_cast<uint32_t>(fd.get());
    get.info.info = reinterpret_cast<uintptr_t>(&info);
    get.info.info_len = sizeof info;
    if (::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &get, sizeof get) == 0 &&
        absl::string_view(info.name) == kProgramName)
      ours.push_back(std::move(fd));
  }
  return ours;
}

absl::Status Attach(int cgroup, int program, int replaced) {
  bpf_attr attr{};
  attr.target_fd = static_cast<uint32_t>(cgroup);
  attr.attach_bpf_fd = static_cast<uint32_t>(program);
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI | (replaced >= 0 ? BPF_F_REPLACE : 0U);
  if (replaced >= 0) attr.replace_bpf_fd = static_cast<uint32_t>(replaced);
  if (::syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr) != 0) return sys::Errno("bpf BPF_PROG_ATTACH");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckDeviceRules(const std::vector<DeviceRule>& rules) {
  if (rules.size() > kMaxRules) return absl::InvalidArgumentError("more than 10000 device rules");
  for (const DeviceRule& rule : rules) {
    const std::string text = absl::StrCat("device rule \"", std::string(1, rule.type), " ", rule.major, ":", rule.minor,
                                          " ", rule.access, "\"");
    if (rule.type != 'a' && rule.type != 'b' && rule.type != 'c')
      return absl::InvalidArgumentError(absl::StrCat(text, ": the type must be a, b or c"));
    if (rule.access.empty() || rule.access.find_first_not_of("rwm") != std::string::npos)
      return absl::InvalidArgumentError(absl::StrCat(text, ": the access must be letters of rwm"));
    if (rule.major < -1 || rule.minor < -1 || rule.major > 0xfff || rule.minor > 0xfffff)
      return absl::InvalidArgumentError(absl::StrCat(text, ": a number is out of range"));
  }
  return absl::OkStatus();
}

std::vector<bpf_insn> DeviceProgram(const std::vector<DeviceRule>& rules) {
  // access_type has the type in its low and the operations in its high 16 bits.
  std::vector<bpf_insn> out = {Load(2, offsetof(bpf_cgroup_dev_ctx, access_type)),
                               Copy(3, 2),
                               Immediate(BPF_AND, 2, 0xffff),
                               Immediate(BPF_RSH, 3, 16),
                               Load(4, offsetof(bpf_cgroup_dev_ctx, major)),
                               Load(5, offsetof(bpf_cgroup_dev_ctx, minor))};
  for (const DeviceRule& rule : rules) {
    AddRule(rule, out);
    // Nothing is reached behind a rule without a condition, and the kernel's verifier takes no such program (EINVAL).
    if (AllowsAll(rule)) return out;
  }
  out.push_back(Immediate(BPF_MOV, 0, 0));
  out.push_back(Exit());
  return out;
}

absl::Status AttachDeviceProgram(const std::string& dir, const std::vector<bpf_insn>& program) {
  ASSIGN_OR_RETURN(sys::UniqueFd cgroup, sys::OpenAt(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN_CTX(std::vector<sys::UniqueFd> old, AttachedPrograms(cgroup.get()), dir);
  ASSIGN_OR_RETURN_CTX(sys::UniqueFd loaded, LoadProgram(program), dir);
  RETURN_IF_ERROR_CTX(Attach(cgroup.get(), loaded.get(), old.empty() ? -1 : old.front().get()), dir);
  for (size_t i = 1; i < old.size(); ++i) {
    bpf_attr attr{};
    attr.target_fd = static_cast<uint32_t>(cgroup.get());
    attr.attach_bpf_fd = static_cast<uint32_t>(old[i].get());
    attr.attach_type = BPF_CGROUP_DEVICE;
    if (::syscall(SYS_bpf, BPF_PROG_DETACH, &attr, sizeof attr) != 0) return sys::Errno("bpf BPF_PROG_DETACH");
  }
  return absl::OkStatus();
}

}  // namespace wherry::cgroup

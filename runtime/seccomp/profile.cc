// JSON profiles. The grammar is that of the OCI runtime specification's `linux.seccomp` plus what Docker's profiles add:
// `archMap` in place of `architectures`, a single `name`, and `includes`/`excludes` with caps, arches and minKernel.

#include "runtime/seccomp/profile.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/sys/status.h"

namespace wherry::seccomp {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxProfile = 1 << 20;

const std::map<std::string, Action>& Actions() {
  static const std::map<std::string, Action> actions = {
      {"SCMP_ACT_ALLOW", Action::kAllow},     {"SCMP_ACT_ERRNO", Action::kErrno},
      {"SCMP_ACT_KILL", Action::kKillThread}, {"SCMP_ACT_KILL_THREAD", Action::kKillThread},
      {"SCMP_ACT_TRAP", Action::kTrap},       {"SCMP_ACT_KILL_PROCESS", Action::kKillProcess},
      {"SCMP_ACT_TRACE", Action::kTrace},     {"SCMP_ACT_LOG", Action::kLog},
  };
  return actions;
}

const std::map<std::string, Compare>& Operators() {
  static const std::map<std::string, Compare> operators = {
      {"SCMP_CMP_NE", Compare::kNe},
      {"SCMP_CMP_LT", Compare::kLt},
      {"SCMP_CMP_LE", Compare::kLe},
      {"SCMP_CMP_EQ", Compare::kEq},
      {"SCMP_CMP_GE", Compare::kGe},
      {"SCMP_CMP_GT", Compare::kGt},
      {"SCMP_CMP_MASKED_EQ", Compare::kMaskedEq},
  };
  return operators;
}

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat("seccomp profile: ", what)); }

// Every member of `object` must be among `known`: an unknown one may be a restriction.
absl::Status OnlyKnown(const Json& object, const std::set<std::string>& known, absl::string_view where) {
  if (!object.is_object()) return Bad(absl::StrCat(where, " is no object"));
  for (const auto& [key, value] : object.items())
    if (known.count(key) == 0) return Bad(absl::StrCat("unknown member \"", key, "\" in ", where));
  return absl::OkStatus();
}

absl::Status Strings(const Json& object, const char* key, std::vector<std::string>& out) {
  auto it = object.find(key);
  if (it == object.end() || it->is_null()) return absl::OkStatus();
  if (!it->is_array()) return Bad(absl::StrCat("\"", key, "\" is no list"));
  for (const Json& v : *it) {
    if (!v.is_string()) return Bad(absl::StrCat("\"", key, "\" holds something other than strings"));
    out.push_back(v.get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status Number(const Json& object, const char* key, uint64_t max, std::optional<uint64_t>& out) {
  auto it = object.find(key);
  if (it == object.end() || it->is_null()) return absl::OkStatus();
  if (!it->is_number_unsigned() || it->get<uint64_t>() > max)
    return Bad(absl::StrCat("\"", key, "\" is no number from 0 to ", max));
  out = it->get<uint64_t>();
  return absl::OkStatus();
}

absl::Status ReadAction(const Json& object, const char* key, Action& out) {
  auto it = object.find(key);
  if (it == object.end() || !it->is_string()) return Bad(absl::StrCat("\"", key, "\" is missing"));
  auto action = Actions().find(it->get<std::string>());
  if (action == Actions().end())
    return Bad(absl::StrCat("\"", key, "\": \"", it->get<std::string>(), "\" is not supported"));
  out = action->second;
  return absl::OkStatus();
}

absl::Status ReadErrno(const Json& object, const char* key, std::optional<uint32_t>& out) {
  std::optional<uint64_t> value;
  RETURN_IF_ERROR(Number(object, key, 4095, value));  // MAX_ERRNO: more is cut by the kernel
  if (value) out = static_cast<uint32_t>(*value);
  return absl::OkStatus();
}

absl::StatusOr<Argument> ReadArgument(const Json& json) {
  RETURN_IF_ERROR(OnlyKnown(json, {"index", "value", "valueTwo", "op"}, "args"));
  std::optional<uint64_t> index, value, two;
  RETURN_IF_ERROR(Number(json, "index", 5, index));
  RETURN_IF_ERROR(Number(json, "value", UINT64_MAX, value));
  RETURN_IF_ERROR(Number(json, "valueTwo", UINT64_MAX, two));
  if (!index || !value) return Bad("an argument needs \"index\" and \"value\"");
  auto op = json.find("op");
  if (op == json.end() || !op->is_string()) return Bad("an argument needs \"op\"");
  auto known = Operators().find(op->get<std::string>());
  if (known == Operators().end()) return Bad(absl::StrCat("unknown operator \"", op->get<std::string>(), "\""));
  return Argument{static_cast<uint32_t>(*index), *value, two.value_or(0), known->second};
}

absl::Status ReadCondition(const Json& rule, const char* key, std::vector<std::string>& caps,
                           std::vector<std::string>& arches, std::string* min_kernel) {
  auto it = rule.find(key);
  if (it == rule.end() || it->is_null()) return absl::OkStatus();
  std::set<std::string> known = {"caps", "arches"};
  if (min_kernel != nullptr) known.insert("minKernel");
  RETURN_IF_ERROR(OnlyKnown(*it, known, key));
  RETURN_IF_ERROR(Strings(*it, "caps", caps));
  RETURN_IF_ERROR(Strings(*it, "arches", arches));
  if (auto kernel = it->find("minKernel"); kernel != it->end()) {
    if (!kernel->is_string()) return Bad("\"minKernel\" is no string");
    *min_kernel = kernel->get<std::string>();
  }
  return absl::OkStatus();
}

absl::StatusOr<Rule> ReadRule(const Json& json) {
  RETURN_IF_ERROR(OnlyKnown(
      json, {"name", "names", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes"}, "syscalls"));
  Rule rule;
  RETURN_IF_ERROR(Strings(json, "names", rule.names));
  if (auto name = json.find("name"); name != json.end() && name->is_string())
    rule.names.push_back(name->get<std::string>());
  if (rule.names.empty()) return Bad("a rule names no system call");
  RETURN_IF_ERROR(ReadAction(json, "action", rule.action));
  RETURN_IF_ERROR(ReadErrno(json, "errnoRet", rule.errno_value));
  if (auto args = json.find("args"); args != json.end() && !args->is_null()) {
    if (!args->is_array()) return Bad("\"args\" is no list");
    for (const Json& arg : *args) {
      ASSIGN_OR_RETURN(Argument a, ReadArgument(arg));
      rule.args.push_back(a);
    }
  }
  RETURN_IF_ERROR(ReadCondition(json, "includes", rule.include_caps, rule.include_arches, &rule.min_kernel));
  RETURN_IF_ERROR(ReadCondition(json, "excludes", rule.exclude_caps, rule.exclude_arches, nullptr));
  return rule;
}

// archMap: [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}]; all of them are taken, since
// those that are not of this machine never occur on it.
absl::Status ReadArchMap(const Json& json, std::vector<std::string>& out) {
  auto map = json.find("archMap");
  if (map == json.end() || map->is_null()) return absl::OkStatus();
  if (!map->is_array()) return Bad("\"archMap\" is no list");
  for (const Json& entry : *map) {
    RETURN_IF_ERROR(OnlyKnown(entry, {"architecture", "subArchitectures"}, "archMap"));
    if (auto arch = entry.find("architecture"); arch != entry.end() && arch->is_string())
      out.push_back(arch->get<std::string>());
    RETURN_IF_ERROR(Strings(entry, "subArchitectures", out));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Profile> Parse(absl::string_view text) {
  if (text.size() > kMaxProfile) return Bad("larger than 1 MiB");
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Bad("not valid JSON");
  RETURN_IF_ERROR(OnlyKnown(
      json, {"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags", "syscalls"},
      "the profile"));
  Profile profile;
  RETURN_IF_ERROR(ReadAction(json, "defaultAction", profile.default_action));
  RETURN_IF_ERROR(ReadErrno(json, "defaultErrnoRet", profile.default_errno));
  RETURN_IF_ERROR(Strings(json, "architectures", profile.architectures));
  RETURN_IF_ERROR(ReadArchMap(json, profile.architectures));
  RETURN_IF_ERROR(Strings(json, "flags", profile.flags));
  auto rules = json.find("syscalls");
  if (rules == json.end() || rules->is_null()) return profile;
  if (!rules->is_array()) return Bad("\"syscalls\" is no list");
  for (const Json& rule : *rules) {
    ASSIGN_OR_RETURN(Rule r, ReadRule(rule));
    profile.rules.push_back(std::move(r));
  }
  return profile;
}

}  // namespace wherry::seccomp

#include "runtime/security/user.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "runtime/security/accounts.h"
#include "runtime/sys/status.h"

namespace wherry::security {
namespace {

constexpr char kPasswd[] = "/etc/passwd";
constexpr char kGroup[] = "/etc/group";
constexpr size_t kMaxGroups = 65536;  // NGROUPS_MAX

// The two halves of "user:group" and what is known of each so far.
struct Query {
  std::string user, group;
  std::optional<uint32_t> uid, gid;
};

absl::StatusOr<Query> ParseSpec(const shim::v1::UserSpec& spec) {
  Query query;
  const absl::string_view text = spec.user();
  const size_t colon = text.find(':');
  query.user = std::string(text.substr(0, colon));
  if (colon != absl::string_view::npos) query.group = std::string(text.substr(colon + 1));
  if (query.group.find(':') != std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat("user \"", text, "\" has two colons"));
  if (query.user.empty()) query.uid = 0;
  if (IsNumeric(query.user)) {
    ASSIGN_OR_RETURN_CTX(query.uid, ParseId(query.user), "user");
  }
  if (IsNumeric(query.group)) {
    ASSIGN_OR_RETURN_CTX(query.gid, ParseId(query.group), "group");
  }
  if (spec.has_fixed_uid()) query.uid = spec.fixed_uid();
  if (spec.has_gid()) query.gid = spec.gid();
  constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  if (query.uid == kNone || query.gid == kNone) return absl::InvalidArgumentError("id 4294967295 means no id");
  return query;
}

// The entry of /etc/passwd: by name where one is given, else by number.
absl::StatusOr<std::optional<Account>> FindAccount(int root, const Query& query) {
  const bool by_name = !query.user.empty() && !IsNumeric(query.user);
  std::optional<Account> found;
  Account account;
  RETURN_IF_ERROR(EachLine(root, kPasswd, [&](absl::string_view line) {
    if (!ParseAccount(line, account)) return true;
    if (by_name ? account.name != query.user : account.uid != *query.uid) return true;
    found = account;
    return false;
  }));
  return found;
}

// The groups that /etc/group gives to `name`, and the gid of the group that is asked for by name.
absl::StatusOr<std::set<uint32_t>> ReadGroups(int root, const std::string& name, bool merge, Query& query) {
  std::set<uint32_t> groups;
  const bool want_gid = !query.gid && !query.group.empty();
  if (!want_gid && (!merge || name.empty())) return groups;
  Group group;
  RETURN_IF_ERROR(EachLine(root, kGroup, [&](absl::string_view line) {
    if (!ParseGroup(line, group)) return true;
    if (want_gid && !query.gid && group.name == query.group) query.gid = group.gid;
    if (merge && !name.empty() && groups.size() < kMaxGroups &&
        std::find(group.members.begin(), group.members.end(), name) != group.members.end()) {
      groups.insert(group.gid);
    }
    return true;
  }));
  if (want_gid && !query.gid)
    return absl::InvalidArgumentError(absl::StrCat("no group \"", query.group, "\" in the image's /etc/group"));
  return groups;
}

// A home with control bytes would let whoever prints the environment be fooled (CVE-2022-4318 and its kin).
bool IsUsableHome(absl::string_view home) {
  return !home.empty() && home[0] == '/' && std::none_of(home.begin(), home.end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
}

}  // namespace

absl::StatusOr<ResolvedUser> ResolveUser(int root, const shim::v1::UserSpec& spec) {
  ASSIGN_OR_RETURN(Query query, ParseSpec(spec));
  const bool explicit_group = query.gid || !query.group.empty();
  const bool merge = spec.merge_image_groups();
  auto found = FindAccount(root, query);
  // Whose numbers are all known has only a home to lose, as a program that is run in a container with a masked /etc/passwd.
  if (!found.ok() && query.uid && explicit_group && !merge) found = std::optional<Account>();
  ASSIGN_OR_RETURN(const std::optional<Account> account, std::move(found));
  if (!account && !query.uid)
    return absl::InvalidArgumentError(absl::StrCat("no user \"", query.user, "\" in the image's /etc/passwd"));
  ASSIGN_OR_RETURN(std::set<uint32_t> groups, ReadGroups(root, account ? account->name : "", merge, query));
  groups.insert(spec.additional_groups().begin(), spec.additional_groups().end());
  ResolvedUser result;
  result.user.set_uid(query.uid ? *query.uid : account->uid);
  result.user.set_gid(explicit_group ? *query.gid : (account ? account->gid : 0));
  groups.insert(result.user.gid());
  if (groups.size() > kMaxGroups) return absl::InvalidArgumentError("more than 65536 groups");
  if (*groups.rbegin() == std::numeric_limits<uint32_t>::max())
    return absl::InvalidArgumentError("group id 4294967295 means no id");
  for (uint32_t gid : groups) result.user.add_groups(gid);
  result.home = account && IsUsableHome(account->home) ? account->home : "/";
  return result;
}

}  // namespace wherry::security

// Lines of an image's /etc/passwd and /etc/group, and what a request calls a user. Whatever is taken can be written back as a line
// that means the same.
#include "runtime/security/accounts.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "test/fuzz/target.h"

namespace {

using namespace wherry::security;  // NOLINT: a program of one file

void Demand(bool ok) {
  if (!ok) std::abort();
}

void CheckAccount(absl::string_view line) {
  Account account, again;
  if (!ParseAccount(line, account)) return;
  Demand(!account.name.empty() && account.uid != UINT32_MAX && account.gid != UINT32_MAX);
  const std::string written =
      absl::StrCat(account.name, ":x:", account.uid, ":", account.gid, "::", account.home, ":/bin/sh");
  Demand(ParseAccount(written, again));
  Demand(again.name == account.name && again.uid == account.uid && again.home == account.home);
}

void CheckGroup(absl::string_view line) {
  Group group, again;
  if (!ParseGroup(line, group)) return;
  Demand(!group.name.empty() && group.gid != UINT32_MAX);
  Demand(ParseGroup(absl::StrCat(group.name, "::", group.gid, ":", absl::StrJoin(group.members, ",")), again));
  Demand(again.members == group.members && again.gid == group.gid);
}

}  // namespace

std::vector<std::string> wherry::fuzz::Seeds() {
  return {"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
          "a:x:4294967294:1:,,,:/home/a:\nb:x:4294967295:1::/:\nc:x:-1:1::/:\n1000:x:0:0::/:\n",
          "wheel:x:10:root,a\nempty:!:11:\ncommas:*:12:,,a,,b,\n:x:13:a\n", "0\n007\n4294967296\n+1\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    CheckAccount(line);
    CheckGroup(line);
    const auto id = ParseId(line);
    Demand(!id.ok() || (IsNumeric(line) && *id != UINT32_MAX));
  }
  return 0;
}

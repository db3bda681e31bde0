#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/selinux/selinux.h"

namespace wherry::selinux {

// A level has colons of its own: "s0-s0:c0.c1023".
absl::StatusOr<Context> Parse(absl::string_view label) {
  std::vector<std::string> parts = absl::StrSplit(label, absl::MaxSplits(':', 3));
  if (parts.size() < 3) return absl::InvalidArgumentError(absl::StrCat("\"", label, "\" is no SELinux label"));
  if (parts.size() == 3) parts.emplace_back();
  return Context{parts[0], parts[1], parts[2], parts[3]};
}

std::string Text(const Context& context) {
  std::string text = absl::StrCat(context.user, ":", context.role, ":", context.type);
  if (!context.level.empty()) absl::StrAppend(&text, ":", context.level);
  return text;
}

std::map<std::string, std::string> ParseContexts(absl::string_view text) {
  std::map<std::string, std::string> contexts;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    const size_t equals = line.find('=');
    if (equals == absl::string_view::npos || line[0] == '#' || line[0] == ';') continue;
    absl::string_view value = absl::StripAsciiWhitespace(line.substr(equals + 1));
    if (absl::ConsumePrefix(&value, "\"")) absl::ConsumeSuffix(&value, "\"");
    contexts[std::string(absl::StripAsciiWhitespace(line.substr(0, equals)))] = std::string(value);
  }
  return contexts;
}

}  // namespace wherry::selinux

#include "cni/ipam/resolv_conf.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace wherry::ipam {

cni::Dns ParseResolvConf(absl::string_view text) {
  cni::Dns out;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    if (words[0] == "nameserver") out.nameservers.push_back(words[1]);
    if (words[0] == "domain") out.domain = words[1];
    if (words[0] == "search") out.search.insert(out.search.end(), words.begin() + 1, words.end());
    if (words[0] == "options") out.options.insert(out.options.end(), words.begin() + 1, words.end());
  }
  return out;
}

}  // namespace wherry::ipam

#include "cni/iptables/rule.h"

namespace wherry::iptables {

std::vector<std::string> ArgumentsOf(const Rule& rule) {
  std::vector<std::string> out;
  const auto add = [&out](bool negated, const char* option, const std::string& value) {
    if (value.empty()) return;
    if (negated) out.emplace_back("!");
    out.insert(out.end(), {option, value});
  };
  add(false, "-s", rule.source.address.valid() ? rule.source.ToString() : "");
  add(rule.not_destination, "-d", rule.destination.address.valid() ? rule.destination.ToString() : "");
  add(false, "-i", rule.in);
  add(rule.not_out, "-o", rule.out);
  if (rule.answers_only) out.insert(out.end(), {"-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"});
  if (!rule.comment.empty()) out.insert(out.end(), {"-m", "comment", "--comment", rule.comment});
  add(false, "-j", rule.target);
  return out;
}

}  // namespace wherry::iptables

// How findings are laid out: verdicts in the first column, so that an eye or a grep finds them.

#include "cri/cli/findings.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace wherry::cli {

void Findings::Ok(std::string what, std::string found) {
  lines_.push_back({"ok", std::move(what), std::move(found), ""});
}

void Findings::Lacks(std::string what, std::string meaning, std::string remedy) {
  ++lacks_;
  lines_.push_back({"lacks", std::move(what), std::move(meaning), std::move(remedy)});
}

void Findings::Fault(std::string what, std::string meaning, std::string remedy) {
  ++faults_;
  lines_.push_back({"FAULT", std::move(what), std::move(meaning), std::move(remedy)});
}

void Findings::Add(std::string what, bool ok, std::string found, const std::string& meaning, std::string remedy) {
  if (ok) return Ok(std::move(what), std::move(found));
  Fault(std::move(what), absl::StrCat(found, ": ", meaning), std::move(remedy));
}

void Findings::Probe(std::string what, const absl::Status& status, const std::string& meaning, std::string remedy) {
  if (status.ok()) return Ok(std::move(what), "");
  Fault(std::move(what), absl::StrCat(meaning, " (", status.message(), ")"), std::move(remedy));
}

void Findings::Optional(std::string what, const absl::Status& status, const std::string& meaning, std::string remedy) {
  if (status.ok()) return Ok(std::move(what), "");
  Lacks(std::move(what), absl::StrCat(meaning, " (", status.message(), ")"), std::move(remedy));
}

std::string Findings::Text() const {
  size_t width = 0;
  for (const Line& line : lines_) width = std::max(width, line.what.size());
  std::string out;
  for (const Line& line : lines_) {
    const std::string verdict = absl::StrCat(line.verdict, std::string(7 - std::string(line.verdict).size(), ' '));
    absl::StrAppend(&out, verdict, line.what);
    if (!line.text.empty()) absl::StrAppend(&out, std::string(width - line.what.size() + 2, ' '), line.text);
    out += '\n';
    if (!line.remedy.empty()) absl::StrAppend(&out, std::string(7 + width + 2, ' '), "remedy: ", line.remedy, "\n");
  }
  if (faults_ == 0)
    absl::StrAppend(&out, "\nThis host can run pods");
  else
    absl::StrAppend(&out, "\n", faults_, faults_ == 1 ? " fault keeps" : " faults keep", " pods from running here");
  absl::StrAppend(
      &out, lacks_ == 0 ? "" : absl::StrCat("; ", lacks_, lacks_ == 1 ? " facility is" : " facilities are", " missing"),
      ".\n");
  return out;
}

}  // namespace wherry::cli

#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace wherry::cli {

// The lines of `wherry doctor`.
class Findings {
 public:
  void Ok(std::string what, std::string found);
  // Missing, and done without.
  void Lacks(std::string what, std::string meaning, std::string remedy);
  // Missing, and needed.
  void Fault(std::string what, std::string meaning, std::string remedy);

  void Add(std::string what, bool ok, std::string found, const std::string& meaning, std::string remedy);
  // A facility that is needed, and one that is not: OK, or what its absence means, with the status' text.
  void Probe(std::string what, const absl::Status& status, const std::string& meaning, std::string remedy);
  void Optional(std::string what, const absl::Status& status, const std::string& meaning, std::string remedy);

  int faults() const { return faults_; }
  // "ok     what        found", and below what is missing an indented line with the remedy; then a sum.
  std::string Text() const;

 private:
  struct Line {
    const char* verdict;
    std::string what, text, remedy;
  };
  std::vector<Line> lines_;
  int faults_ = 0, lacks_ = 0;
};

}  // namespace wherry::cli

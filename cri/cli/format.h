#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Texts for people, and their texts for us.
namespace wherry::cli {

// Rows under a heading, columns as wide as their widest cell, two blanks between them, nothing after the last one. Control
// characters in cells, which come from pods, become '?', so that no pod can paint on an operator's terminal.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) : rows_{std::move(heading)} {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// The first 13 characters of an id, without "sha256:".
std::string ShortId(absl::string_view id);

// "5s", "12m", "3h", "4d" for the time from `then` to `now`, both in ns since 1970; "-" for 0.
std::string Age(int64_t then, int64_t now);

// "1.2 MB": powers of ten, as disks are sold.
std::string Bytes(uint64_t bytes);

// "64m", "1.5GiB", "1000": bytes; k, m, g, t are powers of 1024. InvalidArgument names the text.
absl::StatusOr<int64_t> ParseBytes(absl::string_view text);

// "1.5" CPUs as microseconds in a period of 100 ms.
absl::StatusOr<int64_t> ParseCpus(absl::string_view text);

// One line for stderr: "NotFound: text".
std::string ErrorLine(const absl::Status& status);

}  // namespace wherry::cli

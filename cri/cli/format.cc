// Tables, ages and sizes as operators know them from other tools.

#include "cri/cli/format.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace wherry::cli {
namespace {

constexpr size_t kShortId = 13;
constexpr int64_t kSecond = 1000000000;
constexpr int64_t kPeriodUs = 100000;

std::string Clean(absl::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  return out;
}

// Bytes that begin a character: what a terminal counts, for texts without wide or combining characters.
size_t Width(absl::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::string Table::Text() const {
  std::vector<std::vector<std::string>> rows = rows_;
  std::vector<size_t> widths;
  for (auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = row[i].empty() ? "-" : Clean(row[i]);
      widths[i] = std::max(widths[i], Width(row[i]));
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&out, row[i]);
      if (i + 1 < row.size()) out.append(widths[i] - Width(row[i]) + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string ShortId(absl::string_view id) {
  absl::ConsumePrefix(&id, "sha256:");
  return std::string(id.substr(0, kShortId));
}

std::string Age(int64_t then, int64_t now) {
  if (then <= 0) return "-";
  const int64_t seconds = std::max<int64_t>(0, now - then) / kSecond;
  if (seconds < 120) return absl::StrCat(seconds, "s");
  if (seconds < 120 * 60) return absl::StrCat(seconds / 60, "m");
  if (seconds < 48 * 3600) return absl::StrCat(seconds / 3600, "h");
  return absl::StrCat(seconds / 86400, "d");
}

std::string Bytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) value /= 1000, ++unit;
  if (unit == 0 || value >= 99.95) return absl::StrFormat("%.0f %s", value, kUnits[unit]);
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

absl::StatusOr<int64_t> ParseBytes(absl::string_view text) {
  absl::string_view rest = text;
  absl::ConsumeSuffix(&rest, "B") || absl::ConsumeSuffix(&rest, "b");
  absl::ConsumeSuffix(&rest, "i");
  int shift = 0;
  static constexpr absl::string_view kUnits = "kmgt";
  if (!rest.empty()) {
    const size_t unit = kUnits.find(absl::ascii_tolower(static_cast<unsigned char>(rest.back())));
    if (unit != absl::string_view::npos) {
      shift = 10 * (static_cast<int>(unit) + 1);
      rest.remove_suffix(1);
    }
  }
  double number = 0;
  const bool plain = rest.find_first_not_of("0123456789.") == absl::string_view::npos;
  if (!plain || !absl::SimpleAtod(rest, &number) || std::ldexp(number, shift) > 9e18)
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a size such as 64m or 1.5g"));
  return static_cast<int64_t>(std::ldexp(number, shift));
}

absl::StatusOr<int64_t> ParseCpus(absl::string_view text) {
  double cpus = 0;
  const bool plain = text.find_first_not_of("0123456789.") == absl::string_view::npos;
  if (!plain || !absl::SimpleAtod(text, &cpus) || cpus < 0.01 || cpus > 100000)
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a number of CPUs of 0.01 or more"));
  return static_cast<int64_t>(cpus * static_cast<double>(kPeriodUs));
}

std::string ErrorLine(const absl::Status& status) {
  // gRPC's spelling of the codes, as in its documentation: NotFound, not NOT_FOUND.
  std::string code;
  bool begin = true;
  for (char c : absl::StatusCodeToString(status.code())) {
    if (c == '_') {
      begin = true;
      continue;
    }
    code += begin ? c : absl::ascii_tolower(static_cast<unsigned char>(c));
    begin = false;
  }
  return absl::StrCat(code, ": ", Clean(status.message()));
}

}  // namespace wherry::cli

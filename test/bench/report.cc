#include "test/bench/report.h"

#include <fcntl.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "runtime/sys/file.h"

namespace wherry::bench {

void Report::Add(std::string key, std::string title, std::string unit, double value) {
  Metric metric;
  metric.key = std::move(key);
  metric.title = std::move(title);
  metric.unit = std::move(unit);
  metric.value = metric.p90 = metric.p99 = value;
  metrics_.push_back(std::move(metric));
}

void Report::AddQuantiles(std::string key, std::string title, std::string unit, const std::vector<double>& samples) {
  Quantiles q = QuantilesOf(samples);
  Add(std::move(key), std::move(title), std::move(unit), q.median);
  metrics_.back().p90 = q.p90;
  metrics_.back().p99 = q.p99;
  metrics_.back().samples = static_cast<int>(samples.size());
}

void Report::AddUnknown(std::string key, std::string title, std::string unit, std::string why) {
  Add(std::move(key), std::move(title), std::move(unit), 0);
  metrics_.back().known = false;
  metrics_.back().samples = 0;
  metrics_.back().note = std::move(why);
}

const Metric* Report::Find(absl::string_view key) const {
  for (const Metric& metric : metrics_) {
    if (metric.key == key) return &metric;
  }
  return nullptr;
}

std::string Report::Json() const {
  nlohmann::ordered_json json;
  json["runtime"] = runtime;
  json["notes"] = notes_;
  for (const Metric& metric : metrics_) {
    nlohmann::ordered_json& out = json["metrics"][metric.key];
    out["title"] = metric.title;
    out["unit"] = metric.unit;
    if (!metric.known) {
      out["value"] = nullptr;
      out["note"] = metric.note;
      continue;
    }
    out["value"] = metric.value;
    if (metric.samples > 1) {
      out["p90"] = metric.p90;
      out["p99"] = metric.p99;
      out["samples"] = metric.samples;
    }
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Report> Report::FromJsonFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, path));
  auto json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("metrics") || !json["metrics"].is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", path, "\" is no report of wherry-bench"));
  }
  Report report;
  report.runtime = json.value("runtime", "");
  report.notes_ = json.value("notes", std::vector<std::string>());
  for (const auto& [key, in] : json["metrics"].items()) {
    if (in["value"].is_number()) {
      report.Add(key, in.value("title", ""), in.value("unit", ""), in["value"].get<double>());
    } else {
      report.AddUnknown(key, in.value("title", ""), in.value("unit", ""), in.value("note", ""));
    }
  }
  return report;
}

std::string Report::Table() const {
  std::string text = absl::StrCat(runtime, "\n");
  absl::StrAppend(&text, Pad("", 44), Pad("", -8), Pad("median", -10), Pad("p90", -10), Pad("p99", -10), "\n");
  for (const Metric& metric : metrics_) {
    absl::StrAppend(&text, Pad(metric.title, 44), Pad(metric.unit, -8));
    if (!metric.known) {
      absl::StrAppend(&text, Pad("n/a", -10), "   ", metric.note);
    } else {
      absl::StrAppend(&text, Pad(Number(metric.value), -10));
      if (metric.samples > 1) absl::StrAppend(&text, Pad(Number(metric.p90), -10), Pad(Number(metric.p99), -10));
    }
    absl::StrAppend(&text, "\n");
  }
  for (const std::string& note : notes_) absl::StrAppend(&text, "  ", note, "\n");
  return text;
}

std::string Number(double value) {
  double size = std::fabs(value);
  int digits = 0;
  for (double limit = 100; digits < 4 && size < limit; limit /= 10) ++digits;
  std::array<char, 64> text;
  int length = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return std::string(text.data(), static_cast<size_t>(std::max(length, 0)));
}

std::string Pad(const std::string& text, int width) {
  auto columns = static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  std::string blanks(static_cast<size_t>(std::max(0, std::abs(width) - columns)), ' ');
  return width < 0 ? blanks + text : text + blanks;
}

}  // namespace wherry::bench

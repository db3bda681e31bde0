#pragma once

#include <string>
#include <vector>

#include "runtime/sys/status.h"
#include "test/bench/measure.h"

// What one run of the bench found, as a table for people and as JSON for comparisons.
namespace wherry::bench {

struct Metric {
  std::string key;    // "start_cni_ms": stable, what `compare` pairs by
  std::string title;  // "pod start, CNI network"
  std::string unit;   // "ms"
  bool known = true;  // false: the runtime does not implement it; `note` says so
  double value = 0;   // the median where there are quantiles
  double p90 = 0, p99 = 0;
  int samples = 1;
  std::string note;
};

class Report {
 public:
  std::string runtime;

  void Add(std::string key, std::string title, std::string unit, double value);
  void AddQuantiles(std::string key, std::string title, std::string unit, const std::vector<double>& samples);
  void AddUnknown(std::string key, std::string title, std::string unit, std::string why);
  void Note(std::string text) { notes_.push_back(std::move(text)); }

  const std::vector<Metric>& metrics() const { return metrics_; }
  const std::vector<std::string>& notes() const { return notes_; }
  const Metric* Find(absl::string_view key) const;

  std::string Json() const;
  std::string Table() const;
  static absl::StatusOr<Report> FromJsonFile(const std::string& path);

 private:
  std::vector<Metric> metrics_;
  std::vector<std::string> notes_;
};

// "12.3", "0.045", "1,234": three significant digits, as tables want them.
std::string Number(double value);

// Pads to `width` columns; UTF-8 characters count as one. Negative widths align to the right.
std::string Pad(const std::string& text, int width);

}  // namespace wherry::bench

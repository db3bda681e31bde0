// The peer's numbers, ours, their ratio, and what the design asks for. The design's numbers are ratios to hold rather than
// absolute times, because machines differ: they were taken on one machine with containerd 2.1 and runc 1.5, and so the
// column says both what that peer had there and what wherry must reach there.
#include <array>

#include "test/bench/pods.h"

namespace wherry::bench {
namespace {

struct Goal {
  absl::string_view key;
  double peer;  // containerd + runc on the design's machine
  double wherry;
  bool more_is_better = false;
};

constexpr std::array<Goal, 12> kGoals = {{
    {"start_cni_ms", 125, 10},
    {"start_host_ms", 96, 5},
    {"remove_cni_ms", 96, 10},
    {"starts_cni_per_s", 15, 200, true},
    {"exec_ms", 19.8, 1.5},
    {"exec_cpu_ms", 26, 2},
    {"helper_pss_mib", 5.0, 0.25},
    {"mounts_per_pod", 4, 1},
    {"list_stats_ms", 79, 4},
    {"log_mb_per_s", 66, 660, true},
    {"log_cpu_s_per_gb", 20, 2},
    {"pull_s", 2.4, 0.8},
}};

const Goal* FindGoal(absl::string_view key) {
  for (const Goal& goal : kGoals) {
    if (goal.key == key) return &goal;
  }
  return nullptr;
}

std::string Cell(const Metric& metric) { return metric.known ? Number(metric.value) : "n/a"; }

// How many times better ours is; "" where one of them is unknown or zero.
double Gain(const Metric& peer, const Metric& ours, bool more_is_better) {
  if (!peer.known || !ours.known || peer.value <= 0 || ours.value <= 0) return 0;
  return more_is_better ? ours.value / peer.value : peer.value / ours.value;
}

// "125 → 10": what the design measured of the peer and asks of wherry; and whether this run holds the number or the ratio.
std::string GoalCells(const Goal* goal, const Metric& ours, double gain) {
  if (goal == nullptr) return "";
  std::string text = Pad(absl::StrCat(Number(goal->peer), " → ", Number(goal->wherry)), -18);
  if (!ours.known) return text;
  bool number = goal->more_is_better ? ours.value >= goal->wherry : ours.value <= goal->wherry;
  double asked = goal->more_is_better ? goal->wherry / goal->peer : goal->peer / goal->wherry;
  return absl::StrCat(text, "  ", number ? "reached" : gain >= asked ? "ratio held" : "MISSED");
}

}  // namespace

std::string Compare(const Report& peer, const Report& ours) {
  std::string text = absl::StrCat(Pad("", 52), Pad("", -8), Pad("peer", -10), Pad("wherry", -10), Pad("times", -9),
                                  Pad("design", -18), "\n");
  for (const Metric& theirs : peer.metrics()) {
    const Metric* metric = ours.Find(theirs.key);
    if (metric == nullptr) continue;
    const Goal* goal = FindGoal(theirs.key);
    bool more_is_better = goal != nullptr ? goal->more_is_better : theirs.unit == "pods/s" || theirs.unit == "MB/s";
    double gain = Gain(theirs, *metric, more_is_better);
    absl::StrAppend(&text, Pad(theirs.title, 52), Pad(theirs.unit, -8), Pad(Cell(theirs), -10), Pad(Cell(*metric), -10),
                    Pad(gain > 0 ? Number(gain) + "×" : "", -9), GoalCells(goal, *metric, gain), "\n");
  }
  absl::StrAppend(&text, "peer: ", peer.runtime, "; wherry: ", ours.runtime, "\n",
                  "design: the peer there (containerd 2.1 + runc 1.5) → what wherry must reach there\n");
  return text;
}

}  // namespace wherry::bench

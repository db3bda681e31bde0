// ExecSync of /bin/true, the price of an exec probe: latency and the node's CPU.
#include "test/bench/pods.h"

namespace wherry::bench {

absl::Status MeasureExec(Client& client, const Options& options, Report& report) {
  Pods pods(client, options);
  ASSIGN_OR_RETURN(LogWatch watch, LogWatch::Make());
  ASSIGN_OR_RETURN(Pod pod, pods.Start(watch, "exec", !options.cni_network));
  const int rounds = options.rounds * 4;
  std::vector<double> samples;
  // Two passes of which the first only warms up.
  for (int pass = 0; pass < 2; ++pass) {
    ASSIGN_OR_RETURN(CpuMeter cpu, CpuMeter::Make(options.cpu_cgroup));
    samples.clear();
    const int count = pass == 0 ? 5 : rounds;
    for (int i = 0; i < count; ++i) {
      Stopwatch time;
      ASSIGN_OR_RETURN(int code, client.ExecSync(pod.container, {"/bin/true"}));
      samples.push_back(time.Milliseconds());
      if (code != 0) return absl::InternalError(absl::StrCat("/bin/true ended with code ", code));
    }
    if (pass == 0) continue;
    ASSIGN_OR_RETURN(double seconds, cpu.Seconds());
    report.AddQuantiles("exec_ms", "ExecSync /bin/true", "ms", samples);
    report.Add("exec_cpu_ms", "ExecSync /bin/true: CPU", "ms", seconds * 1e3 / rounds);
  }
  return pods.Remove(pod);
}

}  // namespace wherry::bench

#pragma once

#include <cstddef>
#include <cstdint>

// The fixed part of a line in the kubelet's log format: "2026-01-02T03:04:05.000000000Z stdout F " then the content and
// a newline (k8s.io/cri-client pkg/logs).
namespace wherry::shim {

enum class StreamName { kStdout, kStderr };

inline constexpr size_t kLogPrefix = 40;  // bytes; the same for both streams and both tags

// Writes kLogPrefix bytes to `out`. `tag` is 'F' (the line ends here) or 'P' (it goes on in the next one).
void FormatPrefix(int64_t realtime_ns, StreamName stream, char tag, char* out);

// CLOCK_REALTIME.
int64_t RealtimeNs();

}  // namespace wherry::shim

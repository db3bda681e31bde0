#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace grpc {
class Status;
}
namespace spdlog {
class logger;
}

// Where every RPC enters and leaves. The code below returns errors and does not log them; here each request is logged
// once, with what it was about, how long it took and the whole error, and the error becomes gRPC's. Requests and answers
// themselves are never logged: they carry environment variables and credentials.
namespace wherry::server {

// What an RPC may cost, and so how loudly a success is logged (a kubelet lists every second and probes all the time).
enum class Kind {
  kRead,    // changes nothing and waits for no container: always admitted, success logged at trace
  kProbe,   // runs something in a container: success logged at debug
  kChange,  // success logged at info
};

struct Call {
  absl::string_view rpc;
  Kind kind;
  absl::string_view subject;  // an id or a name; from outside, so it is escaped and cut
};

class Edge {
 public:
  // Each probe and change occupies a thread. Beyond this many at a time they are refused with ResourceExhausted, which the
  // kubelet retries, so that threads stay bounded; reads are not counted and always answered.
  static constexpr int kMaxConcurrent = 1024;

  explicit Edge(std::shared_ptr<spdlog::logger> log) : log_(std::move(log)) {}

  // Runs `work`. An exception out of it is logged and becomes Internal.
  grpc::Status Serve(const Call& call, absl::FunctionRef<absl::Status()> work);

 private:
  absl::Status Admit(const Call& call, absl::FunctionRef<absl::Status()> work);
  void Log(const Call& call, uint64_t request, double milliseconds, const absl::Status& status);

  const std::shared_ptr<spdlog::logger> log_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<int> running_{0};
};

// The status for the wire. gRPC sends it in a header, whose size peers bound (8 KiB after percent-encoding), so the text is
// cut at 2000 bytes, and control characters are escaped.
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace wherry::server

#include "cri/server/edge.h"

#include <grpcpp/support/status.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace wherry::server {
namespace {

constexpr size_t kMaxSubject = 256;
constexpr size_t kMaxWireText = 2000;
constexpr size_t kMaxLogText = 16000;

// One line without control characters, at most `max` bytes.
std::string Clean(absl::string_view text, size_t max) {
  std::string out = absl::Utf8SafeCHexEscape(text.substr(0, max));
  absl::StrReplaceAll({{"\\\"", "\""}, {"\\'", "'"}}, &out);  // quotes do no harm
  if (text.size() > max || out.size() > max) {
    out.resize(std::min(out.size(), max));
    out += "…";
  }
  return out;
}

spdlog::level::level_enum LevelOf(const Call& call, const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return call.kind == Kind::kRead    ? spdlog::level::trace
             : call.kind == Kind::kProbe ? spdlog::level::debug
                                         : spdlog::level::info;
    // The kubelet asks for what is gone, and for RPCs that we lack, in the normal course of its work.
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
      return spdlog::level::debug;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
      return spdlog::level::err;
    default:
      return spdlog::level::warn;
  }
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()), Clean(status.message(), kMaxWireText)};
}

grpc::Status Edge::Serve(const Call& call, absl::FunctionRef<absl::Status()> work) {
  const uint64_t request = requests_.fetch_add(1, std::memory_order_relaxed) + 1;
  const auto begin = std::chrono::steady_clock::now();
  absl::Status status;
  try {
    status = Admit(call, work);
  } catch (const std::exception& exception) {
    status = absl::InternalError(absl::StrCat(call.rpc, ": exception: ", exception.what()));
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  Log(call, request, took.count(), status);
  return ToGrpc(status);
}

absl::Status Edge::Admit(const Call& call, absl::FunctionRef<absl::Status()> work) {
  if (call.kind == Kind::kRead) return work();
  struct Slot {
    std::atomic<int>& running;
    const int before = running.fetch_add(1);
    ~Slot() { running.fetch_sub(1); }
  } slot{running_};
  if (slot.before >= kMaxConcurrent)
    return absl::ResourceExhaustedError(absl::StrCat(kMaxConcurrent, " requests are under way; try again"));
  return work();
}

void Edge::Log(const Call& call, uint64_t request, double milliseconds, const absl::Status& status) {
  const auto level = LevelOf(call, status);
  if (!log_->should_log(level)) return;
  if (status.ok())
    log_->log(level, "#{} {} {} ok {:.2f} ms", request, fmt::string_view(call.rpc.data(), call.rpc.size()),
              Clean(call.subject, kMaxSubject), milliseconds);
  else
    log_->log(level, "#{} {} {} {} {:.2f} ms: {}", request, fmt::string_view(call.rpc.data(), call.rpc.size()),
              Clean(call.subject, kMaxSubject), absl::StatusCodeToString(status.code()), milliseconds,
              Clean(status.message(), kMaxLogText));
}

}  // namespace wherry::server

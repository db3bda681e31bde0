#include "api/cni/error.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/cni/fields.h"

namespace wherry::cni {
namespace {

constexpr char kCodeUrl[] = "wherry/cni-code";

absl::StatusCode StatusCodeOf(uint32_t code) {
  switch (static_cast<ErrorCode>(code)) {
    case ErrorCode::kIncompatibleVersion:
    case ErrorCode::kUnsupportedField:
      return absl::StatusCode::kUnimplemented;
    case ErrorCode::kUnknownContainer:
      return absl::StatusCode::kNotFound;
    case ErrorCode::kInvalidEnvironment:
    case ErrorCode::kDecodingFailure:
    case ErrorCode::kInvalidConfig:
      return absl::StatusCode::kInvalidArgument;
    case ErrorCode::kTryAgainLater:
    case ErrorCode::kNotAvailable:
    case ErrorCode::kLimitedConnectivity:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status WithCode(uint32_t code, absl::string_view message) {
  absl::Status status(StatusCodeOf(code), message);
  status.SetPayload(kCodeUrl, absl::Cord(absl::StrCat(code)));
  return status;
}

}  // namespace

absl::Status MakeError(ErrorCode code, absl::string_view message) {
  return WithCode(static_cast<uint32_t>(code), message);
}

Error ToError(const absl::Status& status) {
  Error out{static_cast<uint32_t>(ErrorCode::kInternal), std::string(status.message()), ""};
  if (auto payload = status.GetPayload(kCodeUrl)) {
    uint32_t code = 0;
    if (absl::SimpleAtoi(std::string(*payload), &code)) out.code = code;
  }
  return out;
}

absl::Status ToStatus(const Error& error) {
  return WithCode(error.code, error.details.empty() ? error.msg : absl::StrCat(error.msg, ": ", error.details));
}

std::string PrintError(const Error& error, absl::string_view version) {
  nlohmann::ordered_json out;
  out["cniVersion"] = std::string(version);
  out["code"] = error.code;
  out["msg"] = error.msg;
  if (!error.details.empty()) out["details"] = error.details;
  // A text may quote what somebody else wrote, and that need not be UTF-8.
  return out.dump(4, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

absl::StatusOr<Error> ParseError(absl::string_view text) {
  absl::StatusOr<nlohmann::json> document = ParseJson(text);
  if (!document.ok()) return document.status();
  Error out;
  Fields fields(*document, "error");
  fields.Number("code", &out.code);
  fields.String("msg", &out.msg);
  fields.String("details", &out.details);
  if (absl::Status status = fields.status(); !status.ok()) return status;
  if (!document->contains("code")) return MakeError(ErrorCode::kDecodingFailure, "error document has no \"code\"");
  return out;
}

}  // namespace wherry::cni

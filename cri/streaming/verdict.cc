#include "cri/streaming/verdict.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::streaming {
namespace {

constexpr size_t kMaxResize = 256;

absl::StatusOr<TerminalSize> ParseSize(absl::string_view text) {
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError("a terminal's size is no JSON object");
  TerminalSize size;
  for (const auto& [key, value] : json.items()) {
    uint16_t* side = absl::EqualsIgnoreCase(key, "width")    ? &size.width
                     : absl::EqualsIgnoreCase(key, "height") ? &size.height
                                                             : nullptr;
    if (side == nullptr) continue;
    if (!value.is_number_unsigned() || value.get<uint64_t>() > UINT16_MAX)
      return absl::InvalidArgumentError(absl::StrCat("a terminal's ", key, " must be from 0 to 65535"));
    *side = static_cast<uint16_t>(value.get<uint64_t>());
  }
  return size;
}

}  // namespace

std::string Verdict(const absl::StatusOr<int>& exit_code, bool as_object) {
  nlohmann::json status;
  std::string message;
  if (exit_code.ok() && *exit_code == 0) {
    if (!as_object) return "";
    status["status"] = "Success";
  } else if (exit_code.ok()) {
    message = absl::StrCat("command terminated with non-zero exit code: exit status ", *exit_code);
    status["reason"] = "NonZeroExitCode";
    status["details"]["causes"] = {{{"reason", "ExitCode"}, {"message", absl::StrCat(*exit_code)}}};
  } else {
    message = absl::StrCat("Internal error occurred: ", exit_code.status().message());
    status["reason"] = "InternalError";
    status["code"] = 500;
  }
  if (!as_object) return message;
  if (!message.empty()) {
    status["status"] = "Failure";
    status["message"] = message;
  }
  return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<int> ReadVerdict(absl::string_view text) {
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return absl::UnknownError(text);
  auto string_of = [](const nlohmann::json& object, const char* key) {
    auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (string_of(json, "status") == "Success") return 0;
  const auto causes = nlohmann::json::json_pointer("/details/causes");
  if (string_of(json, "reason") == "NonZeroExitCode" && json.contains(causes) && json[causes].is_array()) {
    for (const auto& cause : json[causes]) {
      int code = 0;
      if (cause.is_object() && string_of(cause, "reason") == "ExitCode" &&
          absl::SimpleAtoi(string_of(cause, "message"), &code))
        return code;
    }
  }
  return absl::UnknownError(string_of(json, "message"));
}

absl::StatusOr<bool> ResizeReader::Read(absl::string_view bytes, TerminalSize* size) {
  absl::StrAppend(&partial_, bytes);
  bool any = false;
  while (true) {
    absl::StripLeadingAsciiWhitespace(&partial_);
    const size_t end = partial_.find('}');
    if (end == std::string::npos) break;
    ASSIGN_OR_RETURN(*size, ParseSize(absl::string_view(partial_).substr(0, end + 1)));
    partial_.erase(0, end + 1);
    any = true;
  }
  if (partial_.size() > kMaxResize || (!partial_.empty() && partial_[0] != '{'))
    return absl::InvalidArgumentError("a terminal's size is no JSON object");
  return any;
}

}  // namespace wherry::streaming

#include "api/cni/fields.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"

namespace wherry::cni {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr int kMaxDepth = 64;

bool TooDeep(absl::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

bool ReadNumber(const nlohmann::json& value, uint32_t* out) {
  if (!value.is_number_integer()) return false;
  if (!value.is_number_unsigned() && value.get<int64_t>() < 0) return false;
  const auto wide = value.get<uint64_t>();
  if (wide > std::numeric_limits<uint32_t>::max()) return false;
  *out = static_cast<uint32_t>(wide);
  return true;
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text) {
  if (text.size() > kMaxBytes) return MakeError(ErrorCode::kDecodingFailure, "JSON document of more than 1 MiB");
  if (TooDeep(text)) return MakeError(ErrorCode::kDecodingFailure, "JSON document nested deeper than 64 levels");
  nlohmann::json out = nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (out.is_discarded()) return MakeError(ErrorCode::kDecodingFailure, "not a JSON document");
  if (!out.is_object()) return MakeError(ErrorCode::kDecodingFailure, "JSON document is not an object");
  return out;
}

Fields::Fields(const nlohmann::json& object, absl::string_view path) : object_(object), path_(path) {
  if (!object.is_object()) status_ = MakeError(ErrorCode::kInvalidConfig, absl::StrCat(path_, " is not an object"));
}

const nlohmann::json* Fields::Find(const char* key) const {
  if (!status_.ok()) return nullptr;
  auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Fields::Fail(const char* key, absl::string_view complaint) {
  status_ = MakeError(ErrorCode::kInvalidConfig, absl::StrCat(path_, path_.empty() ? "" : ".", key, ": ", complaint));
}

void Fields::String(const char* key, std::string* out) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_string()) return Fail(key, "not a string");
  *out = value->get_ref<const std::string&>();
  if (out->find('\0') != std::string::npos) Fail(key, "holds a NUL");
}

void Fields::Bool(const char* key, bool* out) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) return Fail(key, "not true or false");
  *out = value->get<bool>();
}

void Fields::Number(const char* key, uint32_t* out) {
  const nlohmann::json* value = Find(key);
  if (value != nullptr && !ReadNumber(*value, out)) Fail(key, "not a number of 0 to 4294967295");
}

void Fields::Number(const char* key, std::optional<uint32_t>* out) {
  uint32_t number = 0;
  if (Find(key) == nullptr) return;
  Number(key, &number);
  *out = number;
}

void Fields::Strings(const char* key, std::vector<std::string>* out) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_array()) return Fail(key, "not a list of strings");
  for (const nlohmann::json& item : *value) {
    if (!item.is_string()) return Fail(key, "not a list of strings");
    out->push_back(item.get_ref<const std::string&>());
  }
}

void Fields::Address(const char* key, IpAddress* out) {
  std::string text;
  String(key, &text);
  if (text.empty() || !status_.ok()) return;
  absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok()) return Fail(key, address.status().message());
  *out = *address;
}

void Fields::Prefix(const char* key, IpPrefix* out) {
  std::string text;
  if (Find(key) == nullptr) return;
  String(key, &text);
  if (!status_.ok()) return;
  absl::StatusOr<IpPrefix> prefix = IpPrefix::Parse(text);
  if (!prefix.ok()) return Fail(key, prefix.status().message());
  *out = *prefix;
}

void Fields::Each(const char* key, const std::function<absl::Status(const nlohmann::json&, const std::string&)>& each) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_array()) return Fail(key, "not a list");
  size_t index = 0;
  for (const nlohmann::json& item : *value) {
    status_ = each(item, absl::StrCat(path_, path_.empty() ? "" : ".", key, "[", index++, "]"));
    if (!status_.ok()) return;
  }
}

void Fields::Object(const char* key,
                    const std::function<absl::Status(const nlohmann::json&, const std::string&)>& read) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_object()) return Fail(key, "not an object");
  status_ = read(*value, absl::StrCat(path_, path_.empty() ? "" : ".", key));
}

}  // namespace wherry::cni

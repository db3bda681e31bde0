#include "api/oci/json.h"

#include "api/oci/status_macros.h"

namespace wherry::oci::json {
namespace {

constexpr int kMaxDepth = 64;

// Brackets outside strings, counted before the parser sees the text.
bool TooDeep(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

absl::Status WrongType(const char* key, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is not ", wanted));
}

}  // namespace

absl::StatusOr<Value> Parse(absl::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes)
    return absl::InvalidArgumentError(
        absl::StrCat("JSON of ", text.size(), " bytes; at most ", max_bytes, " are read"));
  if (TooDeep(text))
    return absl::InvalidArgumentError(absl::StrCat("JSON is nested deeper than ", kMaxDepth, " levels"));
  Value value = Value::parse(text.data(), text.data() + text.size(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return absl::InvalidArgumentError("malformed JSON");
  if (!value.is_object() && !value.is_array())
    return absl::InvalidArgumentError("JSON is neither an object nor an array");
  return value;
}

const Value* Find(const Value& from, const char* key) {
  if (!from.is_object()) return nullptr;
  auto it = from.find(key);
  return it == from.end() || it->is_null() ? nullptr : &*it;
}

absl::Status Get(const Value& from, const char* key, std::string& out) {
  const Value* v = Find(from, key);
  if (v == nullptr) return absl::OkStatus();
  if (!v->is_string()) return WrongType(key, "a string");
  out = v->get_ref<const std::string&>();
  return absl::OkStatus();
}

absl::Status Get(const Value& from, const char* key, uint64_t& out) {
  const Value* v = Find(from, key);
  if (v == nullptr) return absl::OkStatus();
  if (!v->is_number_unsigned()) return WrongType(key, "a whole number");
  out = v->get<uint64_t>();
  return absl::OkStatus();
}

absl::Status Get(const Value& from, const char* key, std::vector<std::string>& out) {
  const Value* v = Find(from, key);
  if (v == nullptr) return absl::OkStatus();
  if (!v->is_array()) return WrongType(key, "a list");
  for (const Value& item : *v) {
    if (!item.is_string()) return WrongType(key, "a list of strings");
    out.push_back(item.get_ref<const std::string&>());
  }
  return absl::OkStatus();
}

absl::Status Get(const Value& from, const char* key, std::map<std::string, std::string>& out) {
  const Value* v = Find(from, key);
  if (v == nullptr) return absl::OkStatus();
  if (!v->is_object()) return WrongType(key, "an object");
  for (auto it = v->begin(); it != v->end(); ++it) {
    if (!it->is_string()) return WrongType(key, "an object of strings");
    out[it.key()] = it->get_ref<const std::string&>();
  }
  return absl::OkStatus();
}

}  // namespace wherry::oci::json

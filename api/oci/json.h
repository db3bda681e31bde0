#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

// Reading JSON that strangers wrote. nlohmann/json does the parsing, this puts the bounds around it: a size and a nesting
// limit that hold before the first allocation (CVE-2023-25153: an importer that read any amount of JSON), and accessors that turn
// a wrong type into a status instead of an exception. A member that is absent or null leaves its default; Go's encoder
// writes null for an empty list, so the two cannot be told apart.
namespace wherry::oci::json {

using Value = nlohmann::json;

// Parses `text`. InvalidArgument for malformed text, nesting beyond 64 levels, or a top level that is no object or array.
absl::StatusOr<Value> Parse(absl::string_view text, size_t max_bytes);

// The member `key` of the object `from`, or nullptr when absent or null.
const Value* Find(const Value& from, const char* key);

// Each reads one member into `out`, or leaves it alone when absent; InvalidArgument names the key when the type is wrong.
absl::Status Get(const Value& from, const char* key, std::string& out);
absl::Status Get(const Value& from, const char* key, uint64_t& out);
absl::Status Get(const Value& from, const char* key, std::vector<std::string>& out);
absl::Status Get(const Value& from, const char* key, std::map<std::string, std::string>& out);

}  // namespace wherry::oci::json

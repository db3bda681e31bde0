#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/cni/address.h"

// Reads typed fields out of a JSON object. Documents come from an administrator, a plugin or a runtime, so every
// field may be missing or of the wrong type; the reader keeps the first complaint and its path, and the code that
// fills a struct stays a plain list of fields. JSON null counts as missing, as in the reference implementation.
namespace wherry::cni {

// Strict JSON; DecodingFailure (6) for bad syntax, more than 1 MiB, or nesting deeper than 64.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text);

class Fields {
 public:
  // `path` names the object in complaints, e.g. "ipam". `object` must outlive this.
  Fields(const nlohmann::json& object, absl::string_view path);

  void String(const char* key, std::string* out);
  void Bool(const char* key, bool* out);
  void Number(const char* key, uint32_t* out);  // an integer of 0 … 2^32-1
  void Number(const char* key, std::optional<uint32_t>* out);
  void Strings(const char* key, std::vector<std::string>* out);
  void Address(const char* key, IpAddress* out);
  void Prefix(const char* key, IpPrefix* out);
  // Calls `each` for every element of the array `key`, or `read` for the object `key`; a failure is kept.
  void Each(const char* key, const std::function<absl::Status(const nlohmann::json&, const std::string& path)>& each);
  void Object(const char* key, const std::function<absl::Status(const nlohmann::json&, const std::string& path)>& read);

  // InvalidConfig (7) with the first complaint, or OK.
  const absl::Status& status() const { return status_; }

 private:
  const nlohmann::json* Find(const char* key) const;
  void Fail(const char* key, absl::string_view complaint);

  const nlohmann::json& object_;
  std::string path_;
  absl::Status status_;
};

}  // namespace wherry::cni

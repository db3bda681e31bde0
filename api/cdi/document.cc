// yaml-cpp reads; what comes out is turned into JSON at once, so that there is one reader of specifications. An alias refers to
// a node that was read before, and a few lines of aliases of aliases stand for more values than memory can hold: what counts is
// the size of the result. (yaml-cpp bounds its own recursion.)
#include "api/cdi/document.h"

#include <yaml-cpp/yaml.h>

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/oci/status_macros.h"

namespace wherry::cdi {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr int kMaxValues = 200000;

absl::Status Wrong(const YAML::Node& node, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", node.Mark().line + 1, ": ", what));
}

Json Scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return text;  // quoted
  if (text == "true" || text == "false") return text == "true";
  if (text.empty() || text == "~" || text == "null") return nullptr;
  int64_t number = 0;
  if (absl::SimpleAtoi(text, &number) && absl::StrCat(number) == text) return number;
  // A mode: 0666, which YAML 1.2 writes 0o666.
  if (text[0] == '0' && text.size() > 1 && text.size() < 12 && text.find_first_not_of("01234567") == std::string::npos)
    return std::stoll(text, nullptr, 8);
  return text;
}

class Converter {
 public:
  absl::StatusOr<Json> Convert(const YAML::Node& node, int depth) {
    if (depth > kMaxDepth) return Wrong(node, "nested too deeply");
    if (++values_ > kMaxValues) return Wrong(node, "too many values");
    if (node.IsScalar()) return Scalar(node);
    if (node.IsSequence()) return Sequence(node, depth);
    if (node.IsMap()) return Map(node, depth);
    return Json(nullptr);
  }

 private:
  absl::StatusOr<Json> Sequence(const YAML::Node& node, int depth) {
    Json out = Json::array();
    for (const YAML::Node& item : node) {
      OCI_ASSIGN_OR_RETURN(Json value, Convert(item, depth + 1));
      out.push_back(std::move(value));
    }
    return out;
  }

  absl::StatusOr<Json> Map(const YAML::Node& node, int depth) {
    Json out = Json::object();
    for (const auto& entry : node) {
      const YAML::Node& key = entry.first;
      if (!key.IsScalar()) return Wrong(key, "a key is no string");
      if (out.contains(key.Scalar())) return Wrong(key, absl::StrCat("\"", key.Scalar(), "\" comes twice"));
      OCI_ASSIGN_OR_RETURN(Json value, Convert(entry.second, depth + 1));
      out[key.Scalar()] = std::move(value);
    }
    return out;
  }

  int values_ = 0;
};

}  // namespace

absl::StatusOr<Json> ParseYamlDocument(absl::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) return absl::InvalidArgumentError(absl::StrCat("more than ", max_bytes, " bytes"));
  try {
    return Converter().Convert(YAML::Load(std::string(text)), 0);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("no YAML: ", error.what()));
  }
}

}  // namespace wherry::cdi

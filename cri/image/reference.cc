#include "cri/image/reference.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/oci/digest.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxName = 255;
constexpr size_t kMaxTag = 128;
constexpr size_t kMaxText = 1024;

bool IsLowerAlnum(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); }

// One part of a path: runs of [a-z0-9] joined by ".", "_", "__" or any number of "-".
bool IsPathComponent(absl::string_view part) {
  if (part.empty() || !IsLowerAlnum(part.front()) || !IsLowerAlnum(part.back())) return false;
  for (size_t i = 0; i < part.size();) {
    if (IsLowerAlnum(part[i])) {
      ++i;
      continue;
    }
    const size_t end = std::min(part.find_first_of("abcdefghijklmnopqrstuvwxyz0123456789", i), part.size());
    const absl::string_view joint = part.substr(i, end - i);
    const bool dashes = std::all_of(joint.begin(), joint.end(), [](char c) { return c == '-'; });
    if (!dashes && joint != "." && joint != "_" && joint != "__") return false;
    i = end;
  }
  return true;
}

bool IsPort(absl::string_view port) {
  return !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), absl::ascii_isdigit);
}

bool IsHostLabel(absl::string_view label) {
  return !label.empty() && label.size() <= 63 && absl::ascii_isalnum(static_cast<unsigned char>(label.front())) &&
         absl::ascii_isalnum(static_cast<unsigned char>(label.back())) &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-'; });
}

// A host name or IPv4 address, or an IPv6 address in brackets; each with an optional port.
bool IsDomain(absl::string_view domain) {
  if (absl::StartsWith(domain, "[")) {
    const size_t close = domain.find(']');
    if (close == absl::string_view::npos) return false;
    const absl::string_view address = domain.substr(1, close - 1), rest = domain.substr(close + 1);
    const bool hex = !address.empty() && std::all_of(address.begin(), address.end(), [](char c) {
      return absl::ascii_isxdigit(static_cast<unsigned char>(c)) || c == ':';
    });
    return hex && (rest.empty() || (rest.front() == ':' && IsPort(rest.substr(1))));
  }
  const size_t colon = domain.find(':');
  if (colon != absl::string_view::npos && !IsPort(domain.substr(colon + 1))) return false;
  for (absl::string_view label : absl::StrSplit(domain.substr(0, colon), '.'))
    if (!IsHostLabel(label)) return false;
  return true;
}

bool IsTag(absl::string_view tag) {
  auto word = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  return !tag.empty() && tag.size() <= kMaxTag && word(tag.front()) &&
         std::all_of(tag.begin(), tag.end(), [&](char c) { return word(c) || c == '.' || c == '-'; });
}

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(text.substr(0, 300)), "\" is no image reference: ", why));
}

// Splits "name" into domain and path. The first part is a registry when it could not be a Docker Hub user: it has a dot or a
// colon, is "localhost", or has an upper-case letter.
void SplitName(absl::string_view name, Reference& out) {
  const size_t slash = name.find('/');
  const absl::string_view first = name.substr(0, slash);
  const bool registry = slash != absl::string_view::npos &&
                        (first.find_first_of(".:") != absl::string_view::npos || first == "localhost" ||
                         std::any_of(first.begin(), first.end(), absl::ascii_isupper));
  out.domain = registry ? std::string(first) : "docker.io";
  out.path = std::string(registry ? name.substr(slash + 1) : name);
  if (out.domain == "index.docker.io") out.domain = "docker.io";
  if (out.domain == "docker.io" && !absl::StrContains(out.path, '/')) out.path = absl::StrCat("library/", out.path);
}

}  // namespace

absl::StatusOr<Reference> ParseReference(absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("an image reference is empty");
  if (text.size() > kMaxText) return Bad(text, "it is too long");
  Reference out;
  absl::string_view name = text;
  if (const size_t at = name.find('@'); at != absl::string_view::npos) {
    out.digest = std::string(name.substr(at + 1));
    name = name.substr(0, at);
    if (absl::Status st = oci::CheckDigest(out.digest); !st.ok()) return Bad(text, st.message());
  }
  const size_t colon = name.rfind(':');
  const size_t slash = name.rfind('/');
  if (colon != absl::string_view::npos && (slash == absl::string_view::npos || colon > slash)) {
    out.tag = std::string(name.substr(colon + 1));
    name = name.substr(0, colon);
    if (!IsTag(out.tag)) return Bad(text, "its tag is malformed");
  }
  SplitName(name, out);
  if (!IsDomain(out.domain)) return Bad(text, "its registry is malformed");
  for (absl::string_view part : absl::StrSplit(out.path, '/')) {
    if (IsPathComponent(part)) continue;
    const bool upper = std::any_of(part.begin(), part.end(), absl::ascii_isupper);
    return Bad(text, upper ? "a repository name must be lower case" : "its repository name is malformed");
  }
  if (out.Repository().size() > kMaxName) return Bad(text, "its name has more than 255 characters");
  if (out.tag.empty() && out.digest.empty()) out.tag = "latest";
  return out;
}

}  // namespace wherry::image

#include "cri/image/registry_auth.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "api/oci/json.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxTokenAnswer = 1 << 20;

// The host of a server_address: "https://index.docker.io/v1/", "registry.example:5000", …
std::string AddressHost(absl::string_view address) {
  if (const size_t scheme = address.find("://"); scheme != absl::string_view::npos) address.remove_prefix(scheme + 3);
  const std::string host = absl::AsciiStrToLower(address.substr(0, address.find('/')));
  return host == "index.docker.io" || host == "registry-1.docker.io" ? "docker.io" : host;
}

std::string Escape(absl::string_view text) {
  std::string out;
  for (char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-._~", absl::string_view(&c, 1)))
      out += c;
    else
      absl::StrAppend(&out, "%", absl::AsciiStrToUpper(absl::BytesToHexString(absl::string_view(&c, 1))));
  }
  return out;
}

std::string Basic(const Credentials& c) {
  return absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(c.username, ":", c.password)));
}

std::string Parameter(const Challenge& challenge, const std::string& name) {
  auto it = challenge.parameters.find(name);
  return it == challenge.parameters.end() ? "" : it->second;
}

// Reads tokens and quoted strings from the front of a header.
class Scanner {
 public:
  explicit Scanner(absl::string_view text) : rest_(text) {}
  void Skip(absl::string_view set) {
    while (!rest_.empty() && absl::StrContains(set, rest_.substr(0, 1))) rest_.remove_prefix(1);
  }
  bool AtEnd() const { return rest_.empty(); }
  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string Word() {
    const size_t end = std::min(rest_.find_first_of(" \t,=\""), rest_.size());
    std::string word(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return word;
  }
  std::string Value() {
    if (!Take('"')) {
      const size_t end = std::min(rest_.find_first_of(" \t,"), rest_.size());
      std::string value(rest_.substr(0, end));
      rest_.remove_prefix(end);
      return value;
    }
    std::string value;
    while (!rest_.empty() && !Take('"')) {
      if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      value += rest_.front();
      rest_.remove_prefix(1);
    }
    return value;
  }

 private:
  absl::string_view rest_;
};

}  // namespace

std::string Credentials::Redact(std::string text) const {
  for (const std::string& secret : {password, identity_token, registry_token, Basic(*this).substr(6)})
    if (secret.size() >= 4) text = absl::StrReplaceAll(text, {{secret, "***"}});
  return text;
}

absl::StatusOr<Credentials> ReadCredentials(const PullAuth& auth, const std::string& domain) {
  Credentials out;
  out.host = auth.server_address.empty() ? domain : AddressHost(auth.server_address);
  out.username = auth.username;
  out.password = auth.password;
  out.identity_token = auth.identity_token;
  out.registry_token = auth.registry_token;
  if (out.username.empty() && !auth.auth.empty()) {
    std::string plain;
    if (!absl::Base64Unescape(auth.auth, &plain)) return absl::InvalidArgumentError("the credentials are not base64");
    const size_t colon = plain.find(':');
    if (colon == std::string::npos)
      return absl::InvalidArgumentError("the decoded credentials are not \"user:password\"");
    out.username = plain.substr(0, colon);
    out.password = plain.substr(colon + 1);
    while (!out.password.empty() && out.password.back() == '\0') out.password.pop_back();
  }
  for (const std::string& text : {out.username, out.password, out.identity_token, out.registry_token})
    if (text.find_first_of("\r\n\0", 0, 3) != std::string::npos)
      return absl::InvalidArgumentError("the credentials contain a line break");
  if (out.empty()) out.host.clear();
  return out;
}

bool BelongsTo(const Credentials& credentials, const RegistryHost& host) {
  return !credentials.host.empty() && (host.host == credentials.host || host.host == DefaultHost(credentials.host));
}

std::vector<Challenge> ParseChallenges(absl::string_view header) {
  std::vector<Challenge> out;
  Scanner scan(header);
  while (true) {
    scan.Skip(" \t,");
    if (scan.AtEnd()) return out;
    std::string word = scan.Word();
    scan.Skip(" \t");
    if (!out.empty() && scan.Take('=')) {
      scan.Skip(" \t");
      out.back().parameters.emplace(absl::AsciiStrToLower(word), scan.Value());
    } else if (!word.empty()) {
      out.push_back({absl::AsciiStrToLower(word), {}});
    } else {
      return out;  // neither a scheme nor a parameter: the rest is noise
    }
  }
}

std::string Authorizer::Header(const RegistryHost& host) const {
  std::lock_guard<std::mutex> lock(mutex_);
  auto it = headers_.find(host.Base());
  if (it != headers_.end()) return it->second;
  if (!credentials_.registry_token.empty() && BelongsTo(credentials_, host))
    return absl::StrCat("Bearer ", credentials_.registry_token);
  return "";
}

absl::Status Authorizer::Answer(const RegistryHost& host, const HttpResponse& refusal, const std::string& used) {
  // Another thread may have been faster.
  if (Header(host) != used) return absl::OkStatus();
  std::vector<Challenge> challenges;
  auto range = refusal.headers.equal_range("www-authenticate");
  for (auto it = range.first; it != range.second; ++it)
    for (Challenge& challenge : ParseChallenges(it->second)) challenges.push_back(std::move(challenge));
  const bool known = BelongsTo(credentials_, host);
  for (const Challenge& challenge : challenges) {
    std::string header;
    if (challenge.scheme == "bearer") {
      if (known && !credentials_.registry_token.empty()) continue;  // it was refused
      ASSIGN_OR_RETURN(std::string token, FetchToken(host, challenge));
      header = absl::StrCat("Bearer ", token);
    } else if (challenge.scheme == "basic" && known && !credentials_.username.empty()) {
      header = Basic(credentials_);
    }
    if (header.empty() || header == used) continue;
    std::lock_guard<std::mutex> lock(mutex_);
    headers_[host.Base()] = header;
    return absl::OkStatus();
  }
  if (!known) return absl::UnauthenticatedError("it wants credentials, and there are none for it");
  return absl::UnauthenticatedError("the credentials are refused");
}

// https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/. The realm may be another host (auth.docker.io): the
// registry that owns the credentials names it, and over plain HTTP only a registry that is reached so itself.
absl::StatusOr<std::string> Authorizer::FetchToken(const RegistryHost& host, const Challenge& challenge) {
  const std::string realm = Parameter(challenge, "realm");
  if (!absl::StartsWith(realm, "https://") && !(host.scheme == "http" && absl::StartsWith(realm, "http://")))
    return absl::UnauthenticatedError(absl::StrCat("it names no token server that could be trusted: \"",
                                                   absl::CHexEscape(ShownUrl(realm).substr(0, 200)), "\""));
  const bool known = BelongsTo(credentials_, host);
  std::string scope = Parameter(challenge, "scope");
  if (scope.empty()) scope = absl::StrCat("repository:", repository_, ":pull");
  const std::string service = Parameter(challenge, "service");
  std::string query = absl::StrCat("scope=", Escape(scope));
  if (!service.empty()) absl::StrAppend(&query, "&service=", Escape(service));
  HttpRequest request;
  request.tls = host.tls;
  request.dial_timeout = host.dial_timeout;
  request.url = realm;
  if (known && !credentials_.identity_token.empty()) {
    request.method = "POST";
    request.headers.emplace_back("Content-Type: application/x-www-form-urlencoded");
    request.body = absl::StrCat("grant_type=refresh_token&client_id=wherry&", query,
                                "&refresh_token=", Escape(credentials_.identity_token));
  } else {
    absl::StrAppend(&request.url, absl::StrContains(realm, '?') ? "&" : "?", query);
    if (known && !credentials_.username.empty()) {
      absl::StrAppend(&request.url, "&account=", Escape(credentials_.username));
      request.headers.push_back(absl::StrCat("Authorization: ", Basic(credentials_)));
    }
  }
  std::unique_ptr<HttpTransfer> transfer = transport_.Send(std::move(request));
  ASSIGN_OR_RETURN_CTX(HttpResponse response, transfer->Response(), "token");
  const std::string where = absl::StrCat("token server ", absl::CHexEscape(ShownUrl(realm)));
  if (response.status == 429 || response.status >= 500)
    return absl::UnavailableError(absl::StrCat(where, " answers ", response.status));
  if (response.status != 200) return absl::UnauthenticatedError(absl::StrCat(where, " answers ", response.status));
  ASSIGN_OR_RETURN_CTX(std::string body, ReadBody(*transfer, kMaxTokenAnswer), where);
  ASSIGN_OR_RETURN_CTX(oci::json::Value doc, oci::json::Parse(body, kMaxTokenAnswer), where);
  std::string token;
  RETURN_IF_ERROR_CTX(oci::json::Get(doc, "token", token), where);
  if (token.empty()) RETURN_IF_ERROR_CTX(oci::json::Get(doc, "access_token", token), where);
  if (token.empty() || token.find_first_of("\r\n") != std::string::npos)
    return absl::UnauthenticatedError(absl::StrCat(where, " gives no token"));
  return token;
}

}  // namespace wherry::image

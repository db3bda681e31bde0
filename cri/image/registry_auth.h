#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/http_transport.h"
#include "cri/image/registry_hosts.h"
#include "cri/image/store.h"

// Who we are to a registry. Credentials belong to one host: the image's own registry, or the server_address that came with them.
// Mirrors do not get them, nor does the target of a redirection (CVE-2020-15157: a manifest could name a host and be sent the
// registry's password). Tokens are kept for one wherry-pull, which serves one request with one set of credentials.
namespace wherry::image {

struct Credentials {
  std::string host;  // "" for none at all
  std::string username, password, identity_token, registry_token;
  bool empty() const { return username.empty() && identity_token.empty() && registry_token.empty(); }
  // Replaces what is secret in `text`.
  std::string Redact(std::string text) const;
};

// InvalidArgument when `auth` has no usable form. `domain` is the reference's.
absl::StatusOr<Credentials> ReadCredentials(const PullAuth& auth, const std::string& domain);
// Whether `credentials` may be shown to `host`.
bool BelongsTo(const Credentials& credentials, const RegistryHost& host);

// One entry of WWW-Authenticate (RFC 9110, 11.6.1).
struct Challenge {
  std::string scheme;  // lower case
  std::map<std::string, std::string> parameters;
};
std::vector<Challenge> ParseChallenges(absl::string_view header);

class Authorizer {
 public:
  Authorizer(HttpTransport& transport, Credentials credentials, std::string repository)
      : transport_(transport), credentials_(std::move(credentials)), repository_(std::move(repository)) {}

  // The value of the Authorization header for `host`, or "" while nothing is known to be wanted.
  std::string Header(const RegistryHost& host) const;
  // Answers a 401: gets a token, or chooses Basic. Unauthenticated when there is nothing (new) to offer.
  absl::Status Answer(const RegistryHost& host, const HttpResponse& refusal, const std::string& used);
  const Credentials& credentials() const { return credentials_; }

 private:
  absl::StatusOr<std::string> FetchToken(const RegistryHost& host, const Challenge& challenge);

  HttpTransport& transport_;
  const Credentials credentials_;
  const std::string repository_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> headers_;  // RegistryHost::Base() → header
};

}  // namespace wherry::image

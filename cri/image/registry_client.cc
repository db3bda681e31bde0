#include "cri/image/registry_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <deque>
#include <map>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/oci/json.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr int kMaxRedirections = 10;
constexpr size_t kMaxErrorBody = 64 << 10;
constexpr size_t kMaxErrorText = 300;
constexpr absl::Duration kMaxRetryAfter = absl::Seconds(60);
constexpr char kRetryAfter[] = "wherry/retry-after";  // status payload: seconds
constexpr char kManifestTypes[] =
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

bool IsRedirection(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string out = text;
  curl_free(text);
  return out;
}

std::string Origin(const std::string& text) {
  std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return "";
  return absl::StrCat(Part(url.get(), CURLUPART_SCHEME), "://", Part(url.get(), CURLUPART_HOST), ":",
                      Part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

absl::StatusOr<std::string> Resolve(const std::string& base, const std::string& location) {
  std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  if (url == nullptr || location.empty() || curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK)
    return absl::InvalidArgumentError(absl::StrCat(ShownUrl(base), " redirects to nothing usable"));
  const std::string out = Part(url.get(), CURLUPART_URL);
  if (absl::StartsWith(base, "https:") && !absl::StartsWith(out, "https:"))
    return absl::FailedPreconditionError(absl::StrCat(ShownUrl(base), " redirects to \"",
                                                      absl::CHexEscape(ShownUrl(out)), "\", which is not encrypted"));
  return out;
}

// "DENIED: requested access to the resource is denied", of the error document that the specification defines.
std::string ErrorText(const std::string& body) {
  absl::StatusOr<oci::json::Value> doc = oci::json::Parse(body, kMaxErrorBody);
  if (!doc.ok()) return "";
  const oci::json::Value* errors = oci::json::Find(*doc, "errors");
  if (errors == nullptr || !errors->is_array() || errors->empty()) return "";
  std::string code, message;
  (void)oci::json::Get(errors->front(), "code", code).ok();
  (void)oci::json::Get(errors->front(), "message", message).ok();
  return absl::StrCat(": ", absl::CHexEscape(code), code.empty() || message.empty() ? "" : ": ",
                      absl::CHexEscape(message))
      .substr(0, kMaxErrorText);
}

absl::StatusCode CodeFor(long status) {
  if (status == 401) return absl::StatusCode::kUnauthenticated;
  if (status == 403) return absl::StatusCode::kPermissionDenied;
  if (status == 404) return absl::StatusCode::kNotFound;
  if (status == 408 || status == 429 || status >= 500) return absl::StatusCode::kUnavailable;
  return absl::StatusCode::kFailedPrecondition;
}

// Seconds or a date (RFC 9110, 10.2.3).
absl::Duration RetryAfter(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryAfter);
  if (!payload.has_value()) return absl::ZeroDuration();
  const std::string text(*payload);
  int64_t seconds = 0;
  absl::Duration after;
  if (absl::SimpleAtoi(text, &seconds))
    after = absl::Seconds(seconds);
  else if (const time_t date = curl_getdate(text.c_str(), nullptr); date >= 0)
    after = absl::FromTimeT(date) - absl::Now();  // NOLINT: a date
  return std::clamp(after, absl::ZeroDuration(), kMaxRetryAfter);
}

// What a range of a blob was answered with.
struct Piece {
  std::unique_ptr<HttpTransfer> transfer;
  std::string url;
  uint64_t begin, end;
};

// Whether `response` to a request for [begin, end) of `size` bytes is what it should be; 200 is the whole.
absl::Status CheckExtent(const HttpResponse& response, const std::string& url, uint64_t size, Piece& piece) {
  if (response.status == 200) {
    uint64_t length = 0;
    const std::string text = response.Header("content-length");
    if (!text.empty() && response.Header("content-encoding").empty() && absl::SimpleAtoi(text, &length) &&
        length != size)
      return absl::DataLossError(absl::StrCat(url, " has ", length, " bytes, the manifest says ", size));
    piece.begin = 0;
    piece.end = size;
    return absl::OkStatus();
  }
  const std::string range = response.Header("content-range");
  const std::string wanted = absl::StrCat("bytes ", piece.begin, "-", piece.end - 1, "/");
  if (response.status == 206 && (range == absl::StrCat(wanted, size) || range == absl::StrCat(wanted, "*")))
    return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(url, " gives \"", absl::CHexEscape(range).substr(0, 100),
                                          "\" when asked for \"", wanted, size, "\""));
}

}  // namespace

struct RegistryClient::Progress {
  const uint64_t size;
  const Sink& sink;
  uint64_t done;  // given to the sink
  bool whole;     // the server knows no ranges
  absl::Status sink_status;
};

RegistryClient::RegistryClient(HttpTransport& transport, std::vector<RegistryHost> hosts, const Reference& reference,
                               Credentials credentials, const Options& options)
    : transport_(transport),
      hosts_(std::move(hosts)),
      reference_(reference),
      authorizer_(transport, std::move(credentials), reference.path),
      options_(options) {}

// Follows redirections by hand: what was meant for one host (Authorization, the headers of hosts.toml, the client certificate) must
// not reach another.
absl::StatusOr<RegistryClient::Answer> RegistryClient::Follow(const RegistryHost& host, HttpRequest request) {
  for (int hop = 0; hop <= kMaxRedirections; ++hop) {
    Answer answer;
    answer.url = absl::CHexEscape(ShownUrl(request.url));
    answer.transfer = transport_.Send(request);
    ASSIGN_OR_RETURN(answer.response, answer.transfer->Response());
    if (!IsRedirection(answer.response.status)) return answer;
    ASSIGN_OR_RETURN(std::string target, Resolve(request.url, answer.response.Header("location")));
    if (Origin(target) != Origin(request.url)) {
      auto& headers = request.headers;
      headers.erase(std::remove_if(headers.begin(), headers.end(),
                                   [](const std::string& h) {
                                     return !absl::StartsWith(h, "Accept: ") && !absl::StartsWith(h, "Range: ");
                                   }),
                    headers.end());
      if (host.tls != nullptr) {
        auto tls = std::make_shared<TlsOptions>(*host.tls);
        tls->cert_pem.clear();
        tls->key_pem.clear();
        request.tls = std::move(tls);
      }
    }
    request.url = target;
  }
  return absl::FailedPreconditionError(absl::StrCat(host.Base(), " redirects more than ", kMaxRedirections, " times"));
}

absl::Status RegistryClient::Refusal(Answer& answer, const absl::Status& auth) {
  const absl::StatusOr<std::string> body = ReadBody(*answer.transfer, kMaxErrorBody);
  std::string text = absl::StrCat(answer.url, " answers ", answer.response.status, body.ok() ? ErrorText(*body) : "");
  if (!auth.ok()) absl::StrAppend(&text, " (", std::string(auth.message()), ")");
  absl::Status refusal(absl::IsUnavailable(auth) ? auth.code() : CodeFor(answer.response.status),
                       authorizer_.credentials().Redact(text));
  if (const std::string after = answer.response.Header("retry-after"); !after.empty())
    refusal.SetPayload(kRetryAfter, absl::Cord(after));
  return refusal;
}

absl::StatusOr<RegistryClient::Answer> RegistryClient::Get(const RegistryHost& host, const std::string& path,
                                                           const std::vector<std::string>& headers) {
  constexpr int kMaxAnswers = 2;
  for (int answers = 0;; ++answers) {
    const std::string used = authorizer_.Header(host);
    HttpRequest request;
    request.url = absl::StrCat(host.Base(), "/", reference_.path, path,
                               host.is_proxy ? absl::StrCat("?ns=", reference_.domain) : "");
    request.headers = headers;
    request.headers.insert(request.headers.end(), host.headers.begin(), host.headers.end());
    if (!used.empty()) request.headers.push_back(absl::StrCat("Authorization: ", used));
    request.tls = host.tls;
    request.dial_timeout = host.dial_timeout;
    request.max_buffered = options_.range;
    const std::string asked = Origin(request.url);
    absl::StatusOr<Answer> followed = Follow(host, std::move(request));
    NoteAnswer(host, !absl::IsUnavailable(followed.status()));
    RETURN_IF_ERROR(followed.status());
    Answer answer = *std::move(followed);
    if (answer.response.status == 200 || answer.response.status == 206) return answer;
    if (answer.response.status != 401 || Origin(answer.url) != asked) return Refusal(answer, absl::OkStatus());
    if (answers == kMaxAnswers) return Refusal(answer, absl::UnauthenticatedError("the credentials are refused"));
    if (absl::Status auth = authorizer_.Answer(host, answer.response, used); !auth.ok()) return Refusal(answer, auth);
  }
}

// In the configured order, but those that kept us waiting in vain come last: each layer of an image would wait for a dead mirror anew.
std::vector<const RegistryHost*> RegistryClient::Hosts(bool by_tag) const {
  std::vector<const RegistryHost*> hosts;
  for (const RegistryHost& host : hosts_)
    if (by_tag ? host.resolve : host.pull) hosts.push_back(&host);
  std::lock_guard<std::mutex> lock(mutex_);
  std::stable_partition(hosts.begin(), hosts.end(), [this](const RegistryHost* h) { return silent_.count(h) == 0; });
  return hosts;
}

void RegistryClient::NoteAnswer(const RegistryHost& host, bool answered) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (answered)
    silent_.erase(&host);
  else
    silent_.insert(&host);
}

absl::Status RegistryClient::Round(std::vector<const RegistryHost*>& hosts, sys::Deadline* retry_after,
                                   const Attempt& attempt) {
  std::vector<std::string> texts;
  absl::Status last;
  std::vector<const RegistryHost*> left;
  for (const RegistryHost* host : hosts) {
    last = attempt(*host);
    if (last.ok()) return last;
    texts.emplace_back(last.message());
    *retry_after = sys::Deadline(std::max(retry_after->left(), RetryAfter(last)));
    if (absl::IsUnavailable(last)) left.push_back(host);
  }
  hosts = std::move(left);
  return absl::Status(last.code(), absl::StrJoin(texts, "; "));
}

absl::Status RegistryClient::OverHosts(bool by_tag, const std::function<uint64_t()>& done, const Attempt& attempt) {
  std::vector<const RegistryHost*> hosts = Hosts(by_tag);
  if (hosts.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("no host of ", reference_.domain, " has the capability \"", by_tag ? "resolve" : "pull", "\""));
  absl::Duration pause = options_.pause;
  absl::Status first_final;
  for (int tries = 1;; ++tries) {
    const uint64_t before = done();
    const size_t count = hosts.size();
    sys::Deadline retry_after(absl::ZeroDuration());
    absl::Status status = Round(hosts, &retry_after, attempt);
    if (status.ok()) return status;
    if (hosts.empty() || (tries >= options_.tries && done() < before + options_.progress)) {
      if (first_final.ok()) return status;
      return absl::Status(hosts.empty() ? status.code() : first_final.code(),
                          absl::StrCat(std::string(first_final.message()), "; ", std::string(status.message())));
    }
    if (hosts.size() < count && first_final.ok()) first_final = status;
    if (done() >= before + options_.progress) {
      tries = 0;
      pause = options_.pause;
    }
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(std::max(pause, retry_after.left())));
    pause = std::min(pause * 2, options_.max_pause);
  }
}

absl::StatusOr<std::string> RegistryClient::Manifest(const std::string& tag_or_digest, size_t max) {
  std::string text;
  const bool by_tag = !absl::StrContains(tag_or_digest, ':');
  auto attempt = [&](const RegistryHost& host) -> absl::Status {
    ASSIGN_OR_RETURN(Answer answer, Get(host, absl::StrCat("/manifests/", tag_or_digest), {kManifestTypes}));
    ASSIGN_OR_RETURN_CTX(text, ReadBody(*answer.transfer, max), answer.url);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(OverHosts(
      by_tag, [] { return 0; }, attempt));
  return text;
}

absl::Status RegistryClient::FetchFrom(const RegistryHost& host, const std::string& digest, Progress& p) {
  const bool split = p.size > 2 * options_.range && !p.whole;
  std::deque<Piece> ahead;
  for (uint64_t next = p.done; p.done < p.size;) {
    while (next < p.size && ahead.size() < (split ? options_.ranges : 1)) {
      Piece piece{nullptr, "", next, split ? std::min(next + options_.range, p.size) : p.size};
      std::vector<std::string> headers;
      if (piece.begin != 0 || piece.end != p.size)
        headers.push_back(absl::StrCat("Range: bytes=", piece.begin, "-", piece.end - 1));
      ASSIGN_OR_RETURN(Answer answer, Get(host, absl::StrCat("/blobs/", digest), headers));
      RETURN_IF_ERROR(CheckExtent(answer.response, answer.url, p.size, piece));
      piece.transfer = std::move(answer.transfer);
      piece.url = answer.url;
      next = piece.end;
      p.whole = p.whole || answer.response.status == 200;
      ahead.push_back(std::move(piece));
    }
    Piece piece = std::move(ahead.front());
    ahead.pop_front();
    for (uint64_t at = piece.begin; at < piece.end;) {
      ASSIGN_OR_RETURN(std::string chunk, piece.transfer->Next());
      if (chunk.empty())
        return absl::UnavailableError(absl::StrCat(piece.url, " broke off after ", at, " of ", p.size, " bytes"));
      if (chunk.size() > piece.end - at)
        return absl::DataLossError(
            absl::StrCat(piece.url, " has more than the ", p.size, " bytes that the manifest says"));
      at += chunk.size();
      if (at <= p.done) continue;  // had already, from an earlier attempt
      const size_t fresh = at - p.done;
      p.sink_status = p.sink(absl::string_view(chunk).substr(chunk.size() - fresh));
      if (!p.sink_status.ok()) return absl::OkStatus();
      p.done = at;
    }
  }
  return absl::OkStatus();
}

absl::Status RegistryClient::Blob(const std::string& digest, uint64_t size, const Sink& sink) {
  Progress progress{size, sink, 0, false, absl::OkStatus()};
  RETURN_IF_ERROR(OverHosts(
      false, [&] { return progress.done; },
      [&](const RegistryHost& host) { return FetchFrom(host, digest, progress); }));
  return progress.sink_status;
}

}  // namespace wherry::image

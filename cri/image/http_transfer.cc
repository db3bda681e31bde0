#include "cri/image/http_transfer.h"

#include <curl/curl.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr long kReceiveBuffer = 512 << 10;

curl_blob Blob(const std::string& data) {
  // With CURL_BLOB_COPY curl only reads.
  return {const_cast<char*>(data.data()), data.size(), CURL_BLOB_COPY};
}

}  // namespace

HttpExchange::~HttpExchange() {
  curl_slist_free_all(headers_);
  if (easy_ != nullptr) curl_easy_cleanup(easy_);
}

absl::Status HttpExchange::SetTls(const TlsOptions& tls) {
  bool ok = true;
  if (!tls.roots_pem.empty()) {
    curl_blob roots = Blob(tls.roots_pem);
    ok = curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &roots) == CURLE_OK;
  }
  if (!tls.cert_pem.empty()) {
    curl_blob cert = Blob(tls.cert_pem), key = Blob(tls.key_pem.empty() ? tls.cert_pem : tls.key_pem);
    ok = ok && curl_easy_setopt(easy_, CURLOPT_SSLCERT_BLOB, &cert) == CURLE_OK &&
         curl_easy_setopt(easy_, CURLOPT_SSLKEY_BLOB, &key) == CURLE_OK;
  }
  if (tls.skip_verify) {
    ok = ok && curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK &&
         curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
  }
  return ok ? absl::OkStatus() : absl::InternalError("libcurl refuses the TLS settings");
}

absl::Status HttpExchange::Prepare() {
  easy_ = curl_easy_init();
  if (easy_ == nullptr) return absl::ResourceExhaustedError("curl_easy_init failed");
  for (const std::string& header : request_.headers) headers_ = curl_slist_append(headers_, header.c_str());
  if (!request_.body.empty()) headers_ = curl_slist_append(headers_, "Expect:");
  bool ok = true;
  auto set = [&](CURLoption option, auto value) { ok = ok && curl_easy_setopt(easy_, option, value) == CURLE_OK; };
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(CURLOPT_PIPEWAIT, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(request_.dial_timeout)));
  set(CURLOPT_USERAGENT, "wherry/" WHERRY_VERSION);
  set(CURLOPT_HTTPHEADER, headers_);
  set(CURLOPT_ERRORBUFFER, error_);
  set(CURLOPT_HEADERFUNCTION, &HttpExchange::OnHeader);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &HttpExchange::OnBody);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_PRIVATE, this);
  if (request_.method == "HEAD") set(CURLOPT_NOBODY, 1L);
  if (request_.method != "GET" && request_.method != "HEAD") {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.data());
    set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
  if (!ok) return absl::InternalError(absl::StrCat("libcurl refuses the request to ", ShownUrl(request_.url)));
  if (request_.tls) RETURN_IF_ERROR(SetTls(*request_.tls));
  window_start_ = std::chrono::steady_clock::now();
  return absl::OkStatus();
}

size_t HttpExchange::OnHeader(char* data, size_t size, size_t count, void* self) {
  return static_cast<HttpExchange*>(self)->TakeHeader({data, size * count});
}

size_t HttpExchange::OnBody(char* data, size_t size, size_t count, void* self) {
  return static_cast<HttpExchange*>(self)->TakeBody({data, size * count});
}

// A status line begins anew: an interim answer (100, or a proxy's to CONNECT) has headers of its own.
size_t HttpExchange::TakeHeader(absl::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) return 0;
  window_bytes_ += line.size();
  const absl::string_view text = absl::StripAsciiWhitespace(line);
  if (absl::StartsWith(line, "HTTP/")) {
    arriving_ = HttpResponse();
    return line.size();
  }
  if (!text.empty()) {
    const size_t colon = text.find(':');
    if (colon != absl::string_view::npos)
      arriving_.headers.emplace(absl::AsciiStrToLower(text.substr(0, colon)),
                                std::string(absl::StripAsciiWhitespace(text.substr(colon + 1))));
    return line.size();
  }
  long connect = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &arriving_.status);
  curl_easy_getinfo(easy_, CURLINFO_HTTP_CONNECTCODE, &connect);
  if (arriving_.status < 200) return line.size();  // interim, or the proxy's
  std::lock_guard<std::mutex> lock(mutex_);
  response_ = arriving_;
  have_headers_ = true;
  changed_.notify_all();
  return line.size();
}

size_t HttpExchange::TakeBody(absl::string_view data) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (buffer_.size() >= request_.max_buffered) {
    wants_resume_ = paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  window_bytes_ += data.size();
  buffer_.append(data.data(), data.size());
  changed_.notify_all();
  return data.size();
}

void HttpExchange::Resume() {
  paused_ = false;
  window_start_ = std::chrono::steady_clock::now();
  window_bytes_ = 0;
  curl_easy_pause(easy_, CURLPAUSE_CONT);
}

absl::Status HttpExchange::CheckRate(std::chrono::steady_clock::time_point now, const HttpTransport::Limits& limits) {
  if (paused_ || now < window_start_) return absl::OkStatus();
  const absl::Duration passed = absl::FromChrono(now - window_start_);
  if (passed < limits.patience) return absl::OkStatus();
  const double seconds = absl::ToDoubleSeconds(passed);
  if (static_cast<double>(window_bytes_) < static_cast<double>(limits.min_rate) * seconds)
    return absl::UnavailableError(absl::StrCat(ShownUrl(request_.url), ": only ", window_bytes_, " bytes in ",
                                               static_cast<int64_t>(seconds), " s"));
  window_start_ = now;
  window_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status HttpExchange::Failure(int curl_code) const {
  const auto code = static_cast<CURLcode>(curl_code);
  const std::string text =
      absl::StrCat(ShownUrl(request_.url), ": ", error_[0] != '\0' ? error_ : curl_easy_strerror(code));
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
      return absl::FailedPreconditionError(text);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return absl::InvalidArgumentError(text);
    case CURLE_WRITE_ERROR:
      return absl::InvalidArgumentError(absl::StrCat(ShownUrl(request_.url), ": more than 64 KiB of headers"));
    default:
      return absl::UnavailableError(text);
  }
}

void HttpExchange::Finish(int curl_code) {
  if (curl_code != CURLE_OK) return Fail(Failure(curl_code));
  std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void HttpExchange::Fail(const absl::Status& status) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (ended_) return;
  ended_ = true;
  status_ = status;
  changed_.notify_all();
}

absl::StatusOr<HttpResponse> HttpExchange::WaitHeaders() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return have_headers_ || ended_; });
  if (have_headers_) return response_;
  RETURN_IF_ERROR(status_);
  return absl::UnavailableError(absl::StrCat(ShownUrl(request_.url), ": no answer"));
}

absl::StatusOr<std::string> HttpExchange::WaitBody(bool* resume) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return !buffer_.empty() || ended_; });
  if (buffer_.empty() && !status_.ok()) return status_;
  *resume = wants_resume_;
  wants_resume_ = false;
  std::string out;
  out.swap(buffer_);
  return out;
}

}  // namespace wherry::image

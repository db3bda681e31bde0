#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "cri/image/http_transport.h"

using CURL = void;
struct curl_slist;

namespace wherry::image {

// One request as its taker and the transport's thread see it. The thread alone touches the curl handle.
class HttpExchange {
 public:
  explicit HttpExchange(HttpRequest request) : request_(std::move(request)) {}
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // The taker's side.
  absl::StatusOr<HttpResponse> WaitHeaders();
  // Sets `resume` when the transfer had been paused and wants to be told to go on.
  absl::StatusOr<std::string> WaitBody(bool* resume);

  // The transport's side.
  absl::Status Prepare();
  CURL* easy() const { return easy_; }
  void Finish(int curl_code);
  void Fail(const absl::Status& status);
  void Resume();
  // Unavailable when the transfer is too slow; to be asked now and then.
  absl::Status CheckRate(std::chrono::steady_clock::time_point now, const HttpTransport::Limits& limits);

 private:
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  size_t TakeHeader(absl::string_view line);
  size_t TakeBody(absl::string_view data);
  absl::Status SetTls(const TlsOptions& tls);
  absl::Status Failure(int curl_code) const;

  const HttpRequest request_;
  CURL* easy_ = nullptr;
  curl_slist* headers_ = nullptr;
  char error_[256] = {};
  size_t header_bytes_ = 0;
  HttpResponse arriving_;
  bool paused_ = false;
  uint64_t window_bytes_ = 0;
  std::chrono::steady_clock::time_point window_start_ = std::chrono::steady_clock::time_point::max();

  std::mutex mutex_;
  std::condition_variable changed_;
  bool have_headers_ = false;
  bool ended_ = false;
  bool wants_resume_ = false;
  absl::Status status_;
  HttpResponse response_;
  std::string buffer_;
};

}  // namespace wherry::image

#include "cri/image/http_transport.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cri/image/http_transfer.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr int kTickMs = 250;  // how often rates are looked at

using Exchange = std::shared_ptr<HttpExchange>;

class Transport final : public HttpTransport {
 public:
  Transport(CURLM* multi, const Limits& limits) : multi_(multi), limits_(limits), thread_([this] { Loop(); }) {}
  ~Transport() override {
    Post(Command::kStop, nullptr);
    thread_.join();
    for (const Exchange& exchange : running_) curl_multi_remove_handle(multi_, exchange->easy());
    running_.clear();
    curl_multi_cleanup(multi_);
  }

  std::unique_ptr<HttpTransfer> Send(HttpRequest request) override;

 private:
  enum class Command { kStart, kResume, kAbandon, kStop };

  class Handle final : public HttpTransfer {
   public:
    Handle(Transport& transport, Exchange exchange) : transport_(transport), exchange_(std::move(exchange)) {}
    ~Handle() override { transport_.Post(Command::kAbandon, exchange_); }
    absl::StatusOr<HttpResponse> Response() override { return exchange_->WaitHeaders(); }
    absl::StatusOr<std::string> Next() override {
      bool resume = false;
      absl::StatusOr<std::string> body = exchange_->WaitBody(&resume);
      if (resume) transport_.Post(Command::kResume, exchange_);
      return body;
    }

   private:
    Transport& transport_;
    const Exchange exchange_;
  };

  void Post(Command command, Exchange exchange) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      commands_.emplace_back(command, std::move(exchange));
    }
    curl_multi_wakeup(multi_);
  }

  void Loop() {
    while (TakeCommands()) {
      int active = 0;
      curl_multi_perform(multi_, &active);
      TakeEnds();
      CheckRates();
      curl_multi_poll(multi_, nullptr, 0, kTickMs, nullptr);
    }
  }

  // False when it is time to end.
  bool TakeCommands() {
    std::deque<std::pair<Command, Exchange>> commands;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      commands.swap(commands_);
    }
    for (const auto& [command, exchange] : commands) {
      if (command == Command::kStop) return false;
      if (command == Command::kStart) Begin(exchange);
      if (command == Command::kResume && running_.count(exchange) != 0) exchange->Resume();
      if (command == Command::kAbandon) Drop(exchange);
    }
    return true;
  }

  void Begin(const Exchange& exchange) {
    if (absl::Status prepared = exchange->Prepare(); !prepared.ok()) return exchange->Fail(prepared);
    if (curl_multi_add_handle(multi_, exchange->easy()) != CURLM_OK)
      return exchange->Fail(absl::InternalError("curl_multi_add_handle failed"));
    running_.insert(exchange);
  }

  void Drop(const Exchange& exchange) {
    if (running_.erase(exchange) != 0) curl_multi_remove_handle(multi_, exchange->easy());
  }

  void TakeEnds() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      CURL* const easy = message->easy_handle;
      const auto found = std::find_if(running_.begin(), running_.end(),
                                      [easy](const Exchange& exchange) { return exchange->easy() == easy; });
      if (found == running_.end()) continue;
      curl_multi_remove_handle(multi_, easy);
      running_.extract(found).value()->Finish(code);
    }
  }

  void CheckRates() {
    const auto now = std::chrono::steady_clock::now();
    if (now - checked_ < std::chrono::milliseconds(kTickMs)) return;
    checked_ = now;
    std::vector<Exchange> slow;
    for (const Exchange& exchange : running_) {
      if (absl::Status rate = exchange->CheckRate(now, limits_); !rate.ok()) {
        exchange->Fail(rate);
        slow.push_back(exchange);
      }
    }
    for (const Exchange& exchange : slow) Drop(exchange);
  }

  CURLM* const multi_;
  const Limits limits_;
  std::mutex mutex_;
  std::deque<std::pair<Command, Exchange>> commands_;
  std::set<Exchange> running_;  // of the thread
  std::chrono::steady_clock::time_point checked_;
  std::thread thread_;
};

std::unique_ptr<HttpTransfer> Transport::Send(HttpRequest request) {
  auto exchange = std::make_shared<HttpExchange>(std::move(request));
  Post(Command::kStart, exchange);
  return std::make_unique<Handle>(*this, exchange);
}

}  // namespace

std::string HttpResponse::Header(const std::string& name) const {
  auto it = headers.find(name);
  return it == headers.end() ? "" : it->second;
}

absl::StatusOr<std::unique_ptr<HttpTransport>> HttpTransport::Start(const Limits& limits) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return absl::InternalError("curl_global_init failed");
  CURLM* multi = curl_multi_init();
  if (multi == nullptr) return absl::ResourceExhaustedError("curl_multi_init failed");
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
  return std::unique_ptr<HttpTransport>(std::make_unique<Transport>(multi, limits));
}

absl::StatusOr<std::string> ReadBody(HttpTransfer& transfer, size_t max) {
  std::string body;
  while (true) {
    ASSIGN_OR_RETURN(std::string chunk, transfer.Next());
    if (chunk.empty()) return body;
    body += chunk;
    if (body.size() > max) return absl::InvalidArgumentError(absl::StrCat("the answer has more than ", max, " bytes"));
  }
}

std::string ShownUrl(absl::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const size_t scheme = url.find("://");
  if (scheme == absl::string_view::npos) return std::string(url);
  const size_t host = scheme + 3, slash = url.find('/', host);
  const size_t at = url.substr(0, slash).rfind('@');
  return absl::StrCat(url.substr(0, host), url.substr(at == absl::string_view::npos ? host : at + 1));
}

}  // namespace wherry::image

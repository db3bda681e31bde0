#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

// An HTTP/1.1 server on loopback whose every answer a test decides, so that it can also misbehave as no real registry would.
namespace wherry::image::test {

struct Request {
  std::string method, path, query;             // "/v2/a/manifests/b", "ns=…"
  std::map<std::string, std::string> headers;  // lower case
  std::string host() const { return headers.count("host") ? headers.at("host") : ""; }
  std::string Header(const std::string& name) const { return headers.count(name) ? headers.at(name) : ""; }
};

struct Response {
  int status = 200;
  std::vector<std::string> headers;
  std::string body;
  size_t cut_after = SIZE_MAX;          // closes the connection after so many bytes of the body
  size_t length = SIZE_MAX;             // Content-Length, when it is to lie
  std::function<void()> before_body{};  // may wait, as may the others
  std::function<void()> after_body{};   // when all of it has been handed to the kernel
  std::function<void()> before_cut{};
};

class HttpServer {
 public:
  using Handler = std::function<Response(const Request&)>;
  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::vector<Request> Requests() const;

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace wherry::image::test

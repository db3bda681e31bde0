#include "test/integration/image/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace wherry::image::test {
namespace {

bool SendAll(int fd, const std::string& data) {
  for (size_t sent = 0; sent < data.size();) {
    const ssize_t n = ::send(fd, data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

Request Parse(const std::string& head) {
  Request request;
  size_t line = head.find("\r\n");
  const std::string first = head.substr(0, line);
  const size_t a = first.find(' '), b = first.rfind(' ');
  request.method = first.substr(0, a);
  const std::string target = first.substr(a + 1, b - a - 1);
  request.path = target.substr(0, target.find('?'));
  if (target.find('?') != std::string::npos) request.query = target.substr(target.find('?') + 1);
  while (line != std::string::npos && line + 2 < head.size()) {
    const size_t end = head.find("\r\n", line + 2);
    const std::string text = head.substr(line + 2, end - line - 2);
    if (const size_t colon = text.find(": "); colon != std::string::npos)
      request.headers[Lower(text.substr(0, colon))] = text.substr(colon + 2);
    line = end;
  }
  return request;
}

}  // namespace

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    std::abort();
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (int fd : connections_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  for (int fd : connections_) ::close(fd);
}

std::vector<Request> HttpServer::Requests() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return requests_;
}

void HttpServer::Accept() {
  while (true) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    std::lock_guard<std::mutex> lock(mutex_);
    connections_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpServer::Serve(int fd) {
  std::string buffer;
  while (true) {
    size_t end = buffer.find("\r\n\r\n");
    while (end == std::string::npos) {
      char chunk[4096];
      const ssize_t n = ::recv(fd, chunk, sizeof(chunk), 0);
      if (n <= 0) return;
      buffer.append(chunk, static_cast<size_t>(n));
      end = buffer.find("\r\n\r\n");
    }
    const Request request = Parse(buffer.substr(0, end + 2));
    buffer.erase(0, end + 4);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      requests_.push_back(request);
    }
    const Response response = handler_(request);
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " X\r\n";
    for (const std::string& header : response.headers) head += header + "\r\n";
    const size_t length = response.length != SIZE_MAX ? response.length : response.body.size();
    head += "Content-Length: " + std::to_string(length) + "\r\n\r\n";
    if (!SendAll(fd, head)) return;
    if (response.before_body) response.before_body();
    if (!SendAll(fd, response.body.substr(0, response.cut_after))) return;
    if (response.after_body) response.after_body();
    if (response.cut_after < response.body.size() && response.before_cut) response.before_cut();
    if (response.cut_after < response.body.size() || length != response.body.size()) {
      ::shutdown(fd, SHUT_RDWR);
      return;
    }
  }
}

}  // namespace wherry::image::test

#include "test/integration/image/docker_registry.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "runtime/sys/unique_fd.h"

namespace wherry::image::test {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int FreePort() {
  const sys::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

// All that comes until the peer closes.
std::string Converse(int port, const std::string& request) {
  const sys::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  std::string out;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return out;
  std::string chunk(1 << 16, '\0');
  for (ssize_t n = 0; (n = ::recv(fd.get(), chunk.data(), chunk.size(), 0)) > 0;)
    out.append(chunk, 0, static_cast<size_t>(n));
  return out;
}

}  // namespace

DockerRegistry::DockerRegistry(const std::string& dir, const Options& options)
    : options_(options), host_("127.0.0.1:" + std::to_string(FreePort())) {
  if (!options_.authority.empty()) {
    tls_ = std::make_shared<TlsOptions>();
    tls_->roots_pem = options_.authority;
    tls_->cert_pem = options_.cert;
    tls_->key_pem = options_.key;
  }
  Start(dir);
}

DockerRegistry::~DockerRegistry() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void DockerRegistry::Start(const std::string& dir) {
  const std::string config = dir + "/registry.yml";
  std::ofstream(config) << "version: 0.1\nlog: "
                        << (options_.log.empty() ? "{accesslog: {disabled: true}, level: error}" : "{level: info}")
                        << "\nstorage: {filesystem: "
                        << "{rootdirectory: " << dir << "/blobs}}\nhttp: {addr: \"" << host_ << "\"" << options_.http
                        << "}\n"
                        << options_.more;
  std::string program = "docker-registry", verb = "serve", path = config;
  char* argv[] = {program.data(), verb.data(), path.data(), nullptr};
  char* envp[] = {nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
    if (!options_.log.empty())
      posix_spawn_file_actions_addopen(&actions, stream, options_.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int error = ::posix_spawnp(&pid_, program.c_str(), &actions, nullptr, argv, envp);
  posix_spawn_file_actions_destroy(&actions);
  ASSERT_EQ(error, 0) << "Debian's package docker-registry is missing: run hack/deps.sh";
  auto transport = HttpTransport::Start({});
  ASSERT_TRUE(transport.ok());
  transport_ = std::move(*transport);
  // It needs a moment to listen; no event says when it does.
  while (Do("GET", "/v2/", "", "text/plain").status == 0) {
    ASSERT_EQ(::waitpid(pid_, nullptr, WNOHANG), 0) << "docker-registry has ended";
    std::this_thread::yield();
  }
}

HttpResponse DockerRegistry::Do(const std::string& method, const std::string& url, const std::string& body,
                                const std::string& type) {
  HttpRequest request;
  request.method = method;
  request.url = url.front() == '/' ? (tls_ ? "https://" : "http://") + host_ + url : url;
  request.body = body;
  request.tls = tls_;
  request.headers = {"Content-Type: " + type};
  if (!options_.authorization.empty()) request.headers.push_back("Authorization: " + options_.authorization);
  auto response = transport_->Send(std::move(request))->Response();
  return response.ok() ? *response : HttpResponse();
}

void DockerRegistry::Push(const RegistryImage& image, const std::string& name, const std::string& tag) {
  const std::string bytes = "application/octet-stream", base = "/v2/" + name;
  for (const auto& [digest, blob] : image.blobs) {
    const HttpResponse upload = Do("POST", base + "/blobs/uploads/", "", bytes);
    ASSERT_EQ(upload.status, 202);
    ASSERT_EQ(Do("PUT", upload.Header("location") + "&digest=" + digest, blob, bytes).status, 201);
  }
  ASSERT_EQ(Do("PUT", base + "/manifests/" + tag, image.manifest, "application/vnd.oci.image.manifest.v1+json").status,
            201);
}

// HTTP/1.0, in which an answer ends with its connection.
Response DockerRegistry::Answer(const Request& request) const {
  std::string head = request.method + " " + request.path + (request.query.empty() ? "" : "?" + request.query) +
                     " HTTP/1.0\r\nHost: " + host_ + "\r\n";
  for (const char* name : {"accept", "range", "authorization"})
    if (const std::string value = request.Header(name); !value.empty())
      head.append(name).append(": ").append(value).append("\r\n");
  const std::string answer = Converse(std::stoi(host_.substr(host_.find(':') + 1)), head + "\r\n");
  const size_t end = answer.find("\r\n\r\n");
  if (end == std::string::npos) return {502, {}, ""};
  Response out;
  out.status = std::stoi(answer.substr(answer.find(' ') + 1));
  for (size_t line = answer.find("\r\n") + 2; line < end;) {
    const size_t next = answer.find("\r\n", line);
    const std::string header = answer.substr(line, next - line);
    if (header.rfind("Content-Length", 0) != 0 && header.rfind("Connection", 0) != 0) out.headers.push_back(header);
    line = next + 2;
  }
  out.body = answer.substr(end + 4);
  return out;
}

}  // namespace wherry::image::test

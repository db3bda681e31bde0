// Pulls from Debian's docker-registry on loopback: what the standard's own implementation says and wants, with TLS, HTTP/2 and Basic.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "runtime/sys/unique_fd.h"
#include "test/integration/image/docker_registry.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::DockerRegistry;
using test::RegistryImage;
using test::TarWriter;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string Pem(const std::function<int(BIO*)>& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<size_t>(size));
  BIO_free(bio);
  return out;
}

// A certificate for 127.0.0.1 that signs itself, and its key.
std::pair<std::string, std::string> MakeCertificate() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* cert = X509_new();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, key);
  X509_NAME* name = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(cert, name);
  X509_EXTENSION* alt = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(cert, alt, -1);
  X509_EXTENSION_free(alt);
  X509_sign(cert, key, EVP_sha256());
  std::pair<std::string, std::string> out = {
      Pem([&](BIO* b) { return PEM_write_bio_X509(b, cert); }),
      Pem([&](BIO* b) { return PEM_write_bio_PrivateKey(b, key, nullptr, nullptr, 0, nullptr, nullptr); })};
  X509_free(cert);
  EVP_PKEY_free(key);
  return out;
}

class RegistryTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    image_ = test::MakeImage({TarWriter().File("a", "one").Bytes(), TarWriter().File("b", "two").Bytes()});
    UseHosts();
  }

  void ExpectPulled(const std::string& host, const PullAuth& auth) {
    auto image = store_->Pull(host + "/team/app:v1", auth, nullptr);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ((*image)->id, image_.config_digest);
    EXPECT_THAT((*image)->repo_tags, ElementsAre(host + "/team/app:v1"));
    EXPECT_THAT((*image)->repo_digests, ElementsAre(host + "/team/app@" + image_.manifest_digest));
    auto dirs = store_->Hold((*image)->id, "test");
    ASSERT_TRUE(dirs.ok());
    ASSERT_THAT(*dirs, SizeIs(2));
    EXPECT_EQ(Read((*dirs)[0] + "/b"), "two");
  }

  // What the registry logged of requests from `offset` of its log on: their lines, and the client's ports.
  struct Served {
    std::vector<std::string> requests{};  // "GET /v2/… HTTP/1.1"
    std::set<std::string> ports{};
  };
  static Served ReadLog(const std::string& path, size_t offset) {
    Served out;
    std::ifstream in(path);
    in.seekg(static_cast<std::streamoff>(offset));
    const std::string remote = "http.request.remoteaddr=\"127.0.0.1:";
    for (std::string line; std::getline(in, line);) {
      if (const size_t at = line.find(remote); at != std::string::npos)
        out.ports.insert(line.substr(at + remote.size(), line.find('"', at + remote.size()) - at - remote.size()));
      if (const size_t at = line.find("\"GET /v2/"); at != std::string::npos)
        out.requests.push_back(line.substr(at + 1, line.find('"', at + 1) - at - 1));
    }
    return out;
  }
  void UseManyLayers() {
    std::vector<std::string> layers;
    layers.reserve(kLayers);
    for (int i = 0; i < kLayers; ++i)
      layers.push_back(TarWriter().File("f" + std::to_string(i), std::string(1000, 'x')).Bytes());
    image_ = test::MakeImage(layers);
  }

  static constexpr int kLayers = 12;
  RegistryImage image_;
};

TEST_F(RegistryTest, ConnectionsServeManyRequests) {
  UseManyLayers();
  const std::string log = root_ + "/registry.log";
  DockerRegistry registry(root_, {"", "", "", "", "", "", log});
  registry.Push(image_, "team/app", "v1");
  const size_t before = std::filesystem::file_size(log);
  ASSERT_TRUE(store_->Pull(registry.host() + "/team/app:v1", {}, nullptr).ok());
  const Served served = ReadLog(log, before);
  EXPECT_GE(served.requests.size(), static_cast<size_t>(kLayers + 2));  // manifest, configuration, layers
  EXPECT_LE(served.ports.size(), 4U) << "of as many layers as come at a time, and one";
  for (const std::string& request : served.requests) EXPECT_THAT(request, HasSubstr(" HTTP/1.1"));
}

TEST_F(RegistryTest, OneConnectionServesAllWithTls) {
  UseManyLayers();
  const auto [cert, key] = MakeCertificate();
  const std::string cert_file = Write("cert.pem", cert), log = root_ + "/registry.log";
  DockerRegistry registry(root_, {", tls: {certificate: " + cert_file + ", key: " + Write("key.pem", key) + "}", "",
                                  cert, "", "", "", log});
  registry.Push(image_, "team/app", "v1");
  const std::string dir = root_ + "/certs.d/" + registry.host();
  std::filesystem::create_directories(dir);
  std::ofstream(dir + "/hosts.toml") << "server = \"https://" << registry.host() << "\"\nca = \"" << cert_file
                                     << "\"\n";
  const size_t before = std::filesystem::file_size(log);
  auto image = store_->Pull(registry.host() + "/team/app:v1", {}, nullptr);
  ASSERT_TRUE(image.ok()) << image.status();
  const Served served = ReadLog(log, before);
  EXPECT_GE(served.requests.size(), static_cast<size_t>(kLayers + 2));
  EXPECT_EQ(served.ports.size(), 1U);
  for (const std::string& request : served.requests) EXPECT_THAT(request, HasSubstr(" HTTP/2.0"));
}

// Its queue is full, so the kernel lets nobody in: what a dead machine looks like.
TEST_F(RegistryTest, AMirrorThatTakesNoConnectionCostsItsDialTimeout) {
  const sys::UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), generic, size), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  ASSERT_EQ(::getsockname(listener.get(), generic, &size), 0);
  std::vector<sys::UniqueFd> queue;
  for (int i = 0; i < 4; ++i) {
    queue.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::connect(queue.back().get(), generic, size);
  }
  const std::string mirror = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  DockerRegistry registry(root_);
  registry.Push(image_, "team/app", "v1");
  const std::string dir = root_ + "/certs.d/" + registry.host();
  std::filesystem::create_directories(dir);
  const std::string host = "[host.\"http://" + mirror + "\"]\ndial_timeout = \"200ms\"\n";
  std::ofstream(dir + "/hosts.toml") << "server = \"http://127.0.0.1:1\"\n" << host;
  const auto only = store_->Pull(registry.host() + "/team/app:v1", {}, nullptr);
  EXPECT_THAT(std::string(only.status().message()), ContainsRegex("after [0-9]{3,4} ms: Timeout was reached"));
  std::ofstream(dir + "/hosts.toml") << "server = \"http://" << registry.host() << "\"\n" << host;
  ExpectPulled(registry.host(), {});
}

TEST_F(RegistryTest, PlainOnLoopback) {
  DockerRegistry registry(root_);
  registry.Push(image_, "team/app", "v1");
  ExpectPulled(registry.host(), {});
  auto missing = store_->Pull(registry.host() + "/team/app:nope", {}, nullptr);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("answers 404: MANIFEST_UNKNOWN: manifest unknown"));
}

TEST_F(RegistryTest, TlsOfItsOwnAuthorityAndBasic) {
  const auto [cert, key] = MakeCertificate();
  const std::string cert_file = Write("cert.pem", cert), key_file = Write("key.pem", key);
  // "user" and "s3cret", by bcrypt
  const std::string users = Write("users", "user:$2a$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n");
  DockerRegistry registry(
      root_, {", tls: {certificate: " + cert_file + ", key: " + key_file + "}",
              "auth: {htpasswd: {realm: test, path: " + users + "}}\n", cert, "Basic dXNlcjpzM2NyZXQ=", "", "", ""});
  registry.Push(image_, "team/app", "v1");
  const std::string host = registry.host();
  const PullAuth auth{"user", "s3cret", "", "", "", ""};
  // 127.0.0.1 is spoken to without TLS unless something says otherwise.
  EXPECT_FALSE(store_->Pull(host + "/team/app:v1", auth, nullptr).ok());
  const std::string dir = root_ + "/certs.d/" + host;
  std::filesystem::create_directories(dir);
  std::ofstream(dir + "/hosts.toml") << "server = \"https://" + host + "\"\n";
  auto untrusted = store_->Pull(host + "/team/app:v1", auth, nullptr);
  EXPECT_EQ(untrusted.status().code(), absl::StatusCode::kFailedPrecondition) << untrusted.status();
  EXPECT_THAT(std::string(untrusted.status().message()), HasSubstr("certificate"));
  std::ofstream(dir + "/hosts.toml") << "server = \"https://" + host + "\"\nca = \"" + cert_file + "\"\n";
  auto unknown = store_->Pull(host + "/team/app:v1", {"user", "wrong", "", "", "", ""}, nullptr);
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kUnauthenticated) << unknown.status();
  ExpectPulled(host, auth);
  EXPECT_TRUE(store_->Remove(image_.config_digest).ok());
  // Docker's layout without a hosts.toml.
  std::filesystem::remove(dir + "/hosts.toml");
  std::filesystem::copy(cert_file, dir + "/ca.crt");
  EXPECT_TRUE(store_->Pull(host + "/team/app:v1", auth, nullptr).ok());
}

TEST_F(RegistryTest, KnowsItsClientsByTheirCertificates) {
  const auto [cert, key] = MakeCertificate();
  const auto [client_cert, client_key] = MakeCertificate();
  const std::string cert_file = Write("cert.pem", cert), client_file = Write("client.pem", client_cert),
                    client_key_file = Write("client-key.pem", client_key);
  DockerRegistry registry(root_, {", tls: {certificate: " + cert_file + ", key: " + Write("key.pem", key) +
                                      ", clientcas: [" + client_file + "]}",
                                  "", cert, "", client_cert, client_key, ""});
  registry.Push(image_, "team/app", "v1");
  const std::string dir = root_ + "/certs.d/" + registry.host(), ca = "ca = \"" + cert_file + "\"\n";
  std::filesystem::create_directories(dir);
  std::ofstream(dir + "/hosts.toml") << "server = \"https://" << registry.host() << "\"\n" << ca;
  EXPECT_FALSE(store_->Pull(registry.host() + "/team/app:v1", {}, nullptr).ok());
  std::ofstream(dir + "/hosts.toml", std::ios::app)
      << "client = [[\"" << client_file << "\", \"" << client_key_file << "\"]]\n";
  ExpectPulled(registry.host(), {});
}

}  // namespace
}  // namespace wherry::image

// Pulls from Debian's docker-registry on loopback: what the standard's own implementation says and wants, with TLS, HTTP/2 and Basic.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <thread>

#include "cri/image/http_transport.h"
#include "runtime/sys/unique_fd.h"
#include "test/integration/image/fake_registry.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::RegistryImage;
using test::TarWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

int FreePort() {
  sys::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

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
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    StoreTest::TearDown();
  }

  // Starts a registry whose configuration has `more`, and a store that reads hosts.toml files from certs.d.
  void Start(const std::string& http, const std::string& more) {
    host_ = "127.0.0.1:" + std::to_string(FreePort());
    const std::string config =
        Write("registry.yml",
              "version: 0.1\nlog: {accesslog: {disabled: true}, level: error}\nstorage: {filesystem: "
              "{rootdirectory: " +
                  root_ + "/blobs}}\nhttp: {addr: \"" + host_ + "\"" + http + "}\n" + more);
    std::string program = "docker-registry", verb = "serve", path = config;
    char* argv[] = {program.data(), verb.data(), path.data(), nullptr};
    char* envp[] = {nullptr};
    ASSERT_EQ(::posix_spawnp(&pid_, "docker-registry", nullptr, nullptr, argv, envp), 0)
        << "Debian's package docker-registry is missing: run hack/deps.sh";
    store_.reset();
    auto store = ImageStore::Open({root_, WHERRY_PULL, root_ + "/certs.d"});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = std::move(*store);
    store_->HoldsRestored();
  }

  HttpResponse Do(const std::string& method, const std::string& url, const std::string& body, const std::string& type) {
    HttpRequest request;
    request.method = method;
    request.url = url;
    request.body = body;
    request.tls = tls_;
    request.headers = {"Content-Type: " + type};
    if (!authorization_.empty()) request.headers.push_back("Authorization: " + authorization_);
    auto transfer = transport_->Send(std::move(request));
    auto response = transfer->Response();
    return response.ok() ? *response : HttpResponse();
  }

  void Push(const std::string& scheme, const std::string& name) {
    auto transport = HttpTransport::Start({});
    ASSERT_TRUE(transport.ok());
    transport_ = std::move(*transport);
    const std::string base = scheme + "://" + host_ + "/v2/" + name;
    // The registry needs a moment to listen; no event says when it does.
    while (Do("GET", scheme + "://" + host_ + "/v2/", "", "text/plain").status == 0) {
      ASSERT_EQ(::waitpid(pid_, nullptr, WNOHANG), 0) << "docker-registry has ended";
      std::this_thread::yield();
    }
    for (const auto& [digest, blob] : image_.blobs) {
      const HttpResponse upload = Do("POST", base + "/blobs/uploads/", "", "application/octet-stream");
      ASSERT_EQ(upload.status, 202);
      ASSERT_EQ(Do("PUT", upload.Header("location") + "&digest=" + digest, blob, "application/octet-stream").status,
                201);
    }
    ASSERT_EQ(Do("PUT", base + "/manifests/v1", image_.manifest, "application/vnd.oci.image.manifest.v1+json").status,
              201);
    transport_.reset();
  }

  void ExpectPulled(const PullAuth& auth) {
    auto image = store_->Pull(host_ + "/team/app:v1", auth, nullptr);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ((*image)->id, image_.config_digest);
    EXPECT_THAT((*image)->repo_tags, ElementsAre(host_ + "/team/app:v1"));
    EXPECT_THAT((*image)->repo_digests, ElementsAre(host_ + "/team/app@" + image_.manifest_digest));
    auto dirs = store_->Hold((*image)->id, "test");
    ASSERT_TRUE(dirs.ok());
    ASSERT_THAT(*dirs, SizeIs(2));
    EXPECT_EQ(Read((*dirs)[0] + "/b"), "two");
  }

  RegistryImage image_;
  std::string host_, authorization_;
  std::shared_ptr<TlsOptions> tls_;
  std::unique_ptr<HttpTransport> transport_;
  pid_t pid_ = -1;
};

TEST_F(RegistryTest, PlainOnLoopback) {
  Start("", "");
  Push("http", "team/app");
  ExpectPulled({});
  auto missing = store_->Pull(host_ + "/team/app:nope", {}, nullptr);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("answers 404: MANIFEST_UNKNOWN: manifest unknown"));
}

TEST_F(RegistryTest, TlsOfItsOwnAuthorityAndBasic) {
  const auto [cert, key] = MakeCertificate();
  const std::string cert_file = Write("cert.pem", cert), key_file = Write("key.pem", key);
  // "user" and "s3cret", by bcrypt
  const std::string users = Write("users", "user:$2a$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n");
  Start(", tls: {certificate: " + cert_file + ", key: " + key_file + "}",
        "auth: {htpasswd: {realm: test, path: " + users + "}}\n");
  tls_ = std::make_shared<TlsOptions>();
  tls_->roots_pem = cert;
  authorization_ = "Basic dXNlcjpzM2NyZXQ=";
  Push("https", "team/app");
  const PullAuth auth{"user", "s3cret", "", "", "", ""};
  // 127.0.0.1 is spoken to without TLS unless something says otherwise.
  EXPECT_FALSE(store_->Pull(host_ + "/team/app:v1", auth, nullptr).ok());
  const std::string dir = root_ + "/certs.d/" + host_;
  std::filesystem::create_directories(dir);
  std::ofstream(dir + "/hosts.toml") << "server = \"https://" + host_ + "\"\n";
  auto untrusted = store_->Pull(host_ + "/team/app:v1", auth, nullptr);
  EXPECT_EQ(untrusted.status().code(), absl::StatusCode::kFailedPrecondition) << untrusted.status();
  EXPECT_THAT(std::string(untrusted.status().message()), HasSubstr("certificate"));
  std::ofstream(dir + "/hosts.toml") << "server = \"https://" + host_ + "\"\nca = \"" + cert_file + "\"\n";
  auto unknown = store_->Pull(host_ + "/team/app:v1", {"user", "wrong", "", "", "", ""}, nullptr);
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kUnauthenticated) << unknown.status();
  ExpectPulled(auth);
  EXPECT_TRUE(store_->Remove(image_.config_digest).ok());
  // Docker's layout without a hosts.toml.
  std::filesystem::remove(dir + "/hosts.toml");
  std::filesystem::copy(cert_file, dir + "/ca.crt");
  EXPECT_TRUE(store_->Pull(host_ + "/team/app:v1", auth, nullptr).ok());
}

}  // namespace
}  // namespace wherry::image

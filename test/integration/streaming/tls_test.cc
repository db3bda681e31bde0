// The same sessions over TLS, with a client that is OpenSSL's own; certificates that are replaced meanwhile.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "test/integration/streaming/support.h"

namespace wherry::streaming::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr Streams kAll{true, true, true, false};

class TlsTest : public ServerTest {
 protected:
  TlsTest() {
    std::filesystem::create_directories(dir_);
    MakePair("a");
    options.tls_cert_file = dir_ + "/cert.pem";
    options.tls_key_file = dir_ + "/key.pem";
    options.warn = [this](const std::string& text) {
      absl::MutexLock lock(&mutex_);
      warnings_.push_back(text);
    };
    Use("a.crt", "a.key");
  }
  ~TlsTest() override {
    server.reset();
    std::filesystem::remove_all(dir_);
    ::unsetenv("SSL_CERT_FILE");
  }

  std::vector<std::string> Warnings() {
    absl::MutexLock lock(&mutex_);
    return warnings_;
  }
  // A key NAME.key with a certificate of its own, NAME.crt, for loopback's addresses.
  void MakePair(const std::string& name) {
    const std::string base = dir_ + "/" + name;
    ASSERT_EQ(RunProgram({"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", base + ".key"}), 0);
    ASSERT_EQ(RunProgram({"openssl", "req", "-x509", "-new", "-key", base + ".key", "-subj", "/CN=" + name, "-addext",
                          "subjectAltName=IP:127.0.0.1,IP:::1", "-out", base + ".crt"}),
              0);
  }
  // Replaces the server's files, as a renewal does: written beside, then renamed.
  void Use(const std::string& cert, const std::string& key) {
    for (const auto& [from, to] : {std::pair(cert, options.tls_cert_file), std::pair(key, options.tls_key_file)}) {
      std::filesystem::copy_file(dir_ + "/" + from, to + ".new");
      std::filesystem::rename(to + ".new", to);
    }
  }
  static void Trust(const std::string& file) { ::setenv("SSL_CERT_FILE", file.c_str(), 1); }
  // Whether a client that trusts this certificate alone gets an answer.
  bool Works(const std::string& cert) {
    Trust(dir_ + "/" + cert);
    return Connection(Exec({"true"}, {false, true, false, false}), kSpdyV4).code() == 101;
  }
  std::string StartError() {
    auto started = Server::Start(options, backend);
    EXPECT_FALSE(started.ok());
    return std::string(started.status().message());
  }

  const std::string dir_ = testing::TempDir() + "/tls-" + std::to_string(::getpid());
  absl::Mutex mutex_;  // the server warns on a thread of its own
  std::vector<std::string> warnings_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(TlsTest, SpdyOverTlsCarriesEveryByteAndTheExitCode) {
  Trust(dir_ + "/a.crt");
  const std::string url = Exec({"sh", "-c", "cat; echo seen >&2; exit 7"}, kAll), sent(3'000'001, 'x');
  EXPECT_THAT(url, StartsWith("https://127.0.0.1:"));
  SpdyClient client(url);
  client.OpenRemote(kAll);
  client.Send(client.names["stdin"], sent);
  client.Finish(client.names["stdin"]);
  ASSERT_TRUE(client.UntilClosed());
  EXPECT_TRUE(client.text("stdout") == sent) << client.text("stdout").size();
  EXPECT_EQ(client.text("stderr"), "seen\n");
  EXPECT_THAT(client.text("error"), HasSubstr(R"("message":"7")"));
}

TEST_F(TlsTest, WebSocketOverTlsCarriesEveryByteAndTheExitCode) {
  Trust(dir_ + "/a.crt");
  options.address = "::1";
  const std::string url = Exec({"sh", "-c", "cat; echo seen >&2; exit 7"}, kAll);
  EXPECT_THAT(url, StartsWith("https://[::1]:"));
  WsClient client(url, "v5.channel.k8s.io");
  const std::string sent(200'000, 'y');
  client.Send('\0' + sent);
  client.Send("\xff" + std::string(1, '\0'));
  auto got = client.ReceiveAll();
  EXPECT_TRUE(got[1] == sent) << got[1].size();
  EXPECT_EQ(got[2], "seen\n");
  EXPECT_THAT(got[3], HasSubstr(R"("message":"7")"));
}

TEST_F(TlsTest, PlainHttpAndOtherCertificatesGetNothing) {
  MakePair("b");
  EXPECT_FALSE(Works("b.crt"));
  const std::string url = Exec({"true"}, kAll);
  EXPECT_EQ(Connection("http" + url.substr(5), kSpdyV4).code(), 0);
  EXPECT_TRUE(Works("a.crt"));
}

TEST_F(TlsTest, AReplacedPairIsUsedByNewConnectionsAndLeavesOldOnesAlone) {
  Trust(dir_ + "/a.crt");
  SpdyClient old(Exec({"cat"}, kAll));
  old.OpenRemote(kAll);
  old.Send(old.names["stdin"], "before ");
  ASSERT_TRUE(old.Until([&] { return old.text("stdout") == "before "; }));
  MakePair("b");
  Use("b.crt", "b.key");
  EXPECT_TRUE(Works("b.crt"));
  EXPECT_FALSE(Works("a.crt"));
  old.Send(old.names["stdin"], "and after");
  old.Finish(old.names["stdin"]);
  ASSERT_TRUE(old.UntilClosed());
  EXPECT_EQ(old.text("stdout"), "before and after");
  EXPECT_THAT(Warnings(), IsEmpty());
}

TEST_F(TlsTest, ABrokenNewPairKeepsTheOldOneAndIsToldOnce) {
  ASSERT_TRUE(Works("a.crt"));
  MakePair("b");
  Use("b.crt", "a.key");
  EXPECT_TRUE(Works("a.crt"));
  EXPECT_TRUE(Works("a.crt"));
  EXPECT_THAT(Warnings(), ElementsAre(HasSubstr("does not go with the key")));
  std::filesystem::remove(options.tls_cert_file);
  EXPECT_TRUE(Works("a.crt"));
  EXPECT_THAT(Warnings(), SizeIs(2));
  Use("b.crt", "b.key");
  EXPECT_TRUE(Works("b.crt"));
  EXPECT_THAT(Warnings(), SizeIs(2));
}

TEST_F(TlsTest, WhatIsNoPairIsRefusedAtTheStartWithTheReason) {
  MakePair("b");
  Use("a.crt", "b.key");
  EXPECT_THAT(StartError(), testing::AllOf(HasSubstr(options.tls_key_file), HasSubstr("does not go with")));
  std::ofstream(options.tls_key_file) << "rubbish";
  EXPECT_THAT(StartError(), HasSubstr("no usable key"));
  ASSERT_EQ(RunProgram({"openssl", "pkey", "-aes128", "-passout", "pass:secret", "-in", dir_ + "/a.key", "-out",
                        options.tls_key_file}),
            0);
  EXPECT_THAT(StartError(), HasSubstr("no usable key (without a passphrase)"));
  std::ofstream(options.tls_cert_file) << "rubbish";
  EXPECT_THAT(StartError(), HasSubstr("no usable certificate"));
  options.tls_cert_file = dir_ + "/missing.pem";
  EXPECT_THAT(StartError(), HasSubstr("missing.pem"));
  options.tls_key_file = "";
  EXPECT_THAT(StartError(), HasSubstr("go together"));
}

}  // namespace
}  // namespace wherry::streaming::test

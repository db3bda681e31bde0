// Pulls through wherry-pull from registries on loopback that misbehave, one way each: the right error or recovery every time, and
// nothing left behind.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "test/integration/image/fake_registry.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::HttpServer;
using test::RegistryImage;
using test::Request;
using test::Response;
using test::TarWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string Noise(size_t size) {
  std::string out(size, '\0');
  uint64_t x = 88172645463325252U;
  for (char& c : out) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    c = static_cast<char>(x);
  }
  return out;
}

class PullTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    image_ = test::MakeImage({TarWriter().File("a", "one").Bytes(), TarWriter().File("b", Noise(300'000)).Bytes()});
    UseHosts();
  }
  absl::StatusOr<std::shared_ptr<const Image>> Pull(const std::string& ref, const PullAuth& auth = {}) {
    return store_->Pull(ref, auth, nullptr);
  }
  void Refuse(const std::string& ref, absl::StatusCode code, const std::string& text, const PullAuth& auth = {}) {
    auto image = Pull(ref, auth);
    ASSERT_FALSE(image.ok()) << "expected: " << text;
    EXPECT_EQ(image.status().code(), code) << image.status();
    EXPECT_THAT(std::string(image.status().message()), HasSubstr(text));
    ExpectNothingLeft();
    Reopen();
  }
  void ExpectWhole(const absl::StatusOr<std::shared_ptr<const Image>>& image) {
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ((*image)->id, image_.config_digest);
    auto dirs = store_->Hold((*image)->id, "test");
    ASSERT_TRUE(dirs.ok());
    ASSERT_THAT(*dirs, SizeIs(2));
    EXPECT_EQ(Read((*dirs)[1] + "/a"), "one");
    EXPECT_EQ(Read((*dirs)[0] + "/b"), Noise(300'000));
  }
  bool IsBlob(const Request& request, size_t layer) {
    return request.path.find(image_.layer_digests[layer]) != std::string::npos;
  }

  RegistryImage image_;
};

TEST_F(PullTest, ByTagAndByDigest) {
  HttpServer server([&](const Request& r) { return Answer(image_, r); });
  auto image = Pull(server.host() + "/a/b:v1");
  ExpectWhole(image);
  ASSERT_TRUE(image.ok());
  EXPECT_THAT((*image)->repo_tags, ElementsAre(server.host() + "/a/b:v1"));
  EXPECT_THAT((*image)->repo_digests, ElementsAre(server.host() + "/a/b@" + image_.manifest_digest));
  auto again = Pull(server.host() + "/other@" + image_.manifest_digest);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->id, (*image)->id);
  EXPECT_THAT((*again)->repo_tags, SizeIs(1));
  EXPECT_THAT((*again)->repo_digests, SizeIs(2));
  EXPECT_TRUE(store_->Find(server.host() + "/other@" + image_.manifest_digest).ok());
}

TEST_F(PullTest, AnImageThatIsThereIsNotFetchedAgain) {
  HttpServer server([&](const Request& r) { return Answer(image_, r); });
  ASSERT_TRUE(Pull(server.host() + "/a:1").ok());
  const size_t before = server.Requests().size();
  ASSERT_TRUE(Pull(server.host() + "/a:1").ok());
  EXPECT_EQ(server.Requests().size(), before + 2);  // manifest and configuration
}

TEST_F(PullTest, ResumesWhereTheConnectionWasCut) {
  std::atomic<int> cuts{0};
  HttpServer server([&](const Request& r) {
    Response response = Answer(image_, r);
    if (IsBlob(r, 1) && cuts++ < 3) response.cut_after = 90'000;
    return response;
  });
  ExpectWhole(Pull(server.host() + "/a:1"));
  std::vector<std::string> ranges;
  for (const Request& r : server.Requests())
    if (IsBlob(r, 1)) ranges.push_back(r.Header("range"));
  ASSERT_THAT(ranges, SizeIs(4));
  EXPECT_EQ(ranges[0], "");
  EXPECT_THAT(ranges[1], StartsWith("bytes=90000-"));
  EXPECT_THAT(ranges[3], StartsWith("bytes=270000-"));
}

TEST_F(PullTest, ResumesWithoutRanges) {
  std::atomic<int> cuts{0};
  HttpServer server([&](const Request& r) {
    Request plain = r;
    plain.headers.erase("range");
    Response response = Answer(image_, plain);
    if (IsBlob(r, 1) && cuts++ < 1) response.cut_after = 90'000;
    return response;
  });
  ExpectWhole(Pull(server.host() + "/a:1"));
}

TEST_F(PullTest, RetriesWhatMayPass) {
  for (int status : {429, 500, 503}) {
    std::atomic<int> count{0};
    HttpServer server([&](const Request& r) -> Response {
      if (count++ % 2 == 0) return {status, {"Retry-After: 0"}, ""};
      return Answer(image_, r);
    });
    auto image = Pull(server.host() + "/a:1");
    EXPECT_TRUE(image.ok()) << status << ": " << image.status();
    EXPECT_TRUE(store_->Remove(image_.config_digest).ok());
  }
}

TEST_F(PullTest, ARegistryThatIsDownIsNamedSo) {
  int port = 0;
  {
    port = HttpServer([](const Request&) { return Response{}; }).port();
  }
  auto image = Pull("127.0.0.1:" + std::to_string(port) + "/a:1");
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.status().code(), absl::StatusCode::kUnknown);
  EXPECT_THAT(std::string(image.status().message()), StartsWith("RegistryUnavailable: pull of \"127.0.0.1:"));
}

TEST_F(PullTest, RefusesWithTheRegistrysReason) {
  const auto answer = [&](int status, const std::string& body) {
    return [=, this](const Request& r) -> Response {
      if (r.path.find("/manifests/") != std::string::npos) return {status, {}, body};
      return Answer(image_, r);
    };
  };
  {
    HttpServer server(answer(403, R"({"errors":[{"code":"DENIED","message":"pay first"}]})"));
    Refuse(server.host() + "/a:1", absl::StatusCode::kPermissionDenied, "answers 403: DENIED: pay first");
  }
  HttpServer server(answer(404, ""));
  Refuse(server.host() + "/a:1", absl::StatusCode::kNotFound, "/v2/a/manifests/1 answers 404");
}

TEST_F(PullTest, LiesAboutDigestsAndSizesAreFound) {
  std::string victim, with;
  HttpServer server([&](const Request& r) -> Response {
    if (r.path.find(victim) != std::string::npos) return {200, {}, with};
    return Answer(image_, r);
  });
  const std::string ref = server.host() + "/a:1";
  const std::string& blob = image_.blobs[image_.layer_digests[1]];
  victim = image_.layer_digests[1];
  with = blob;
  with.back() = static_cast<char>(with.back() + 1);  // the gzip trailer
  Refuse(ref, absl::StatusCode::kDataLoss, victim);
  with = blob + "x";
  Refuse(ref, absl::StatusCode::kDataLoss, "the manifest says");
  with = blob.substr(0, 1000);
  Refuse(ref, absl::StatusCode::kDataLoss, "has 1000 bytes, the manifest says");
  with = test::Gzip(TarWriter().File("b", "other").Bytes());
  with.resize(blob.size());  // zero padding after a member is allowed
  Refuse(ref, absl::StatusCode::kDataLoss, "have the digest");
  victim = image_.config_digest;
  with = image_.config;
  with[with.find("sh")] = 'x';
  Refuse(ref, absl::StatusCode::kDataLoss, "have the digest");
  victim = "/manifests/";
  with = image_.manifest;
  const std::string by_digest = server.host() + "/a@" + image_.manifest_digest;
  with += " ";
  Refuse(by_digest, absl::StatusCode::kDataLoss, "the manifest has the digest");
}

TEST_F(PullTest, CredentialsStayWithTheirHost) {
  const PullAuth auth{"user", "s3cret-word", "", "", "", ""};
  HttpServer storage([&](const Request& r) { return Answer(image_, r); });
  HttpServer server([&](const Request& r) -> Response {
    if (r.Header("authorization").empty()) return {401, {"WWW-Authenticate: Basic realm=\"x\""}, ""};
    if (r.path.find("/blobs/") != std::string::npos)
      return {307, {"Location: http://" + storage.host() + "/store/" + r.path.substr(r.path.rfind('/') + 1)}, ""};
    return Answer(image_, r);
  });
  ExpectWhole(Pull(server.host() + "/a:1", auth));
  ASSERT_THAT(storage.Requests(), Not(IsEmpty()));
  for (const Request& r : storage.Requests()) EXPECT_EQ(r.Header("authorization"), "");
  // "user:s3cret-word"
  EXPECT_EQ(server.Requests()[1].Header("authorization"), "Basic dXNlcjpzM2NyZXQtd29yZA==");
}

TEST_F(PullTest, SecretsAreNotInErrors) {
  const PullAuth auth{"user", "s3cret-word", "", "", "", ""};
  HttpServer server([&](const Request& r) -> Response {
    if (r.Header("authorization").empty()) return {401, {"WWW-Authenticate: Basic realm=\"x\""}, ""};
    return {403, {}, R"({"errors":[{"code":"DENIED","message":"not with s3cret-word"}]})"};
  });
  Refuse(server.host() + "/a:1", absl::StatusCode::kPermissionDenied, "DENIED: not with ***", auth);
}

TEST_F(PullTest, WrongOrMissingCredentials) {
  HttpServer server([&](const Request&) -> Response { return {401, {"WWW-Authenticate: Basic realm=\"x\""}, ""}; });
  Refuse(server.host() + "/a:1", absl::StatusCode::kUnauthenticated, "there are none for it");
  Refuse(server.host() + "/a:1", absl::StatusCode::kUnauthenticated, "the credentials are refused",
         {"user", "pass", "", "", "", ""});
  Refuse(server.host() + "/a:1", absl::StatusCode::kUnauthenticated, "there are none for it",
         {"user", "pass", "", "https://elsewhere.example", "", ""});
}

TEST_F(PullTest, EveryFormOfCredentialsGetsAToken) {
  std::string asked;
  std::mutex mutex;
  HttpServer tokens([&](const Request& r) -> Response {
    std::lock_guard<std::mutex> lock(mutex);
    asked = r.method + " " + r.query + " " + r.Header("authorization");
    return {200, {}, R"({"token":"tok"})"};
  });
  HttpServer server([&](const Request& r) -> Response {
    const std::string given = r.Header("authorization");
    if (given == "Bearer tok" || given == "Bearer ready") return Answer(image_, r);
    return {401,
            {"WWW-Authenticate: Bearer realm=\"http://" + tokens.host() +
             "/token\",service=\"svc\",scope=\"repository:a/b:pull\""},
            ""};
  });
  const std::string ref = server.host() + "/a/b:1";
  EXPECT_TRUE(Pull(ref).ok());
  EXPECT_EQ(asked, "GET scope=repository%3Aa%2Fb%3Apull&service=svc ");
  EXPECT_TRUE(Pull(ref, {"u", "p", "", "", "", ""}).ok());
  EXPECT_EQ(asked, "GET scope=repository%3Aa%2Fb%3Apull&service=svc&account=u Basic dTpw");
  EXPECT_TRUE(Pull(ref, {"", "", "dTpw", "http://" + server.host(), "", ""}).ok());
  EXPECT_EQ(asked, "GET scope=repository%3Aa%2Fb%3Apull&service=svc&account=u Basic dTpw");
  EXPECT_TRUE(Pull(ref, {"", "", "", "", "refresh", ""}).ok());
  EXPECT_EQ(asked, "POST  ");
  asked.clear();
  EXPECT_TRUE(Pull(ref, {"", "", "", "", "", "ready"}).ok());
  EXPECT_EQ(asked, "");
}

TEST_F(PullTest, MirrorsServeWithoutCredentialsAndWithoutRenaming) {
  HttpServer mirror([&](const Request& r) { return Answer(image_, r); });
  HttpServer broken([&](const Request&) -> Response { return {401, {"WWW-Authenticate: Basic realm=\"give\""}, ""}; });
  Hosts("registry.example", "server = \"http://127.0.0.1:1\"\n[host.\"http://" + broken.host() +
                                "\"]\n  capabilities = [\"pull\", \"resolve\"]\n[host.\"http://" + mirror.host() +
                                "/cache\"]\n  capabilities = [\"pull\", \"resolve\"]\n  [host.\"http://" +
                                mirror.host() + "/cache\".header]\n    x-key = \"k\"\n");
  auto image = Pull("registry.example/a:1", {"user", "pass", "", "", "", ""});
  ExpectWhole(image);
  ASSERT_TRUE(image.ok());
  EXPECT_THAT((*image)->repo_tags, ElementsAre("registry.example/a:1"));
  EXPECT_THAT(broken.Requests(), Not(IsEmpty()));
  for (const Request& r : broken.Requests()) EXPECT_EQ(r.Header("authorization"), "");
  for (const Request& r : mirror.Requests()) {
    EXPECT_EQ(r.query, "ns=registry.example");
    EXPECT_THAT(r.path, StartsWith("/cache/v2/a/"));
    EXPECT_EQ(r.Header("authorization"), "");
    EXPECT_EQ(r.Header("x-key"), "k");
  }
}

TEST_F(PullTest, ABrokenHostsFileIsRefused) {
  Hosts("registry.example", "server = \"https://x\"\n[host.\"http://127.0.0.1:1\"]\n  skip_verfy = true\n");
  Refuse("registry.example/a:1", absl::StatusCode::kInvalidArgument, "skip_verfy: unknown key");
}

TEST_F(PullTest, TwoPullsOfOneImageShareTheWork) {
  std::atomic<int> manifests{0};
  std::mutex mutex;
  std::condition_variable go;
  bool open = false;
  HttpServer server([&](const Request& r) {
    if (r.path.find("/manifests/") != std::string::npos) {
      ++manifests;
      std::unique_lock<std::mutex> lock(mutex);
      go.wait(lock, [&] { return open; });
    }
    return Answer(image_, r);
  });
  std::atomic<int> asking{0}, good{0};
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      auto image = store_->Pull(server.host() + "/a:1", {}, [&, first = true]() mutable {
        if (std::exchange(first, false) && ++asking == 3) {
          std::lock_guard<std::mutex> lock(mutex);
          open = true;
          go.notify_all();
        }
        return false;
      });
      if (image.ok()) ++good;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(good, 3);
  EXPECT_EQ(manifests, 1);
}

TEST_F(PullTest, CancelEndsTheWork) {
  std::atomic<bool> asked{false}, over{false};
  HttpServer server([&](const Request& r) {
    Response response = Answer(image_, r);
    if (IsBlob(r, 1))
      response.before_body = [&] {
        asked = true;
        while (!over) std::this_thread::yield();
      };
    return response;
  });
  auto image = store_->Pull(server.host() + "/a:1", {}, [&] { return asked.load(); });
  EXPECT_EQ(image.status().code(), absl::StatusCode::kCancelled) << image.status();
  EXPECT_THAT(Pulls(), IsEmpty());
  over = true;
  EXPECT_THAT(LeftInStaging(), IsEmpty());
}

TEST_F(PullTest, GzipBombsAreDefused) {
  image_ = test::MakeImage({std::string(80 << 20, '\0')});
  EXPECT_LT(image_.blobs[image_.layer_digests[0]].size(), 100'000U);
  HttpServer server([&](const Request& r) { return Answer(image_, r); });
  Refuse(server.host() + "/a:1", absl::StatusCode::kInvalidArgument, "more than padding");
}

}  // namespace
}  // namespace wherry::image

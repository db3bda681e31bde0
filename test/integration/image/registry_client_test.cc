// The client by itself, with limits short enough to wait for.
#include "cri/image/registry_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "test/integration/image/fake_registry.h"

namespace wherry::image {
namespace {

using test::HttpServer;
using test::Request;
using test::Response;
using ::testing::HasSubstr;

class RegistryClientTest : public ::testing::Test {
 protected:
  void Use(const std::vector<std::string>& hosts, const HttpTransport::Limits& limits,
           const RegistryClient::Options& options = {}) {
    auto transport = HttpTransport::Start(limits);
    ASSERT_TRUE(transport.ok());
    client_.reset();
    transport_ = std::move(*transport);
    std::vector<RegistryHost> list;
    for (const std::string& host : hosts) {
      RegistryHost h;
      h.scheme = "http";
      h.host = host;
      h.path = "/v2";
      list.push_back(h);
    }
    client_ = std::make_unique<RegistryClient>(*transport_, list, Reference{"registry.example", "a", "1", ""},
                                               Credentials{}, options);
  }
  absl::StatusOr<std::string> Blob(const std::string& name, size_t size) {
    std::string out;
    absl::Status status = client_->Blob(name, size, [&](absl::string_view data) {
      out.append(data.data(), data.size());
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return out;
  }
  static Response Range(const std::string& blob, const Request& r) {
    test::RegistryImage image;
    image.blobs["blob"] = blob;
    return Answer(image, r);
  }

  std::unique_ptr<HttpTransport> transport_;
  std::unique_ptr<RegistryClient> client_;
};

// The first range's bytes come only after those of the others have all been taken off the server's hands.
TEST_F(RegistryClientTest, RangesOfOneBlobComeAtTheSameTime) {
  const RegistryClient::Options options;
  std::string blob(3 * options.range, 'x');
  for (size_t i = 0; i < blob.size(); i += 4096) blob[i] = static_cast<char>(i >> 12);
  std::atomic<int> sent{0};
  HttpServer server([&](const Request& r) {
    Response response = Range(blob, r);
    if (r.Header("range").rfind("bytes=0-", 0) == 0)
      response.before_body = [&] {
        while (sent < 2) std::this_thread::yield();
      };
    else
      response.after_body = [&] { ++sent; };
    return response;
  });
  Use({server.host()}, {});
  auto got = Blob("blob", blob.size());
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(*got == blob);
}

TEST_F(RegistryClientTest, ATrickleIsBrokenOffAndTakenUpElsewhere) {
  const std::string blob(100'000, 'b');
  std::atomic<bool> over{false};
  HttpServer slow([&](const Request& r) {
    Response response = Range(blob, r);
    response.length = response.body.size();
    response.cut_after = 10;
    response.before_cut = [&] {
      while (!over) std::this_thread::yield();
    };
    return response;
  });
  HttpServer good([&](const Request& r) { return Range(blob, r); });
  Use({slow.host()}, {absl::Milliseconds(200), 1024}, {1, 1024, absl::Milliseconds(1), absl::Milliseconds(1)});
  auto refused = Blob("blob", blob.size());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("bytes in 0 s"));
  Use({slow.host(), good.host()}, {absl::Milliseconds(200), 1024});
  auto got = Blob("blob", blob.size());
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(*got == blob);
  ASSERT_EQ(good.Requests().size(), 1U);
  EXPECT_EQ(good.Requests()[0].Header("range"), "bytes=10-99999");
  over = true;
}

// Each host has its own deadline, and one that let it pass is not waited for again by the next blob.
TEST_F(RegistryClientTest, AMirrorThatDoesNotAnswerCostsOneWait) {
  std::atomic<bool> over{false};
  std::atomic<int> asked{0};
  HttpServer dead([&](const Request&) {
    ++asked;
    while (!over) std::this_thread::yield();
    return Response{};
  });
  HttpServer good([&](const Request& r) { return Range("content", r); });
  Use({dead.host(), good.host()}, {absl::Milliseconds(200), 1024});
  for (int i = 0; i < 4; ++i) {
    auto got = Blob("blob", 7);
    ASSERT_TRUE(got.ok()) << got.status();
  }
  EXPECT_EQ(asked, 1);
  over = true;
}

}  // namespace
}  // namespace wherry::image

// A registry that does something wrong every now and then, by the throw of a seeded die. Whatever comes of a pull, it is an image that is
// whole or an error of the right kind, and nothing is left behind; and when the registry has calmed down, the pull succeeds.
#include <ctime>
#include <mutex>
#include <random>

#include "test/integration/image/fake_registry.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::HttpServer;
using test::RegistryImage;
using test::Request;
using test::Response;
using test::TarWriter;
using ::testing::IsEmpty;

constexpr int kSeeds = 12;
constexpr int kFaults = 5;  // of one pull; then all is well

class ChaosTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    std::vector<std::string> tars;
    for (int i = 0; i < 4; ++i) {
      std::string noise;
      std::mt19937 random(static_cast<unsigned>(i));
      for (int n = 0; n < 40'000; ++n) noise.push_back(static_cast<char>(random()));
      tars.push_back(TarWriter().Dir("d" + std::to_string(i)).File("d" + std::to_string(i) + "/f", noise).Bytes());
    }
    image_ = test::MakeImage(tars);
    bomb_ = test::Gzip(std::string(64 << 20, '\0'));
  }

  Response Answer(const Request& request) {
    Response right = test::Answer(image_, request);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (faults_ == 0 || right.status >= 400 || random_() % 3 != 0) return right;
    --faults_;
    return Spoil(request, std::move(right));
  }

  Response Spoil(const Request& request, Response r) {
    switch (random_() % 11) {
      case 0:
        r.cut_after = random_() % (r.body.size() + 1);
        return r;
      case 1:
        r.length = r.body.size() + 1 + random_() % 1000;
        r.cut_after = r.body.size();
        return r;
      case 2:
        r.length = random_() % (r.body.size() + 1);
        return r;
      case 3:
        r.body[random_() % r.body.size()] ^= 1;
        return r;
      case 4:
        return {307, {"Location: " + request.path + (request.query.empty() ? "" : "?" + request.query)}, ""};
      case 5:
        return {401, {"WWW-Authenticate: Basic realm=\"chaos\""}, R"({"errors":[{"code":"UNAUTHORIZED"}]})"};
      case 6:
        return {403, {}, R"({"errors":[{"code":"DENIED","message":"no"}]})"};
      case 7:
        return {429, {"Retry-After: 1"}, ""};
      case 8:
        return {429, {"Retry-After: " + InASecond()}, ""};
      case 9:
        return {500 + static_cast<int>(random_() % 5), {}, "<html>not JSON"};
      default:
        r.body = bomb_;
        return r;
    }
  }

  static std::string InASecond() {
    const std::time_t then = std::time(nullptr) + 1;
    std::tm parts{};
    char text[64];
    ::gmtime_r(&then, &parts);
    (void)std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text;
  }

  // Not Internal, not Unimplemented, not a success that is none; and Unknown only with the word that the kubelet looks for.
  static bool IsRightError(const absl::Status& status) {
    switch (status.code()) {
      case absl::StatusCode::kDataLoss:
      case absl::StatusCode::kUnauthenticated:
      case absl::StatusCode::kPermissionDenied:
      case absl::StatusCode::kInvalidArgument:
      case absl::StatusCode::kFailedPrecondition:
      case absl::StatusCode::kResourceExhausted:
      case absl::StatusCode::kNotFound:
        return true;
      default:
        return absl::IsUnknown(status) && status.message().substr(0, 19) == "RegistryUnavailable";
    }
  }

  RegistryImage image_;
  std::string bomb_;
  std::mutex mutex_;
  std::mt19937 random_;
  int faults_ = 0;
};

TEST_F(ChaosTest, EveryPullEndsWellOrWithTheRightErrorAndNothingIsLeft) {
  HttpServer server([this](const Request& r) { return Answer(r); });
  const std::string name = server.host() + "/chaos:1";
  int recovered = 0, failed = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      random_.seed(static_cast<unsigned>(seed));
      faults_ = kFaults;
    }
    auto pulled = store_->Pull(name, {}, [] { return false; });
    EXPECT_THAT(Pulls(), IsEmpty());
    if (!pulled.ok()) {
      ++failed;
      EXPECT_TRUE(IsRightError(pulled.status())) << pulled.status();
      EXPECT_THAT(store_->List(), IsEmpty());
      EXPECT_THAT(Layers(), IsEmpty());
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        faults_ = 0;
      }
      pulled = store_->Pull(name, {}, [] { return false; });
    } else {
      ++recovered;
    }
    ASSERT_TRUE(pulled.ok()) << pulled.status();
    auto layers = store_->Verify({});
    ASSERT_TRUE(layers.ok()) << layers.status();
    EXPECT_EQ(layers->size(), 4U);
    for (const LayerFindings& layer : *layers) EXPECT_EQ(layer.count, 0U) << layer.diff_id;
    ASSERT_TRUE(store_->Remove(name).ok());
    EXPECT_THAT(LeftInStaging(), IsEmpty());
    EXPECT_THAT(Layers(), IsEmpty());
    Reopen();
  }
  EXPECT_GT(recovered, 0) << "no pull lived through a fault";
  EXPECT_GT(failed, 0) << "no fault was fatal";
}

}  // namespace
}  // namespace wherry::image

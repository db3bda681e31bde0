// Debian's docker-registry behind a proxy that does something wrong every now and then, by the throw of a seeded die. Whatever comes of a
// pull, it is an image that is whole or an error that one of the proxy's deeds explains, and nothing is left behind; and when the
// proxy has calmed down, the pull succeeds.
#include <ctime>
#include <map>
#include <mutex>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "test/integration/image/docker_registry.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::DockerRegistry;
using test::HttpServer;
using test::Request;
using test::Response;
using test::TarWriter;

constexpr unsigned kSeeds = 16;
constexpr int kMostFaults = 6;  // of one pull; then all is well
constexpr size_t kLayers = 4;

std::string Noise(size_t size, unsigned seed) {
  std::string out(size, '\0');
  std::mt19937_64 random(seed);
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

// The first of the layers is one that is fetched in ranges.
test::RegistryImage LayeredImage() {
  std::vector<std::string> tars;
  for (size_t i = 0; i < kLayers; ++i) {
    const std::string dir = "d" + std::to_string(i);
    tars.push_back(
        TarWriter().Dir(dir).File(dir + "/f", Noise(i == 0 ? 20 << 20 : 40'000, static_cast<unsigned>(i))).Bytes());
  }
  return test::MakeImage(tars);
}

std::string InASecond() {
  const std::time_t then = std::time(nullptr) + 1;
  std::tm parts{};
  char text[64];
  ::gmtime_r(&then, &parts);
  (void)std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

// The registry as the proxy lets it appear. Each fault has the codes that a pull may end with for it; one that has none, but
// "RegistryUnavailable", is one that a pull should live through unless there is too much of it.
class Proxy {
 public:
  explicit Proxy(const std::string& dir) : registry_(dir), bomb_(test::Gzip(std::string(64 << 20, '\0'))) {}

  DockerRegistry& registry() { return registry_; }
  std::string host() const { return server_.host(); }
  void Begin(unsigned seed) {
    const std::lock_guard<std::mutex> lock(mutex_);
    random_.seed(seed);
    left_ = 1 + static_cast<int>(random_() % kMostFaults);
    made_.clear();
  }
  void CalmDown() {
    const std::lock_guard<std::mutex> lock(mutex_);
    left_ = 0;
  }
  std::vector<std::string> Made() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return made_;
  }
  static bool Explains(const std::string& fault, const absl::Status& status) {
    if (absl::IsUnknown(status)) return absl::StartsWith(status.message(), "RegistryUnavailable");
    return Faults().at(fault).count(status.code()) != 0;
  }

 private:
  using Codes = std::set<absl::StatusCode>;
  static const std::map<std::string, Codes>& Faults() {
    using Code = absl::StatusCode;
    const Codes damage = {Code::kDataLoss};
    static const std::map<std::string, Codes> faults = {
        {"cut", {}},
        {"too long a length", damage},
        {"too short a length", {Code::kDataLoss, Code::kInvalidArgument}},  // it ends in order, and lacks something
        {"flipped bit", {Code::kDataLoss, Code::kInvalidArgument, Code::kNotFound, Code::kUnimplemented}},
        {"another blob", {Code::kDataLoss, Code::kInvalidArgument}},
        {"wrong digest header", {}},
        {"wrong range", damage},
        {"redirect", {}},
        {"redirect elsewhere", {}},
        {"redirect in a circle", {Code::kFailedPrecondition}},
        {"basic", {Code::kUnauthenticated}},
        {"bearer", {Code::kUnauthenticated}},
        {"forbidden", {Code::kPermissionDenied}},
        {"gone", {Code::kNotFound}},
        {"slow down", {}},
        {"slow down until", {}},
        {"server error", {}},
        {"bomb", {Code::kDataLoss, Code::kInvalidArgument, Code::kResourceExhausted}},
    };
    return faults;
  }

  Response Answer(const Request& request) {
    Response right = registry_.Answer(request);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (request.path == "/circle") return {307, {"Location: /circle"}, ""};
    if (left_ == 0 || right.status >= 400 || random_() % 3 != 0) return right;
    --left_;
    auto fault = Faults().begin();
    std::advance(fault, random_() % Faults().size());
    made_.push_back(fault->first);
    return Spoil(fault->first, request, std::move(right));
  }

  Response Spoil(const std::string& fault, const Request& request, Response r) {
    const std::string target = request.path + (request.query.empty() ? "" : "?" + request.query);
    if (fault == "cut") r.cut_after = random_() % (r.body.size() + 1);
    if (fault == "too long a length") r.length = r.body.size() + 1 + random_() % 1000, r.cut_after = r.body.size();
    if (fault == "too short a length") r.length = random_() % (r.body.size() + 1);
    if (fault == "flipped bit") r.body[random_() % r.body.size()] ^= 1;
    if (fault == "another blob") r.body = std::string(r.body.size(), 'x');
    if (fault == "wrong digest header") Replace(r, "Docker-Content-Digest", "sha256:" + std::string(64, '0'));
    if (fault == "wrong range") Replace(r, "Content-Range", "bytes 1-2/3");
    if (fault == "bomb") r.body = bomb_;
    if (fault == "redirect") return {307, {"Location: " + target}, ""};
    if (fault == "redirect elsewhere") return {302, {"Location: http://" + elsewhere_.host() + target}, ""};
    if (fault == "redirect in a circle") return {307, {"Location: /circle"}, ""};
    if (fault == "basic") return {401, {"WWW-Authenticate: Basic realm=\"chaos\""}, "{}"};
    if (fault == "bearer")
      return {401, {"WWW-Authenticate: Bearer realm=\"http://" + elsewhere_.host() + "/token\""}, "{}"};
    if (fault == "forbidden") return {403, {}, R"({"errors":[{"code":"DENIED","message":"no"}]})"};
    if (fault == "gone") return {404, {}, R"({"errors":[{"code":"BLOB_UNKNOWN"}]})"};
    if (fault == "slow down") return {429, {"Retry-After: 1"}, ""};
    if (fault == "slow down until") return {429, {"Retry-After: " + InASecond()}, ""};
    if (fault == "server error") return {500 + static_cast<int>(random_() % 5), {}, "<html>not JSON"};
    return r;
  }

  static void Replace(Response& r, const std::string& name, const std::string& value) {
    for (std::string& header : r.headers)
      if (absl::StartsWithIgnoreCase(header, name)) header = absl::StrCat(name, ": ", value);
  }

  DockerRegistry registry_;
  const std::string bomb_;
  std::mutex mutex_;
  std::mt19937 random_;
  int left_ = 0;
  std::vector<std::string> made_;
  HttpServer elsewhere_{[this](const Request& r) { return registry_.Answer(r); }};
  HttpServer server_{[this](const Request& r) { return Answer(r); }};
};

class ChaosTest : public StoreTest {
 protected:
  absl::StatusOr<std::shared_ptr<const Image>> Pull(const std::string& name) {
    return store_->Pull(name, {}, [] { return false; });
  }
  void ExpectNothingOfAFailure(const absl::Status& status, const std::vector<std::string>& faults) {
    EXPECT_TRUE(std::any_of(faults.begin(), faults.end(), [&](const auto& f) { return Proxy::Explains(f, status); }))
        << status << "\nafter " << absl::StrJoin(faults, ", ");
    ExpectNothingLeft();
    Reopen();
  }
  void ExpectWholeAndRemove(const absl::StatusOr<std::shared_ptr<const Image>>& pulled) {
    ASSERT_TRUE(pulled.ok()) << pulled.status();
    auto layers = store_->Verify({});
    ASSERT_TRUE(layers.ok()) << layers.status();
    EXPECT_EQ(layers->size(), kLayers);
    for (const LayerFindings& layer : *layers) EXPECT_EQ(layer.count, 0U) << layer.diff_id;
    ASSERT_TRUE(store_->Remove((*pulled)->id).ok());
    ExpectNothingLeft();
    Reopen();
  }
};

TEST_F(ChaosTest, EveryPullEndsWellOrWithTheRightErrorAndNothingIsLeft) {
  Proxy proxy(root_);
  proxy.registry().Push(LayeredImage(), "chaos", "1");
  const std::string name = proxy.host() + "/chaos:1";
  int recovered = 0, failed = 0;
  std::set<std::string> seen;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    proxy.Begin(seed);
    auto pulled = Pull(name);
    const std::vector<std::string> faults = proxy.Made();
    seen.insert(faults.begin(), faults.end());
    ++(pulled.ok() ? recovered : failed);
    if (!pulled.ok()) {
      ExpectNothingOfAFailure(pulled.status(), faults);
      proxy.CalmDown();
      pulled = Pull(name);
    }
    ExpectWholeAndRemove(pulled);
  }
  EXPECT_GT(recovered, 0) << "no pull lived through a fault";
  EXPECT_GT(failed, 0) << "no fault was fatal";
  EXPECT_GT(seen.size(), 8U) << absl::StrJoin(seen, ", ");
}

// One that its digests vouch for: what it unpacks to is the only thing wrong with it.
TEST_F(ChaosTest, ABombThatIsWhatItsManifestSaysIsRefused) {
  Proxy proxy(root_);
  proxy.registry().Push(test::MakeImage({std::string(80 << 20, '\0')}), "bomb", "1");
  const auto pulled = Pull(proxy.host() + "/bomb:1");
  EXPECT_TRUE(absl::IsInvalidArgument(pulled.status())) << pulled.status();
  ExpectNothingLeft();
}

}  // namespace
}  // namespace wherry::image

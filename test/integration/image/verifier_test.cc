// Programs that may veto a pull: what they are told, and that no doubt lets an image through.
#include <signal.h>

#include <atomic>

#include "test/integration/image/fake_registry.h"
#include "test/integration/image/store_fixture.h"

namespace wherry::image {
namespace {

using test::HttpServer;
using test::RegistryImage;
using test::Request;
using test::TarWriter;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

class VerifierTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    bin_ = root_ + "/verifiers";
    std::filesystem::create_directory(bin_);
    image_ = test::MakeImage({TarWriter().File("a", "one").Bytes()});
    Use({bin_, 10, absl::Seconds(30)});
  }
  void Use(const Verifiers::Options& verifiers) {
    options_.verifiers = verifiers;
    Reopen();
  }
  void Verifier(const std::string& name, const std::string& script) {
    std::ofstream(bin_ + "/" + name) << "#!/bin/sh\n" << script;
    std::filesystem::permissions(bin_ + "/" + name, std::filesystem::perms(0755));
  }
  absl::Status Pull() { return store_->Pull(server_.host() + "/a:1", {}, nullptr).status(); }
  void ExpectVeto(const std::string& text) {
    const absl::Status status = Pull();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnknown) << status;
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(StartsWith("SignatureValidationFailed: pull of \"" + server_.host() + "/a:1\": "), HasSubstr(text)));
    EXPECT_THAT(store_->List(), IsEmpty());
    EXPECT_THAT(Layers(), IsEmpty());
    for (const Request& r : server_.Requests()) EXPECT_EQ(r.path.find(image_.layer_digests[0]), std::string::npos);
  }

  std::string bin_;
  RegistryImage image_;
  HttpServer server_{[this](const Request& r) { return Answer(image_, r); }};
};

TEST_F(VerifierTest, AreToldWhatIsPulledAndAllMustAllowIt) {
  Verifier("1", "echo \"$@\" > " + root_ + "/arguments; cat > " + root_ + "/descriptor; echo fine");
  Verifier("2", "touch " + root_ + "/second");
  ASSERT_TRUE(Pull().ok());
  EXPECT_EQ(Read(root_ + "/arguments"), "-name " + server_.host() + "/a:1 -digest " + image_.manifest_digest +
                                            " -stdin-media-type application/vnd.oci.descriptor.v1+json\n");
  EXPECT_EQ(Read(root_ + "/descriptor"), R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
                                             image_.manifest_digest + R"(","size":)" +
                                             std::to_string(image_.manifest.size()) + "}\n");
  EXPECT_TRUE(std::filesystem::exists(root_ + "/second"));
}

TEST_F(VerifierTest, AVetoHasItsReasonAndLeavesNothing) {
  Verifier("1", "exit 0");
  Verifier("2", "echo '  no signature of ours '; exit 3");
  Verifier("3", "touch " + root_ + "/third");
  ExpectVeto("refused by image verifier \"" + bin_ + "/2\" (exit status 3): no signature of ours");
  EXPECT_FALSE(std::filesystem::exists(root_ + "/third"));
  EXPECT_THAT(LeftInStaging(), IsEmpty());
  EXPECT_THAT(Pulls(), IsEmpty());
}

TEST_F(VerifierTest, AnImageThatIsThereIsAskedAboutAgainAndStays) {
  ASSERT_TRUE(Pull().ok());
  Verifier("1", "exit 1");
  EXPECT_THAT(std::string(Pull().message()), HasSubstr("(exit status 1) without a reason"));
  EXPECT_THAT(store_->List(), SizeIs(1));
}

TEST_F(VerifierTest, OneThatCannotBeAskedIsAVeto) {
  Verifier("1", "kill -9 $$");
  ExpectVeto("(killed by signal 9)");
  std::ofstream(bin_ + "/1") << "no program";
  ExpectVeto("posix_spawn \"" + bin_ + "/1\": Exec format error");
  std::filesystem::permissions(bin_ + "/1", std::filesystem::perms(0644));
  ExpectVeto("posix_spawn \"" + bin_ + "/1\": Permission denied");
  std::filesystem::remove(bin_ + "/1");
  std::filesystem::remove(bin_);
  ExpectVeto("image verifiers cannot be read from \"" + bin_ + "\": No such file");
}

TEST_F(VerifierTest, OneThatTakesTooLongIsKilledWithItsChildren) {
  Use({bin_, 10, absl::Milliseconds(300)});
  Verifier("1", "sleep 1000 & echo $! > " + root_ + "/pid; wait");
  ExpectVeto("did not end in time and was killed");
  const pid_t child = std::stoi(Read(root_ + "/pid"));
  // Orphaned and killed; whether it is reaped yet depends on who adopted it.
  const std::string stat = Read("/proc/" + std::to_string(child) + "/stat");
  EXPECT_TRUE(stat.empty() || stat.find(") Z ") != std::string::npos || stat.find(") X ") != std::string::npos) << stat;
}

TEST_F(VerifierTest, MoreThanTheLimitIsARefusal) {
  Use({bin_, 1, absl::Seconds(30)});
  Verifier("1", "exit 0");
  EXPECT_TRUE(Pull().ok());
  ASSERT_TRUE(store_->Remove(server_.host() + "/a:1").ok());
  Verifier("2", "exit 0");
  EXPECT_THAT(std::string(Pull().message()), HasSubstr("has 2 image verifiers, max_verifiers is 1"));
  Use({bin_, -1, absl::Seconds(30)});
  EXPECT_TRUE(Pull().ok());
}

TEST_F(VerifierTest, CancelEndsItToo) {
  Verifier("1", "echo $$ > " + root_ + "/pid.new; mv " + root_ + "/pid.new " + root_ + "/pid; exec sleep 1000");
  auto image = store_->Pull(server_.host() + "/a:1", {}, [&] { return std::filesystem::exists(root_ + "/pid"); });
  EXPECT_EQ(image.status().code(), absl::StatusCode::kCancelled) << image.status();
  EXPECT_NE(::kill(std::stoi(Read(root_ + "/pid")), 0), 0);
}

}  // namespace
}  // namespace wherry::image

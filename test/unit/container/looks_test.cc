// Looks at files of the host that do not come back: who waits for them, for how long, and who does not.
#include "cri/container/looks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace wherry::container {
namespace {

using testing::HasSubstr;

// What does not answer until it is destroyed.
class Server {
 public:
  ~Server() { state_->back.Notify(); }
  Looks::Work Hang() {
    return [state = state_](const Looks::Say& say) {
      ++state->asked;
      say("stat \"/gone\"");
      state->reached.Notify();
      state->back.Wait();
      return Looks::Seen();
    };
  }
  void AwaitAsked() { state_->reached.Wait(); }
  int asked() const { return state_->asked; }

 private:
  struct State {
    sys::Event reached, back;
    std::atomic<int> asked{0};
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

absl::Status Wanted() { return absl::OkStatus(); }

absl::Status Take(Looks& looks, const std::string& pod, const std::string& key, Looks::Work work,
                  absl::FunctionRef<absl::Status()> wanted = Wanted) {
  return looks.Take(pod, key, std::move(work), wanted).status();
}

// Of what is there.
absl::StatusOr<Looks::Seen> Nothing(const Looks::Say&) { return Looks::Seen(); }

TEST(LooksTest, SayWhatIsSeen) {
  Looks looks;
  struct statx file {};
  file.stx_size = 7;
  const auto seen = looks.Take(
      "p", "a", [&](const auto&) { return Looks::Seen{file}; }, Wanted);
  ASSERT_TRUE(seen.ok()) << seen.status();
  ASSERT_EQ(seen->size(), 1u);
  EXPECT_EQ(seen->front().stx_size, 7u);
  EXPECT_EQ(Take(looks, "p", "a", [](const auto&) { return absl::NotFoundError("no"); }), absl::NotFoundError("no"));
}

TEST(LooksTest, EndAtADeadlineAndSayWhereTheyHang) {
  Server server;
  Looks looks(absl::Milliseconds(50));
  absl::Status status = Take(looks, "p", "a", server.Hang());
  server.AwaitAsked();
  status = Take(looks, "p", "a", server.Hang());
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("stat \"/gone\": no answer"));
  EXPECT_TRUE(Take(looks, "p", "b", Nothing).ok()) << "others go on";
}

TEST(LooksTest, AreAbandonedWithTheirPodAndNotWithAnother) {
  Server server;
  Looks looks;
  auto answer = std::async(std::launch::async, [&] { return Take(looks, "p", "a", server.Hang()); });
  server.AwaitAsked();
  looks.Abandon("q");
  EXPECT_TRUE(Take(looks, "q", "b", Nothing).ok());
  // The waiter is there once it has asked whether it is wanted, which this does not see: so it is said until it is heard.
  while (answer.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) looks.Abandon("p");
  EXPECT_EQ(answer.get().code(), absl::StatusCode::kCancelled);
}

TEST(LooksTest, WaitForNothingThatIsNotWanted) {
  Server server;
  Looks looks;
  EXPECT_EQ(Take(looks, "p", "a", server.Hang(), [] { return absl::FailedPreconditionError("not ready"); }),
            absl::FailedPreconditionError("not ready"));
}

TEST(LooksTest, OfTheSameAreOne) {
  Server server;
  Looks looks(absl::Milliseconds(10));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(Take(looks, "p", "a", server.Hang()).code(), absl::StatusCode::kDeadlineExceeded);
  server.AwaitAsked();
  EXPECT_EQ(server.asked(), 1);
}

TEST(LooksTest, AreBounded) {
  Server server;
  Looks looks(absl::Microseconds(1));
  absl::Status status;
  for (size_t i = 0; i <= Looks::kMax; ++i) status = Take(looks, "p", std::to_string(i), server.Hang());
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

TEST(LooksTest, DoNotHoldUpTheEnd) {
  Server server;
  auto looks = std::make_unique<Looks>(absl::Milliseconds(1));
  EXPECT_FALSE(Take(*looks, "p", "a", server.Hang()).ok());
  looks.reset();
}

}  // namespace
}  // namespace wherry::container

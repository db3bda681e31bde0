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
      return absl::OkStatus();
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

TEST(LooksTest, SayWhatIsSeen) {
  Looks looks;
  EXPECT_TRUE(looks
                  .Take(
                      "p", "a", [](const auto&) { return absl::OkStatus(); }, Wanted)
                  .ok());
  EXPECT_EQ(looks.Take(
                "p", "a", [](const auto&) { return absl::NotFoundError("no"); }, Wanted),
            absl::NotFoundError("no"));
}

TEST(LooksTest, EndAtADeadlineAndSayWhereTheyHang) {
  Server server;
  Looks looks(absl::Milliseconds(50));
  absl::Status status = looks.Take("p", "a", server.Hang(), Wanted);
  server.AwaitAsked();
  status = looks.Take("p", "a", server.Hang(), Wanted);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("stat \"/gone\": no answer"));
  EXPECT_TRUE(looks
                  .Take(
                      "p", "b", [](const auto&) { return absl::OkStatus(); }, Wanted)
                  .ok())
      << "others go on";
}

TEST(LooksTest, AreAbandonedWithTheirPodAndNotWithAnother) {
  Server server;
  Looks looks;
  auto answer = std::async(std::launch::async, [&] { return looks.Take("p", "a", server.Hang(), Wanted); });
  server.AwaitAsked();
  looks.Abandon("q");
  EXPECT_TRUE(looks
                  .Take(
                      "q", "b", [](const auto&) { return absl::OkStatus(); }, Wanted)
                  .ok());
  // The waiter is there once it has asked whether it is wanted, which this does not see: so it is said until it is heard.
  while (answer.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) looks.Abandon("p");
  EXPECT_EQ(answer.get().code(), absl::StatusCode::kCancelled);
}

TEST(LooksTest, WaitForNothingThatIsNotWanted) {
  Server server;
  Looks looks;
  EXPECT_EQ(looks.Take("p", "a", server.Hang(), [] { return absl::FailedPreconditionError("not ready"); }),
            absl::FailedPreconditionError("not ready"));
}

TEST(LooksTest, OfTheSameAreOne) {
  Server server;
  Looks looks(absl::Milliseconds(10));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(looks.Take("p", "a", server.Hang(), Wanted).code(), absl::StatusCode::kDeadlineExceeded);
  server.AwaitAsked();
  EXPECT_EQ(server.asked(), 1);
}

TEST(LooksTest, AreBounded) {
  Server server;
  Looks looks(absl::Microseconds(1));
  absl::Status status;
  for (size_t i = 0; i <= Looks::kMax; ++i) status = looks.Take("p", std::to_string(i), server.Hang(), Wanted);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

TEST(LooksTest, DoNotHoldUpTheEnd) {
  Server server;
  auto looks = std::make_unique<Looks>(absl::Milliseconds(1));
  EXPECT_FALSE(looks->Take("p", "a", server.Hang(), Wanted).ok());
  looks.reset();
}

}  // namespace
}  // namespace wherry::container

#include "cri/pod/levels.h"

#include <random>

#include "absl/strings/str_cat.h"

namespace wherry::pod {
namespace {

// Steps through all pairs with a < b.
struct Pair {
  int a, b;
  void Step(int categories) {
    if (++a < b) return;
    a = 0;
    if (++b >= categories) b = 1;
  }
};

Pair Random(int categories) {
  std::random_device source;
  const int b = std::uniform_int_distribution<int>(1, categories - 1)(source);
  return {std::uniform_int_distribution<int>(0, b - 1)(source), b};
}

}  // namespace

// Takes the level out of the reserved ones again.
class Levels::Hold {
 public:
  Hold(Levels& owner, std::string text) : level(std::move(text)), owner_(owner) {}
  ~Hold() {
    absl::MutexLock lock(&owner_.mutex_);
    owner_.reserved_.erase(level);
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

  const std::string level;

 private:
  Levels& owner_;
};

// Under the lock the records are asked after the reservations could change no more: a level goes from the one to the other, and is seen in
// one of them at least.
absl::StatusOr<Levels::Reserved> Levels::Take(int categories, absl::FunctionRef<std::set<std::string>()> in_use) {
  absl::MutexLock lock(&mutex_);
  const std::set<std::string> recorded = in_use();
  Pair pair = Random(categories);
  for (int tries = categories * (categories - 1) / 2; tries > 0; --tries, pair.Step(categories)) {
    const std::string level = absl::StrCat("s0:c", pair.a, ",c", pair.b);
    if (recorded.count(level) != 0 || !reserved_.insert(level).second) continue;
    auto hold = std::make_shared<const Hold>(*this, level);
    return Reserved(hold, &hold->level);
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("all pairs of ", categories, " SELinux categories are in use ([selinux] category_range)"));
}

}  // namespace wherry::pod

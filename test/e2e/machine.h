#pragma once

#include <functional>

namespace wherry::e2e {

// Runs all tests of this program on a small machine of its own, and returns the exit code. `prepare` is called there before.
int RunInMachine(int argc, char** argv, const std::function<void()>& prepare);

}  // namespace wherry::e2e

// Without --endpoint: wherryd on a small machine of its own, as the end-to-end tests have it. With it: a runtime that runs already, in the
// mount namespace of these tests, which tells what others answer where CRI can be read in more than one way.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "test/conformance/runtime.h"
#include "test/e2e/machine.h"
#include "test/e2e/node.h"

namespace {

using wherry::conformance::SetTarget;

// The value behind `name` on the command line.
std::string Option(int argc, char** argv, const char* name) {
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], name) == 0) return argv[i + 1];
  return "";
}

class OwnNode : public testing::Environment {
 public:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(node_.Start());
    ASSERT_NO_FATAL_FAILURE(node_.ImportImage("/mnt/busybox.tar", wherry::e2e::kImage));
    SetTarget({"unix://" + node_.dir() + "/run/wherry.sock", wherry::e2e::kImage, "/mnt/conformance"});
  }

 private:
  wherry::e2e::Node node_;
};

int RunAgainst(const std::string& endpoint, const std::string& image, int argc, char** argv) {
  char directory[] = "/tmp/wherry-conformance-XXXXXX";
  if (::mkdtemp(directory) == nullptr) return 1;
  SetTarget({endpoint, image, directory});
  testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string endpoint = Option(argc, argv, "--endpoint"), image = Option(argc, argv, "--image");
  if (!endpoint.empty()) return RunAgainst(endpoint, image.empty() ? "busybox:latest" : image, argc, argv);
  return wherry::e2e::RunInMachine(argc, argv,
                                   [] { testing::AddGlobalTestEnvironment(std::make_unique<OwnNode>().release()); });
}

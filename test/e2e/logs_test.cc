// Container logs as the kubelet reads them.

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

class LogsTest : public NodeTest {};

// KUBELET G48: RFC3339Nano, stream, F or P, content.
TEST_F(LogsTest, EveryLineHasTimeStreamAndTag) {
  std::string pod = node.RunPod("p");
  std::string c = node.Run(pod, "c", {"sh", "-c", "echo one; echo two >&2; printf three"});
  node.WaitExited(c);
  const std::regex form(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) (stdout|stderr) [PF] .*)");
  std::istringstream in(node.Log(c));
  std::string line;
  int lines = 0;
  for (; std::getline(in, line); ++lines) EXPECT_TRUE(std::regex_match(line, form)) << line;
  EXPECT_EQ(lines, 3);
  EXPECT_THAT(node.Log(c), testing::HasSubstr(" stderr F two\n"));
  EXPECT_THAT(node.LogText(c), testing::HasSubstr("three"));
}

TEST_F(LogsTest, LongLinesAreSplitAt16KiBAndJoinAgain) {
  std::string pod = node.RunPod("p");
  std::string c = node.Run(pod, "c", {"sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x; echo"});
  node.WaitExited(c);
  EXPECT_EQ(node.LogText(c), std::string(40000, 'x') + "\n");
  std::istringstream in(node.Log(c));
  std::string line;
  while (std::getline(in, line)) EXPECT_LE(line.size(), 16384u + 64);
  EXPECT_THAT(node.Log(c), testing::HasSubstr(" stdout P x"));
}

// KUBELET G48: rename, ReopenContainerLog.
TEST_F(LogsTest, RotationLosesNothing) {
  std::string pod = node.RunPod("p");
  std::string c =
      node.Run(pod, "c", {"sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; sleep 1000"});
  std::string path = node.Status(c).log_path();
  ASSERT_TRUE(std::filesystem::exists(path)) << "the file is there when StartContainer returns";
  std::filesystem::rename(path, path + ".1");
  cri::ReopenContainerLogRequest req;
  req.set_container_id(c);
  cri::ReopenContainerLogResponse resp;
  grpc::ClientContext ctx;
  auto st = node.runtime().ReopenContainerLog(&ctx, req, &resp);
  ASSERT_TRUE(st.ok()) << st.error_message();
  ASSERT_TRUE(std::filesystem::exists(path));
  auto lines = [](const std::string& file) {
    std::ifstream in(file);
    return std::count(std::istreambuf_iterator<char>(in), {}, '\n');
  };
  Eventually("all 3000 lines", [&] { return lines(path) + lines(path + ".1") == 3000; });
}

// KUBELET G48: rotation, also of a terminal's output; on an error no new file; a missing file is made again.
TEST_F(LogsTest, ATerminalsLogIsRotatedAndALostOneMadeAgain) {
  const std::string c = node.Run(node.RunPod("p"), "c",
                                 {"sh", "-c",
                                  "echo one; for n in 1 2 3; do until [ -e /go$n ]; do sleep 0.02; done; "
                                  "echo after $n; done; sleep 1000"},
                                 [](cri::ContainerConfig& config) { config.set_tty(true); });
  const std::string path = node.Status(c).log_path();
  auto reopen = [&] {
    cri::ReopenContainerLogRequest req;
    req.set_container_id(c);
    cri::ReopenContainerLogResponse resp;
    grpc::ClientContext ctx;
    return node.runtime().ReopenContainerLog(&ctx, req, &resp);
  };
  auto text = [](const std::string& file) {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  Eventually("the first line", [&] { return text(path).find("one") != std::string::npos; });
  std::filesystem::rename(path, path + ".1");
  ASSERT_TRUE(reopen().ok());
  node.Exec(c, {"touch", "/go1"});
  Eventually("a line in the new file", [&] { return text(path).find("stdout F after 1") != std::string::npos; });
  EXPECT_EQ(text(path + ".1").find("after"), std::string::npos);
  std::filesystem::remove(path);
  ASSERT_TRUE(reopen().ok());
  node.Exec(c, {"touch", "/go2"});
  Eventually("a line in the file made again", [&] { return text(path).find("after 2") != std::string::npos; });
  // Its directory cannot be written to: as a file in its place.
  const std::string dir = std::filesystem::path(path).parent_path();
  std::filesystem::rename(dir, dir + ".away");
  std::ofstream(dir) << "no directory";
  EXPECT_FALSE(reopen().ok());
  node.Exec(c, {"touch", "/go3"});
  const std::string old = dir + ".away/" + std::filesystem::path(path).filename().string();
  Eventually("a line in the old file", [&] { return text(old).find("after 3") != std::string::npos; });
  std::filesystem::remove(dir);
  std::filesystem::rename(dir + ".away", dir);
}

}  // namespace
}  // namespace wherry::e2e

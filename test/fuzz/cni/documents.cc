// Network configurations come from a directory that other programs write, results and errors from plugins of anybody.
#include "api/cni/config.h"
#include "api/cni/error.h"
#include "api/cni/result.h"
#include "test/fuzz/target.h"

std::vector<std::string> wherry::fuzz::Seeds() {
  // The first byte chooses the reader.
  return {
      R"(0{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"bridge","capabilities":{"portMappings":true}}]})",
      R"(1{"cniVersion":"0.3.1","name":"n","type":"bridge"})",
      R"(2{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","mac":"00:11:22:33:44:55","sandbox":"/run/netns/a"}],)"
      R"("ips":[{"interface":0,"address":"10.1.0.5/16","gateway":"10.1.0.1"}],"routes":[{"dst":"0.0.0.0/0"}]})",
      R"(3{"cniVersion":"1.0.0","code":7,"msg":"m","details":"d"})",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      (void)wherry::cni::ParseConfigList(text).ok();
      break;
    case 1:
      (void)wherry::cni::ParseSingleConfig(text).ok();
      break;
    case 2:
      (void)wherry::cni::ParseResult(text).ok();
      break;
    default:
      (void)wherry::cni::ParseError(text).ok();
  }
  return 0;
}

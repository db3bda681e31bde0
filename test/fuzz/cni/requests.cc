// What a runtime writes to a plugin's standard input, whoever the runtime is: the configurations of bridge and host-local, and
// CNI_ARGS beside them.
#include <nlohmann/json.hpp>

#include "api/cni/fields.h"
#include "cni/ipam/host_local_config.h"
#include "cni/ipam/static.h"
#include "cni/plugins/bridge_config.h"
#include "cni/plugins/call.h"
#include "test/fuzz/target.h"

std::vector<std::string> wherry::fuzz::Seeds() {
  // The first byte chooses the reader.
  return {
      R"(0{"name":"n","bridge":"b0","isGateway":true,"mtu":1400,"ipam":{"type":"host-local"},"runtimeConfig":{"mac":"02:00:00:00:00:01"}})",
      R"(1{"name":"n","args":{"cni":{"ips":["10.1.0.9/24"]}},"runtimeConfig":{"ipRanges":[[{"subnet":"fd00::/64"}]]},"ipam":{"ranges":[)"
      R"([{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.5","rangeEnd":"10.1.0.9","gateway":"10.1.0.1"}]],"routes":[{"dst":"0.0.0.0/0"}]}})",
      "2IgnoreUnknown=1;IP=10.1.0.9;MAC=02:00:00:00:00:01;K8S_POD_NAME=web",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 2) {
    (void)wherry::plugins::ParseArguments(text).ok();
    return 0;
  }
  auto document = wherry::cni::ParseJson(text);
  if (!document.ok()) return 0;
  if (data[0] % 3 == 1) {
    (void)wherry::ipam::ReadHostLocalConfig(*document, {}).ok();
    (void)wherry::ipam::ReadStatic(*document, {}).ok();
    return 0;
  }
  wherry::plugins::Call call;
  call.command = "ADD";
  call.document = *std::move(document);
  (void)wherry::plugins::ReadBridgeConfig(call).ok();
  return 0;
}

// What a runtime writes to a plugin's standard input, whoever the runtime is: the configurations of all plugins, and CNI_ARGS beside
// them.
#include <nlohmann/json.hpp>

#include "api/cni/fields.h"
#include "cni/plugins/call.h"
#include "cni/plugins/plugin.h"
#include "test/fuzz/target.h"

namespace {

namespace plugins = wherry::plugins;

constexpr const plugins::Plugin* kPlugins[] = {&plugins::kBandwidth, &plugins::kBridge,   &plugins::kFirewall,
                                               &plugins::kHostLocal, &plugins::kLoopback, &plugins::kPortmap,
                                               &plugins::kPtp,       &plugins::kStatic,   &plugins::kTuning};

}  // namespace

std::vector<std::string> wherry::fuzz::Seeds() {
  // The first byte chooses what reads it: CNI_ARGS, or all plugins, for ADD or DEL.
  return {
      // NOLINTBEGIN(bugprone-suspicious-missing-comma): long documents in pieces
      R"(A{"name":"n","bridge":"b0","isGateway":true,"mtu":1400,"vlan":100,"vlanTrunk":[{"id":101},{"minID":200,"maxID":210}],)"
      R"("ipMasq":true,"ipMasqBackend":"iptables","ipam":{"type":"host-local"},"runtimeConfig":{"mac":"02:00:00:00:00:01"}})",
      R"(A{"name":"n","args":{"cni":{"ips":["10.1.0.9/24"]}},"runtimeConfig":{"ipRanges":[[{"subnet":"fd00::/64"}]]},"ipam":{"ranges":[)"
      R"([{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.5","rangeEnd":"10.1.0.9","gateway":"10.1.0.1"}]],"routes":[{"dst":"0.0.0.0/0"}],)"
      R"("addresses":[{"address":"10.1.0.7/24","gateway":"10.1.0.1"}]}})",
      R"(D{"name":"n","snat":true,"masqAll":false,"runtimeConfig":{"portMappings":[{"hostPort":80,"containerPort":8080,)"
      R"("protocol":"sctp","hostIP":"::1"}],"bandwidth":{"ingressRate":8000,"ingressBurst":8000}}})",
      R"(A{"name":"n","backend":"iptables","ingressPolicy":"same-bridge","iptablesAdminChainName":"MINE"})",
      R"(A{"name":"n","mtu":1400,"promisc":true,"allmulti":false,"txQLen":5,"sysctl":{"net.core.somaxconn":"7","net/ipv4/conf/IFNAME/x":"1"}})",
      "#IgnoreUnknown=1;IP=10.1.0.9;GATEWAY=10.1.0.1;MAC=02:00:00:00:00:01;K8S_POD_NAME=web",
      // NOLINTEND(bugprone-suspicious-missing-comma)
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == '#') {
    (void)plugins::ParseArguments(text).ok();
    return 0;
  }
  auto document = wherry::cni::ParseJson(text);
  if (!document.ok()) return 0;
  plugins::Call call;
  call.command = data[0] == 'D' ? "DEL" : "ADD";
  call.attachment = {"c", "eth0"};
  call.network = "n";
  call.document = *std::move(document);
  for (const plugins::Plugin* plugin : kPlugins) (void)plugin->read(call).ok();
  return 0;
}

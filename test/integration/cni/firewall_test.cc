#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/sys/child.h"
#include "test/integration/cni/node.h"

namespace wherry::cni_test {
namespace {

using nlohmann::json;

// A node whose FORWARD chain is closed, by Debian's iptables: pods "a" and "b" on one bridge, "o" on another.
class FirewallTest : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    json other = BridgeConf({{"name", "other"}, {"bridge", "out0"}});
    other["ipam"]["ranges"] = json::parse(R"([[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8::/64"}]])");
    for (const char* pod : {"a", "b", "o"}) MakePod(pod);
    for (const char* pod : {"a", "b"}) results_[pod] = Add(pod, BridgeConf()).json();
    results_["o"] = Add("o", other).json();
    for (const auto& [pod, result] : results_) ASSERT_TRUE(result.contains("ips")) << result;
    for (const char* program : {"iptables", "ip6tables"})
      ASSERT_TRUE(Iptables({"-P", "FORWARD", "DROP"}, program).ok());
  }
  static Outcome Iptables(std::vector<std::string> arguments, const std::string& program = "iptables") {
    sys::Children children;
    auto ended = children.Run({"/usr/sbin/" + program, std::move(arguments), {}, ""},
                              sys::Children::Clock::now() + std::chrono::seconds(60));
    EXPECT_TRUE(ended.ok()) << ended.status();
    return ended.ok() ? Outcome{ended->status, ended->output + ended->errors} : Outcome();
  }
  static std::string Rules(const std::string& chain, const std::string& program = "iptables") {
    return Iptables({"-S", chain}, program).output;
  }
  json Conf(const std::string& pod, const json& more = json::object()) {
    json conf = {{"cniVersion", "1.0.0"}, {"name", "pods"}, {"type", "firewall"}, {"prevResult", results_[pod]}};
    conf.merge_patch(more);
    return conf;
  }
  Outcome Do(const std::string& command, const std::string& pod, const json& more = json::object()) {
    return Call("firewall", command, pod, Conf(pod, more));
  }
  std::unique_ptr<Server> ServeIn(const std::string& pod) {
    std::unique_ptr<Server> out;
    InPod(pod, [&] { out = std::make_unique<Server>(80, pod); });
    return out;
  }
  // What `pod` hears from the server at `address`.
  std::string From(const std::string& pod, const std::string& address, int patience_seconds = 5) {
    std::string out;
    InPod(pod, [&] { out = Fetch(address, 80, patience_seconds); });
    return out;
  }
  // For ways that are closed, which is seen by waiting.
  bool Closed(const std::string& pod, const std::string& address) { return From(pod, address, 1).empty(); }

  std::map<std::string, json> results_;
};

constexpr char kBackends[][16] = {"", "iptables"};

TEST_F(FirewallTest, LetsThePodOutAndAnswersIn) {
  const auto server = ServeIn("o"), inside = ServeIn("a");
  EXPECT_TRUE(Closed("a", "192.0.2.2"));
  for (const char* backend : kBackends) {
    const Outcome added = Do("ADD", "a", {{"backend", backend}});
    ASSERT_TRUE(added.ok()) << backend << added.output;
    EXPECT_EQ(added.json()["ips"], results_["a"]["ips"]);
    EXPECT_EQ(Do("CHECK", "a", {{"backend", backend}}).output, "");
    EXPECT_EQ(From("a", "192.0.2.2") + From("a", "2001:db8::2"), "oo") << backend << Rules("FORWARD");
    EXPECT_TRUE(Closed("o", "10.88.0.2")) << "nobody has let that one out";
    EXPECT_EQ(Do("DEL", "a", {{"backend", backend}}).output, "");
    EXPECT_EQ(Do("DEL", "a", {{"backend", backend}}).output, "");
    EXPECT_EQ(Rules("CNI-FORWARD").find("10.88.0.2"), std::string::npos) << backend << Rules("CNI-FORWARD");
    EXPECT_EQ(Rules("CNI-FORWARD", "ip6tables").find("fd00:88::2"), std::string::npos);
    EXPECT_FALSE(Do("CHECK", "a", {{"backend", backend}}).ok());
  }
}

// Both ways of writing must give what the reference plugin and the administrator's program take for theirs.
TEST_F(FirewallTest, ItsRulesAreIptables) {
  std::map<std::string, std::string> seen;
  for (const char* backend : kBackends) {
    ASSERT_TRUE(Do("ADD", "a", {{"backend", backend}, {"ingressPolicy", "isolated"}}).ok());
    for (const char* chain : {"FORWARD", "CNI-FORWARD", "CNI-ISOLATION-STAGE-1", "CNI-ISOLATION-STAGE-2"})
      seen[backend] += Rules(chain) + Rules(chain, "ip6tables");
    ASSERT_TRUE(Do("DEL", "a", {{"backend", backend}}).ok());
    for (const char* program : {"iptables", "ip6tables"})
      EXPECT_TRUE(Iptables({"-F"}, program).ok() && Iptables({"-X"}, program).ok());
  }
  EXPECT_EQ(seen[""], seen["iptables"]);
  EXPECT_NE(seen[""].find("-A CNI-FORWARD -d 10.88.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
            std::string::npos)
      << seen[""];
}

TEST_F(FirewallTest, AChainOfTheAdministratorComesFirst) {
  const auto server = ServeIn("o");
  ASSERT_TRUE(Do("ADD", "a", {{"iptablesAdminChainName", "MINE"}}).ok());
  EXPECT_EQ(From("a", "192.0.2.2"), "o");
  ASSERT_TRUE(Iptables({"-A", "MINE", "-d", "192.0.2.2", "-j", "DROP"}).ok());
  EXPECT_TRUE(Closed("a", "192.0.2.2"));
}

TEST_F(FirewallTest, PoliciesSeparateBridges) {
  for (const char* program : {"iptables", "ip6tables"})
    ASSERT_TRUE(Iptables({"-P", "FORWARD", "ACCEPT"}, program).ok());
  const auto server = ServeIn("a");
  const json policy = {{"ingressPolicy", "same-bridge"}};
  ASSERT_TRUE(Do("ADD", "a", policy).ok());
  EXPECT_EQ(From("o", "10.88.0.2"), "a") << "its bridge has no policy yet";
  ASSERT_TRUE(Do("ADD", "o", policy).ok());
  EXPECT_TRUE(Closed("o", "10.88.0.2") && Closed("o", "fd00:88::2"));
  EXPECT_EQ(From("b", "10.88.0.2") + From("b", "fd00:88::2"), "aa");
  EXPECT_EQ(Do("CHECK", "o", policy).output, "");
}

TEST_F(FirewallTest, GarbageCollectionKeepsValidAttachments) {
  for (const char* pod : {"a", "b"}) ASSERT_TRUE(Do("ADD", pod).ok());
  json gc = {{"cniVersion", "1.1.0"}, {"name", "pods"}, {"type", "firewall"}};
  EXPECT_TRUE(Call("firewall", "STATUS", "a", gc).ok());
  EXPECT_EQ(Call("firewall", "GC", "a", gc).code(), 7) << "without the list";
  gc["cni.dev/valid-attachments"] = json::array({{{"containerID", "b"}, {"ifname", "eth0"}}});
  EXPECT_TRUE(Call("firewall", "GC", "a", gc).ok());
  EXPECT_EQ(Rules("CNI-FORWARD").find("10.88.0.2/"), std::string::npos);
  EXPECT_NE(Rules("CNI-FORWARD").find("10.88.0.3/"), std::string::npos);
  // DEL without prevResult knows its rules as well.
  EXPECT_TRUE(Call("firewall", "DEL", "b", {{"cniVersion", "1.1.0"}, {"name", "pods"}, {"type", "firewall"}}).ok());
  EXPECT_EQ(Rules("CNI-FORWARD").find("10.88.0.3/"), std::string::npos);
}

TEST_F(FirewallTest, TheReferenceAndWeDeleteEachOthersRules) {
  const std::string reference = std::string(kReference) + "/firewall";
  if (access(reference.c_str(), X_OK) != 0) GTEST_SKIP() << "no " << reference;
  const auto rules = [] {
    const std::string text = Rules("CNI-FORWARD");
    return std::count(text.begin(), text.end(), '\n');
  };
  const json conf = Conf("a", {{"backend", "iptables"}});
  ASSERT_TRUE(Do("ADD", "a").ok());
  const auto full = rules();
  EXPECT_EQ(Call(reference, "CHECK", "a", conf).output, "");
  EXPECT_EQ(Call(reference, "ADD", "a", conf).status, 0);
  EXPECT_EQ(rules(), full) << Rules("CNI-FORWARD");
  EXPECT_EQ(Call(reference, "DEL", "a", conf).output, "");
  EXPECT_EQ(rules(), full - 2) << Rules("CNI-FORWARD");
  ASSERT_EQ(Call(reference, "ADD", "a", conf).status, 0);
  EXPECT_EQ(rules(), full);
  EXPECT_EQ(Do("CHECK", "a").output, "");
  EXPECT_EQ(Do("DEL", "a").output, "");
  EXPECT_EQ(rules(), full - 2) << Rules("CNI-FORWARD");
}

TEST_F(FirewallTest, ManyAtOnceSetUpOneChain) {
  const sys::UniqueFd output(memfd_create("output", MFD_CLOEXEC));
  std::vector<pid_t> children;
  for (int i = 0; i < 30; ++i) {
    auto variables = CallVariables("ADD", "a");
    variables["CNI_CONTAINERID"] = "p" + std::to_string(i);
    children.push_back(Start("firewall", Conf("a").dump(), variables, output.get()));
  }
  for (pid_t child : children) {
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const std::string text = Rules("FORWARD");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;  // the policy and one way in
}

TEST_F(FirewallTest, MalformedCallsChangeNothing) {
  struct Case {
    const char* more;
    int code;
  };
  const Case cases[] = {
      {R"({"backend": "firewalld"})", 2},
      {R"({"backend": 7})", 7},
      {R"({"firewalldZone": "trusted"})", 2},
      {R"({"ingressPolicy": "closed"})", 7},
      {R"({"prevResult": null})", 7},
      {R"({"prevResult": {"ips": 7}})", 7},
      {R"({"iptablesAdminChainName": "-F"})", 7},
      {R"({"ingressPolicy": "same-bridge", "prevResult": {"interfaces": null}})", 7},
  };
  for (const Case& bad : cases) {
    const Outcome outcome = Do("ADD", "a", json::parse(bad.more));
    EXPECT_EQ(outcome.code(), bad.code) << bad.more << outcome.output;
  }
  EXPECT_EQ(Rules("FORWARD"), "-P FORWARD DROP\n");
}

}  // namespace
}  // namespace wherry::cni_test

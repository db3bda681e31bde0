#include "test/integration/cni/node.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "api/cni/address.h"
#include "cni/netlink/socket.h"
#include "runtime/sys/file.h"

namespace wherry::cni_test {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string NamespaceOfThread() { return "/proc/thread-self/ns/net"; }

sys::UniqueFd OpenNamespace(const std::string& path) { return sys::UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

void SetUpLoopback() {
  auto socket = netlink::Socket::Open();
  ASSERT_TRUE(socket.ok()) << socket.status();
  auto lo = netlink::GetLink(*socket, "lo");
  ASSERT_TRUE(lo.ok()) << lo.status();
  netlink::Batch batch;
  netlink::PutLinkFlags(batch, lo->index, IFF_UP);
  ASSERT_TRUE(socket->Exchange(batch).ok());
}

}  // namespace

void Node::SetUp() {
  ASSERT_EQ(geteuid(), 0U) << "this test needs root";
  home_ = OpenNamespace(NamespaceOfThread());
  ASSERT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0) << strerror(errno);
  ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << strerror(errno);
  std::string pattern = fs::temp_directory_path() / "wherry-cni-XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  root_ = pattern;
  ASSERT_EQ(mount("tmpfs", root_.c_str(), "tmpfs", 0, nullptr), 0) << strerror(errno);
  fs::create_directory(root_ / "netns");
  SetUpLoopback();
}

void Node::TearDown() {
  if (root_.empty()) return;
  for (const auto& entry : fs::directory_iterator(root_ / "netns")) umount2(entry.path().c_str(), MNT_DETACH);
  EXPECT_EQ(umount2(root_.c_str(), MNT_DETACH), 0);
  fs::remove(root_);
  EXPECT_EQ(setns(home_.get(), CLONE_NEWNET), 0);
}

void Node::MakePod(const std::string& id) {
  const sys::UniqueFd node = OpenNamespace(NamespaceOfThread());
  close(open(PodPath(id).c_str(), O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  ASSERT_EQ(mount(NamespaceOfThread().c_str(), PodPath(id).c_str(), nullptr, MS_BIND, nullptr), 0) << strerror(errno);
  ASSERT_EQ(setns(node.get(), CLONE_NEWNET), 0);
}

void Node::RemovePod(const std::string& id) {
  ASSERT_EQ(umount2(PodPath(id).c_str(), MNT_DETACH), 0);
  fs::remove(PodPath(id));
}

void Node::InPod(const std::string& id, const std::function<void()>& act) {
  const sys::UniqueFd node = OpenNamespace(NamespaceOfThread());
  const sys::UniqueFd pod = OpenNamespace(PodPath(id));
  ASSERT_EQ(setns(pod.get(), CLONE_NEWNET), 0);
  act();
  ASSERT_EQ(setns(node.get(), CLONE_NEWNET), 0);
}

json Node::BridgeConf(const json& more) const {
  json conf = {{"cniVersion", "1.0.0"},
               {"name", "pods"},
               {"type", "bridge"},
               {"bridge", "cni0"},
               {"isDefaultGateway", true},
               {"ipam",
                {{"type", "host-local"},
                 {"dataDir", (root_ / "leases").string()},
                 {"ranges", {{{{"subnet", "10.88.0.0/24"}}}, {{{"subnet", "fd00:88::/64"}}}}}}}};
  conf.merge_patch(more);
  return conf;
}

Node::Variables Node::CallVariables(const std::string& command, const std::string& id,
                                    const std::string& plugin) const {
  const std::string own = fs::path(plugin).parent_path();
  return {{"CNI_COMMAND", command},
          {"CNI_CONTAINERID", id},
          {"CNI_NETNS", PodPath(id)},
          {"CNI_IFNAME", "eth0"},
          {"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"},
          {"CNI_PATH", (own.empty() ? own : own + ":") + WHERRY_CNI_DIR + ":" + root_.string() + ":" + kReference}};
}

pid_t Node::Start(const std::string& plugin, const std::string& input, const Variables& variables, int output) {
  sys::UniqueFd in(memfd_create("input", MFD_CLOEXEC));
  EXPECT_TRUE(sys::WriteAll(in.get(), input).ok());
  EXPECT_EQ(lseek(in.get(), 0, SEEK_SET), 0);
  std::vector<std::string> entries;
  for (const auto& [name, value] : variables) entries.push_back(absl::StrCat(name, "=", value));
  std::vector<char*> environment;
  environment.reserve(entries.size() + 1);
  for (std::string& entry : entries) environment.push_back(entry.data());
  environment.push_back(nullptr);
  std::string path = plugin.front() == '/' ? plugin : std::string(WHERRY_CNI_DIR) + "/" + plugin;
  char* arguments[] = {path.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t pid = -1;
  EXPECT_EQ(posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments, environment.data()), 0) << path;
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

Outcome Node::Run(const std::string& plugin, const std::string& input, const Variables& variables) {
  Outcome out;
  sys::UniqueFd output(memfd_create("output", MFD_CLOEXEC));
  const pid_t pid = Start(plugin, input, variables, output.get());
  EXPECT_EQ(waitpid(pid, &out.status, 0), pid);
  EXPECT_EQ(lseek(output.get(), 0, SEEK_SET), 0);
  out.output = sys::ReadAll(output.get(), 1 << 20).value_or("");
  return out;
}

Outcome Node::Call(const std::string& plugin, const std::string& command, const std::string& id, const json& conf) {
  return Run(plugin, conf.dump(), CallVariables(command, id, plugin));
}

std::vector<Outcome> Node::AtOnce(const std::vector<std::string>& ids, const std::string& plugin,
                                  const std::string& command, const json& conf) {
  std::vector<std::pair<pid_t, sys::UniqueFd>> running;
  running.reserve(ids.size());
  for (const std::string& id : ids) {
    sys::UniqueFd output(memfd_create("output", MFD_CLOEXEC));
    const pid_t pid = Start(plugin, conf.dump(), CallVariables(command, id, plugin), output.get());
    running.emplace_back(pid, std::move(output));
  }
  std::vector<Outcome> out(running.size());
  for (size_t i = 0; i < running.size(); ++i) {
    EXPECT_EQ(waitpid(running[i].first, &out[i].status, 0), running[i].first);
    EXPECT_EQ(lseek(running[i].second.get(), 0, SEEK_SET), 0);
    out[i].output = sys::ReadAll(running[i].second.get(), 1 << 20).value_or("");
    EXPECT_TRUE(out[i].ok()) << ids[i] << out[i].output;
  }
  return out;
}

std::set<std::string> Node::Leases(const std::string& network) const {
  std::set<std::string> out;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(root_ / "leases" / network, none)) {
    const std::string name = entry.path().filename();
    if (cni::IpAddress::Parse(name).ok()) out.insert(name);
  }
  return out;
}

std::vector<std::string> Node::Links(const std::string& kind) const {
  std::vector<std::string> out;
  auto socket = netlink::Socket::Open();
  EXPECT_TRUE(socket.ok());
  netlink::Batch batch;
  batch.Begin(RTM_GETLINK, NLM_F_DUMP, "list links");
  batch.PutHeader(sizeof(ifinfomsg));
  EXPECT_TRUE(socket
                  ->Exchange(batch,
                             [&](size_t, const nlmsghdr* message) {
                               netlink::Link link = netlink::ParseLink(message);
                               if (link.kind == kind) out.push_back(link.name);
                             })
                  .ok());
  return out;
}

std::string Node::AddressOf(const Outcome& outcome, size_t index) {
  const json document = outcome.json();
  if (!document.is_object() || !document.contains("ips") || document["ips"].size() <= index) return outcome.output;
  const std::string text = document["ips"][index]["address"];
  return text.substr(0, text.find('/'));
}

Server::Server(int port, const std::string& name, int protocol)
    : socket_(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, protocol)) {
  const int on = 1, off = 0;
  setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<uint16_t>(port));
  EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0) << strerror(errno);
  EXPECT_EQ(listen(socket_.get(), 16), 0);
  child_ = fork();
  if (child_ != 0) return;
  while (true) {
    sockaddr_in6 peer{};
    socklen_t size = sizeof(peer);
    const int connection = accept(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &size);
    if (connection < 0) _exit(1);
    const std::string answer = name.empty() ? cni::IpAddress::FromBytes(&peer.sin6_addr, 16).ToString() : name;
    if (write(connection, answer.data(), answer.size()) < 0) _exit(1);
    close(connection);
  }
}

Server::~Server() {
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

bool CanBind(const std::string& address) {
  sys::UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 local{};
  local.sin6_family = AF_INET6;
  inet_pton(AF_INET6, address.c_str(), &local.sin6_addr);
  return bind(socket.get(), reinterpret_cast<sockaddr*>(&local), sizeof(local)) == 0;
}

namespace {

// Of its link-local address; nothing while it has none.
std::optional<unsigned> LinkLocalFlags(const std::string& interface) {
  // proc(5): address, index, prefix length, scope, flags, name.
  std::ifstream table("/proc/thread-self/net/if_inet6");
  std::string address, index, length, scope, flags, name;
  while (table >> address >> index >> length >> scope >> flags >> name)
    if (name == interface && scope == "20") return static_cast<unsigned>(std::stoul(flags, nullptr, 16));
  return {};
}

}  // namespace

int SolicitationsUntilUsable(const std::string& interface) {
  for (int i = 0; LinkLocalFlags(interface).value_or(IFA_F_TENTATIVE) & IFA_F_TENTATIVE; ++i, usleep(10000)) {
    if (i < 3000) continue;
    ADD_FAILURE() << interface << " has no link-local address that can be used";
    break;
  }
  std::ifstream counts("/proc/thread-self/net/dev_snmp6/" + interface);
  EXPECT_TRUE(counts.is_open()) << interface;
  std::string name;
  int count = 0;
  while (counts >> name >> count)
    if (name == "Icmp6OutType135") return count;
  return 0;
}

std::string Fetch(const std::string& address, int port, int patience_seconds, int protocol) {
  const bool v4 = address.find(':') == std::string::npos;
  sys::UniqueFd socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, protocol));
  // A limit for the failing case only; nobody waits for it otherwise.
  const timeval limit{patience_seconds, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in to4{};
  to4.sin_family = AF_INET;
  to4.sin_port = htons(static_cast<uint16_t>(port));
  sockaddr_in6 to6{};
  to6.sin6_family = AF_INET6;
  to6.sin6_port = to4.sin_port;
  inet_pton(v4 ? AF_INET : AF_INET6, address.c_str(), v4 ? static_cast<void*>(&to4.sin_addr) : &to6.sin6_addr);
  const int connected = v4 ? connect(socket.get(), reinterpret_cast<sockaddr*>(&to4), sizeof(to4))
                           : connect(socket.get(), reinterpret_cast<sockaddr*>(&to6), sizeof(to6));
  if (connected != 0) return "";
  return sys::ReadAll(socket.get(), 4096).value_or("");
}

}  // namespace wherry::cni_test

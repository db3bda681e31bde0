#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "cni/netlink/link.h"
#include "gtest/gtest.h"
#include "runtime/sys/unique_fd.h"

// A node for one test: a network and a mount namespace of its own, with a tmpfs that holds the pods' namespaces, the leases
// and whatever else the plugins write. The plugins run as what they are, programs; the test looks at the kernel and at the
// files. Nothing of it is seen by the machine, and all of it is gone with the process.
namespace wherry::cni_test {

inline constexpr char kReference[] = "/usr/lib/cni";

struct Outcome {
  int status = -1;  // of waitpid
  std::string output;
  bool ok() const { return status == 0; }
  nlohmann::json json() const { return nlohmann::json::parse(output, nullptr, false); }
  int code() const { return json().value("code", 0); }  // of an error document
};

class Node : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A network namespace, pinned at PodPath(id).
  void MakePod(const std::string& id);
  void RemovePod(const std::string& id);
  std::string PodPath(const std::string& id) const { return (root_ / "netns" / id).string(); }
  // Runs `act` in the pod's namespace.
  void InPod(const std::string& id, const std::function<void()>& act);

  // The configuration of the bridge plugin with host-local and `more` merged into it.
  nlohmann::json BridgeConf(const nlohmann::json& more = nlohmann::json::object()) const;

  using Variables = std::map<std::string, std::string>;
  // `plugin` is a name in the directory of our plugins, or a path.
  pid_t Start(const std::string& plugin, const std::string& input, const Variables& variables, int output);
  Outcome Run(const std::string& plugin, const std::string& input, const Variables& variables);
  // The same with the variables of a call for eth0 of pod `id`. A plugin that is given by its path finds its neighbours first.
  Variables CallVariables(const std::string& command, const std::string& id, const std::string& plugin = "") const;
  Outcome Call(const std::string& plugin, const std::string& command, const std::string& id,
               const nlohmann::json& conf);
  Outcome Add(const std::string& id, const nlohmann::json& conf) { return Call("bridge", "ADD", id, conf); }
  Outcome Del(const std::string& id, const nlohmann::json& conf) { return Call("bridge", "DEL", id, conf); }

  // Starts `command` for all these pods before it waits for any, and returns what each printed.
  std::vector<Outcome> AtOnce(const std::vector<std::string>& ids, const std::string& plugin,
                              const std::string& command, const nlohmann::json& conf);

  // Files in the network's directory that are named by an address.
  std::set<std::string> Leases(const std::string& network = "pods") const;
  // Names of the interfaces of a kind in the current namespace.
  std::vector<std::string> Links(const std::string& kind) const;
  // "10.1.0.2" of the first address of a result.
  static std::string AddressOf(const Outcome& outcome, size_t index = 0);

  std::filesystem::path root_;

 private:
  sys::UniqueFd home_;
};

// A TCP server (or of another protocol of connections) on `port` of all addresses, IPv4 and IPv6, that answers each connection with `name`, or with the address of
// the peer when `name` is empty. Stops when destroyed.
class Server {
 public:
  Server(int port, const std::string& name, int protocol = 0);
  ~Server();

 private:
  sys::UniqueFd socket_;
  pid_t child_ = -1;
};
// Whether a socket may use the address now: not while the kernel still looks for duplicates.
bool CanBind(const std::string& address);
// How many neighbours the interface has asked for (RFC 4861, 4.3) when its IPv6 link-local address can be used. One or more if it looked
// for duplicates of that first: for a second, in which it does not forward.
int SolicitationsUntilUsable(const std::string& interface);
// What the server at `address` answers; empty when it cannot be reached.
// Waits so long for a way that is closed.
std::string Fetch(const std::string& address, int port, int patience_seconds = 5, int protocol = 0);

}  // namespace wherry::cni_test

// wherry port-forward: ports of this host's loopback that lead into a pod, until a signal ends it.

#include <fcntl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <iostream>
#include <list>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/target.h"
#include "cri/streaming/client/dial.h"
#include "cri/streaming/client/forward_caller.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using streaming::ForwardCaller;

constexpr std::chrono::milliseconds kAcceptAgain(100);

struct Ports {
  uint16_t local = 0, remote = 0;  // local 0: any free one
};

absl::StatusOr<uint16_t> ParsePort(absl::string_view text, int low) {
  int port = -1;
  if (!absl::SimpleAtoi(text, &port) || port < low || port > UINT16_MAX)
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no port from ", low, " to 65535"));
  return static_cast<uint16_t>(port);
}

// "REMOTE", "LOCAL:REMOTE" or ":REMOTE".
absl::StatusOr<Ports> ParsePorts(const std::string& text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  Ports ports;
  ASSIGN_OR_RETURN(ports.remote, ParsePort(parts.back(), 1));
  ports.local = ports.remote;
  if (parts.size() == 2) {
    ASSIGN_OR_RETURN(ports.local, ParsePort(parts[0].empty() ? "0" : parts[0], 0));
  }
  return ports;
}

class Forwarder {
 public:
  absl::Status Listen(const std::string& address, Ports ports) {
    error_code error;
    const auto ip = asio::ip::make_address(address, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is no IP address"));
    const tcp::endpoint local(ip, ports.local);
    tcp::acceptor acceptor(io_);
    acceptor.open(local.protocol(), error);
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(local, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", address, " port ", ports.local, ": ", error.message()));
    std::cout << "forwarding " << address << ":" << acceptor.local_endpoint().port() << " to port " << ports.remote
              << std::endl;  // for whoever waits for it
    listeners_.push_back({std::move(acceptor), ports.remote, asio::steady_timer(io_)});
    return absl::OkStatus();
  }

  absl::StatusOr<int> Run(const std::string& url, const std::string& ca_file) {
    ASSIGN_OR_RETURN(auto link, streaming::Dial(io_, url, streaming::kForwardProtocol, ca_file));
    caller_ = std::make_shared<ForwardCaller>(
        io_, std::move(link),
        ForwardCaller::Events{[](const std::string& text) { std::cerr << "wherry: " << text << "\n"; },
                              [this] {
                                result_ = absl::UnavailableError("the runtime has ended the session");
                                io_.stop();
                              }});
    asio::signal_set signals(io_, SIGINT, SIGTERM, SIGHUP);
    signals.async_wait([this](const error_code& error, int) {
      if (!error) io_.stop();
    });
    caller_->Start();
    for (Listener& listener : listeners_) Accept(listener);
    io_.run();
    return result_;
  }

 private:
  struct Listener {
    tcp::acceptor acceptor;
    uint16_t remote;
    asio::steady_timer retry;
    sys::UniqueFd accepted{};  // and not joined yet
    bool failing = false;      // and has said so
  };

  void Accept(Listener& listener) {
    listener.acceptor.async_accept([this, &listener](const error_code& error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) return AcceptLater(listener, error);
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      socket.non_blocking(true, ignored);
      listener.accepted.reset(socket.release());
      Join(listener);
    });
  }

  void Join(Listener& listener) {
    sys::UniqueFd duplicate(::fcntl(listener.accepted.get(), F_DUPFD_CLOEXEC, 0));
    if (!duplicate.valid()) return AcceptLater(listener, error_code(errno, boost::system::system_category()));
    listener.failing = false;
    caller_->Join(std::move(listener.accepted), std::move(duplicate), listener.remote);
    Accept(listener);
  }

  // accept(2) fails for want of descriptors or memory, which connections that end give back, or for the one connection that is
  // gone already: no reason to end the others.
  void AcceptLater(Listener& listener, const error_code& why) {
    if (!listener.failing) std::cerr << "wherry: accept: " << why.message() << "; trying again\n";
    listener.failing = true;
    listener.retry.expires_after(kAcceptAgain);
    listener.retry.async_wait([this, &listener](const error_code& error) {
      if (error) return;
      if (listener.accepted.valid()) return Join(listener);
      Accept(listener);
    });
  }

  asio::io_context io_{1};
  std::list<Listener> listeners_;
  std::shared_ptr<ForwardCaller> caller_;
  absl::StatusOr<int> result_ = 0;
};

}  // namespace

absl::StatusOr<int> ForwardPorts(Client& client, const PortForwardOptions& options) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  ASSIGN_OR_RETURN(std::vector<Candidate> pods, ListCandidates(client, true));
  std::erase_if(pods, [](const Candidate& c) { return c.kind != Candidate::Kind::kPod; });
  ASSIGN_OR_RETURN(const Candidate pod, Choose(pods, options.pod));
  cri::PortForwardRequest request;
  request.set_pod_sandbox_id(pod.id);
  std::vector<Ports> all;
  for (const std::string& text : options.ports) {
    ASSIGN_OR_RETURN(all.emplace_back(), ParsePorts(text));
    request.add_port(all.back().remote);
  }
  Forwarder forwarder;
  for (const Ports& ports : all) RETURN_IF_ERROR(forwarder.Listen(options.address, ports));
  ASSIGN_OR_RETURN(const auto response, client.Get<cri::PortForwardResponse>(request));
  return forwarder.Run(response.url(), options.ca_file);
}

}  // namespace wherry::cli

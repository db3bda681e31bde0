// What exec and attach share: a session by the URL of CRI's Exec and Attach, between it and this process's own terminal and streams.

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <optional>

#include "absl/strings/str_cat.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/pump.h"
#include "cri/cli/target.h"
#include "cri/cli/terminal.h"
#include "cri/streaming/client/dial.h"
#include "cri/streaming/client/remote_caller.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

namespace asio = boost::asio;
using streaming::RemoteCaller;

class Session {
 public:
  Session(const StreamOptions& options, bool detachable) : options_(options), detachable_(detachable) {
    (void)std::signal(SIGPIPE, SIG_IGN);  // a reader of ours that goes is an error of write(2)
  }

  absl::StatusOr<int> Run(const std::string& url) {
    ASSIGN_OR_RETURN(auto link, streaming::Dial(*io_, url, streaming::kRemoteProtocol, options_.ca_file));
    const bool tty = options_.terminal;
    caller_ = std::make_shared<RemoteCaller>(*io_, std::move(link), streaming::Streams{options_.input, true, !tty, tty},
                                             [this](absl::StatusOr<int> result) {
                                               result_ = std::move(result);
                                               io_->stop();
                                             });
    // Until here, while the runtime may be slow to answer, there is nothing to undo: signals do what they do by default.
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH}) signals_.add(signal);
    AwaitSignals();
    RawTerminal terminal;
    if (tty && options_.input) RETURN_IF_ERROR(terminal.Enter());
    // Written to their ends before the terminal is as it was.
    OutputPump out(STDOUT_FILENO), err(STDERR_FILENO);
    RETURN_IF_ERROR(Start(out, err));
    io_->run();
    return result_;
  }

 private:
  absl::Status Start(OutputPump& out, OutputPump& err) {
    RemoteCaller::Ends ends;
    ASSIGN_OR_RETURN(ends.out, out.Start());
    if (!options_.terminal) {
      ASSIGN_OR_RETURN(ends.err, err.Start());
    }
    if (options_.input) {
      std::function<void()> on_detach;
      // The thread that calls it may outlive this object.
      if (detachable_ && options_.terminal)
        on_detach = [io = io_, weak = std::weak_ptr(caller_)] {
          asio::post(*io, [weak] {
            if (auto caller = weak.lock(); caller != nullptr) caller->Stop(0);
          });
        };
      ASSIGN_OR_RETURN(ends.in, PumpStdin(std::move(on_detach)));
    }
    caller_->Start(std::move(ends));
    Resize();
    return absl::OkStatus();
  }

  void AwaitSignals() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (signal != SIGWINCH) return caller_->Stop(128 + signal);
      Resize();
      AwaitSignals();
    });
  }

  void Resize() {
    if (!options_.terminal) return;
    if (const auto size = TerminalSizeHere(); size.has_value()) caller_->Resize(size->first, size->second);
  }

  const StreamOptions& options_;
  const bool detachable_;
  const std::shared_ptr<asio::io_context> io_ = std::make_shared<asio::io_context>(1);
  asio::signal_set signals_{*io_};
  std::shared_ptr<RemoteCaller> caller_;
  absl::StatusOr<int> result_ = absl::UnknownError("the session came to no end");
};

}  // namespace

absl::StatusOr<int> ExecInteractive(Client& client, const std::string& container,
                                    const std::vector<std::string>& command, const StreamOptions& options) {
  ASSIGN_OR_RETURN(const Candidate found, FindContainer(client, container));
  cri::ExecRequest request;
  request.set_container_id(found.id);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_stdin(options.input);
  request.set_stdout(true);
  request.set_stderr(!options.terminal);
  request.set_tty(options.terminal);
  ASSIGN_OR_RETURN(const auto response, client.Get<cri::ExecResponse>(request));
  return Session(options, /*detachable=*/false).Run(response.url());
}

absl::StatusOr<int> Attach(Client& client, const std::string& container, const StreamOptions& options) {
  ASSIGN_OR_RETURN(const Candidate found, FindContainer(client, container));
  cri::AttachRequest request;
  request.set_container_id(found.id);
  request.set_stdin(options.input);
  request.set_stdout(true);
  request.set_stderr(!options.terminal);
  request.set_tty(options.terminal);
  ASSIGN_OR_RETURN(const auto response, client.Get<cri::AttachResponse>(request));
  return Session(options, /*detachable=*/true).Run(response.url());
}

}  // namespace wherry::cli

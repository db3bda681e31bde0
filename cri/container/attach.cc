// Attach: the shim opens a pipe for each output and copies into it what it writes into the log; input goes from the session
// straight into the container's stdin, whose writing end (or terminal) the shim lends. So input costs the shim nothing, a
// full pipe holds up only who writes into it, and the end of a client that has stdin for itself (stdin_once) is seen by the
// container without anybody's help, even when wherryd dies with it.
#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "cri/container/exec_process.h"
#include "cri/container/pipe.h"
#include "cri/container/terminal.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

class Attachment final : public streaming::Process {
 public:
  explicit Attachment(Core& core) : core_(core) {}
  ~Attachment() override {
    if (wait_ != nullptr) core_.ends.Remove(wait_);
  }

  absl::Status Start(const store::ContainerRecord& container, streaming::Streams streams);
  int ended() const override { return wait_->ended(); }
  absl::StatusOr<int> ExitCode() const override;
  absl::Status Resize(uint16_t width, uint16_t height) override { return terminal_.Resize(width, height); }

 private:
  absl::Status Take(shim::Reply reply, streaming::Streams streams);

  Core& core_;
  std::shared_ptr<Ends::Wait> wait_;
  Terminal terminal_;
};

absl::StatusOr<int> Attachment::ExitCode() const {
  ASSIGN_OR_RETURN(const shim::v1::Exit exit, wait_->Exit());
  return exit.code();
}

absl::Status Attachment::Start(const store::ContainerRecord& container, streaming::Streams streams) {
  ASSIGN_OR_RETURN(wait_, core_.ends.Add(container.id(), container.pod_id()));
  WHERRY_FAIL_POINT("stream.attach");
  shim::v1::Request request;
  auto& attach = *request.mutable_attach();
  attach.set_container_id(container.id());
  attach.set_stdin(streams.in);
  attach.set_stdout(streams.out);
  attach.set_stderr(streams.err);
  auto reply = core_.hub.Call(container.pod_id(), std::move(request), kShimTimeout);
  if (absl::IsUnimplemented(reply.status()))
    return absl::UnimplementedError("its pod was started by an older wherry, whose shim cannot attach");
  RETURN_IF_ERROR(reply.status());
  WHERRY_FAIL_POINT("stream.attached");
  return Take(std::move(*reply), streams);
}

// The reply names its descriptors, in their order.
absl::Status Attachment::Take(shim::Reply reply, streaming::Streams streams) {
  const shim::v1::AttachReply& told = reply.message.attach();
  const bool pipe_in = told.stdin() && !told.terminal();
  if (reply.fds.size() != size_t{told.terminal()} + size_t{pipe_in} + size_t{told.stdout()} + size_t{told.stderr()})
    return absl::InternalError("the shim's answer and its descriptors do not agree");
  auto next = reply.fds.begin();
  if (told.terminal()) terminal_ = Terminal(std::move(*next++));
  if (pipe_in) in = std::move(*next++);
  if (told.stdout()) out = std::move(*next++);
  if (told.stderr()) err = std::move(*next++);
  if (told.terminal() && told.stdin()) {
    ASSIGN_OR_RETURN(in, terminal_.Duplicate());
  }
  // What was asked for and cannot come (stderr of a terminal, a stream that was closed) is at its end.
  for (auto [wanted, fd] : {std::pair(streams.out, &out), std::pair(streams.err, &err)}) {
    if (!wanted) continue;
    if (!fd->valid()) {
      ASSIGN_OR_RETURN(Pipe empty, OpenPipe());
      *fd = std::move(empty.reader);
    }
    RETURN_IF_ERROR(SetNonBlocking(*fd));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<streaming::Process>> Attach(Core& core, const std::string& id,
                                                           streaming::Streams streams) {
  ASSIGN_OR_RETURN(store::Container container, FindRunning(core, id));
  auto attachment = std::make_unique<Attachment>(core);
  RETURN_IF_ERROR_CTX(attachment->Start(*container, streams), absl::StrCat("attach to container ", container->id()));
  return std::unique_ptr<streaming::Process>(std::move(attachment));
}

}  // namespace wherry::container

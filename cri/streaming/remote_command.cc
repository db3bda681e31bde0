#include "cri/streaming/remote_command.h"

#include <fcntl.h>

#include <boost/asio/post.hpp>

#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::streaming {

using boost::asio::posix::stream_descriptor;

RemoteCommand::RemoteCommand(Context& context, Request request, std::unique_ptr<RemoteClient> client)
    : context_(context), request_(std::move(request)), client_(std::move(client)) {
  if (request_.streams.in)
    in_.emplace(context_.io, FdSink::Events{[this](size_t bytes) {
                  if (client_ != nullptr) client_->Consumed(Lane::kStdin, bytes);
                }});
}

void RemoteCommand::Start() {
  context_.calls.Run([self = shared_from_this()]() mutable {
    const Request& request = self->request_;
    auto process = request.kind == Kind::kExec
                       ? self->context_.backend.Exec(request.id, request.command, request.streams)
                       : self->context_.backend.Attach(request.id, request.streams);
    boost::asio::post(self->context_.io,
                      [self, process = std::move(process)]() mutable { self->OnStarted(std::move(process)); });
  });
}

void RemoteCommand::OnStarted(absl::StatusOr<std::unique_ptr<Process>> process) {
  if (client_ == nullptr) {
    if (process.ok()) Dispose(*std::move(process));
    return;
  }
  if (!process.ok())
    return Finish(sys::Annotate(process.status(), request_.kind == Kind::kExec ? "error executing command in container"
                                                                               : "error attaching to container"));
  process_ = *std::move(process);
  if (size_.has_value()) (void)process_->Resize(size_->width, size_->height);
  if (in_.has_value()) in_->Open(std::move(process_->in));
  Open(Lane::kStdout, std::move(process_->out));
  Open(Lane::kStderr, std::move(process_->err));
  WatchEnd();
}

void RemoteCommand::Open(Lane lane, sys::UniqueFd fd) {
  if (!fd.valid()) return;
  Output& output = this->output(lane);
  output.reading = true;
  output.source = std::make_unique<FdSource>(context_.io, std::move(fd),
                                             FdSource::Events{[this, lane](Chunk chunk) {
                                                                if (client_ == nullptr) return;
                                                                this->output(lane).sending = true;
                                                                client_->Send(lane, std::move(chunk));
                                                              },
                                                              [this, lane](const absl::Status&) {
                                                                if (client_ == nullptr) return;
                                                                this->output(lane).reading = false;
                                                                client_->End(lane);
                                                                FinishIfDone();
                                                              }},
                                             client_->TakesPipes());
}

void RemoteCommand::WatchEnd() {
  const int fd = ::fcntl(process_->ended(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return Finish(sys::Errno("fcntl F_DUPFD_CLOEXEC"));
  ended_fd_.emplace(context_.io, fd);
  ended_fd_->async_wait(stream_descriptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->OnProcessEnd();
  });
}

void RemoteCommand::OnProcessEnd() {
  if (client_ == nullptr) return;
  ended_ = true;
  for (Output* output : {&out_, &err_})
    if (output->source != nullptr && client_ != nullptr) output->source->EndWhenEmpty();
  FinishIfDone();
}

void RemoteCommand::OnData(Lane lane, absl::string_view data) {
  if (client_ == nullptr) return;
  if (lane == Lane::kStdin && in_.has_value()) return in_->Write(data);
  client_->Consumed(lane, data.size());
  if (lane == Lane::kResize) Resize(data);
}

void RemoteCommand::Resize(absl::string_view data) {
  TerminalSize size;
  absl::StatusOr<bool> any = resizes_.Read(data, &size);
  if (!any.ok()) return Finish(any.status());
  if (!*any) return;
  size_ = size;
  if (process_ != nullptr) (void)process_->Resize(size.width, size.height);  // without a terminal it means nothing
}

void RemoteCommand::OnEnd(Lane lane) {
  if (lane == Lane::kStdin && in_.has_value()) in_->Close();
}

// As in a pipeline: who writes to what nobody reads is told so by SIGPIPE.
void RemoteCommand::OnReset(Lane lane) {
  if (client_ == nullptr) return;
  if (lane == Lane::kStdin) return OnEnd(lane);
  if (lane != Lane::kStdout && lane != Lane::kStderr) return;
  Output& output = this->output(lane);
  output.source.reset();
  output.reading = output.sending = false;
  FinishIfDone();
}

void RemoteCommand::OnSent(Lane lane) {
  if (client_ == nullptr || (lane != Lane::kStdout && lane != Lane::kStderr)) return;
  Output& output = this->output(lane);
  if (!output.sending) return;
  output.sending = false;
  if (output.source != nullptr && output.reading) return output.source->Next();
  FinishIfDone();
}

void RemoteCommand::FinishIfDone() {
  if (client_ == nullptr || !ended_) return;
  for (const Output* output : {&out_, &err_})
    if (output->reading || output->sending) return;
  // An attachment that came to its end is a success, however the container ended.
  Finish(request_.kind == Kind::kExec ? process_->ExitCode() : 0);
}

void RemoteCommand::Finish(const absl::StatusOr<int>& exit_code) {
  const std::string verdict = Verdict(exit_code, client_->VerdictIsObject());
  if (!verdict.empty()) client_->Send(Lane::kError, Chunk::Copy(verdict));
  for (Lane lane : {Lane::kStdout, Lane::kStderr, Lane::kError}) client_->End(lane);
  client_->Close();
  OnGone();
}

void RemoteCommand::OnGone() {
  if (client_ == nullptr) return;
  // We may have been called by any of these.
  boost::asio::post(context_.io, [self = shared_from_this(), client = std::move(client_), out = std::move(out_),
                                  err = std::move(err_)]() mutable { self->in_.reset(); });
  client_ = nullptr;
  out_ = {};
  err_ = {};
  if (ended_fd_.has_value()) {
    boost::system::error_code ignored;
    ended_fd_->close(ignored);
  }
  if (process_ != nullptr) Dispose(std::move(process_));
}

void RemoteCommand::Dispose(std::unique_ptr<Process> process) {
  // Its end may wait for the shim.
  context_.calls.Run([process = std::move(process)]() mutable { process.reset(); });
}

void RemoteCommand::Fail(const absl::Status& why) {
  if (client_ != nullptr) Finish(why);
}

void RemoteCommand::Stop() {
  if (client_ != nullptr) Finish(absl::UnavailableError("wherryd stops"));
}

}  // namespace wherry::streaming

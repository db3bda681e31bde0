#include "cri/streaming/client/remote_caller.h"

#include <boost/asio/post.hpp>

#include "absl/strings/str_cat.h"
#include "cri/streaming/verdict.h"

namespace wherry::streaming {
namespace {
constexpr size_t kMaxVerdict = 64 << 10;
}

RemoteCaller::RemoteCaller(asio::io_context& io, std::shared_ptr<SpdyLink> link, Streams streams, OnDone on_done)
    : io_(io), link_(std::move(link)), streams_(streams), on_done_(std::move(on_done)) {}

uint32_t RemoteCaller::OpenStream(const char* type) { return link_->Open({{"streamtype", type}}); }

void RemoteCaller::OpenOutput(Output& output, const char* type, sys::UniqueFd fd) {
  output.id = OpenStream(type);
  output.sink.emplace(io_, FdSink::Events{[this, &output](size_t bytes) {
                        output.held -= bytes;
                        link_->Consumed(output.id, bytes);
                        // Nobody reads it any more: the command is told so, as in a pipeline.
                        if (output.sink->broken()) link_->Reset(output.id, spdy::Reset::kCancel);
                        FinishIfDone();
                      }});
  output.sink->Open(std::move(fd));
}

void RemoteCaller::Start(Ends ends) {
  link_->Start(shared_from_this());
  error_ = OpenStream("error");
  if (streams_.in) in_ = OpenStream("stdin");
  if (streams_.out) OpenOutput(out_, "stdout", std::move(ends.out));
  if (streams_.err) OpenOutput(err_, "stderr", std::move(ends.err));
  if (streams_.tty) resize_ = OpenStream("resize");
  if (!streams_.in) return;
  source_ = std::make_unique<FdSource>(io_, std::move(ends.in),
                                       FdSource::Events{[this](Chunk chunk) { link_->Send(in_, std::move(chunk)); },
                                                        [this](const absl::Status&) { link_->Finish(in_); }});
}

void RemoteCaller::Resize(uint16_t width, uint16_t height) {
  if (resize_ != 0 && !result_.has_value())
    link_->Send(resize_, Chunk::Copy(absl::StrCat("{\"Width\":", width, ",\"Height\":", height, "}")));
}

void RemoteCaller::Stop(absl::StatusOr<int> why) {
  if (result_.has_value()) return;
  result_ = std::move(why);
  link_->Close();
  FinishIfDone();
}

void RemoteCaller::OnStream(uint32_t id, const spdy::Headers&) { link_->Reset(id, spdy::Reset::kRefusedStream); }

void RemoteCaller::OnData(uint32_t id, absl::string_view data) {
  for (Output* output : {&out_, &err_}) {
    if (output->id != id || !output->sink.has_value()) continue;
    output->held += data.size();
    return output->sink->Write(data);
  }
  link_->Consumed(id, data.size());
  if (id == error_ && verdict_.size() + data.size() <= kMaxVerdict) absl::StrAppend(&verdict_, data);
}

void RemoteCaller::OnEnd(uint32_t id) {
  if (id == error_) error_ended_ = true;
}

// Nobody reads the input any more, which is the command's business.
void RemoteCaller::OnReset(uint32_t id) {
  if (id == in_ && source_ != nullptr) asio::post(io_, [source = std::shared_ptr<FdSource>(std::move(source_))] {});
}

void RemoteCaller::OnSent(uint32_t id) {
  if (id == in_ && source_ != nullptr) source_->Next();
}

void RemoteCaller::OnGone() {
  if (result_.has_value()) return;
  if (!verdict_.empty()) {
    result_ = ReadVerdict(verdict_);
  } else if (error_ended_) {
    result_ = 0;
  } else {
    result_ = absl::UnavailableError("the connection has ended before the command did");
  }
  FinishIfDone();
}

void RemoteCaller::FinishIfDone() {
  if (!result_.has_value() || on_done_ == nullptr || out_.held + err_.held > 0) return;
  // We may have been called by a sink.
  asio::post(io_, [self = shared_from_this(), on_done = std::exchange(on_done_, nullptr)] {
    self->source_.reset();
    self->out_.sink.reset();
    self->err_.sink.reset();
    on_done(*self->result_);
  });
}

}  // namespace wherry::streaming

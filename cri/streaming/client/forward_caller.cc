#include "cri/streaming/client/forward_caller.h"

#include <boost/asio/post.hpp>

#include "absl/strings/str_cat.h"

namespace wherry::streaming {
namespace {
constexpr size_t kMaxError = 4 << 10;
}

void ForwardCaller::Join(sys::UniqueFd socket, sys::UniqueFd duplicate, uint16_t port) {
  const std::string number = absl::StrCat(port), request = absl::StrCat(requests_++);
  const uint32_t error = link_->Open({{"streamtype", "error"}, {"port", number}, {"requestid", request}});
  if (error == 0) return events_.on_error("no further connection can be forwarded");
  link_->Finish(error);  // the server's to write
  const uint32_t id = link_->Open({{"streamtype", "data"}, {"port", number}, {"requestid", request}});
  errors_[error];
  Pair& pair = pairs_[id];
  pair.error = error;
  pair.sink = std::make_unique<FdSink>(io_, FdSink::Events{[this, id](size_t bytes) {
                                         link_->Consumed(id, bytes);
                                         EndIfOver(id);
                                       }});
  pair.source =
      std::make_unique<FdSource>(io_, std::move(socket),
                                 FdSource::Events{[this, id](Chunk chunk) { link_->Send(id, std::move(chunk)); },
                                                  [this, id](const absl::Status&) { OnLocalEnd(id); }});
  pair.sink->Open(std::move(duplicate));
}

void ForwardCaller::OnLocalEnd(uint32_t id) {
  link_->Finish(id);
  pairs_[id].local_ended = true;
  EndIfOver(id);
}

void ForwardCaller::Stop() {
  while (!pairs_.empty()) Drop(pairs_.begin()->first);
  link_->Close();
}

void ForwardCaller::OnStream(uint32_t id, const spdy::Headers&) { link_->Reset(id, spdy::Reset::kRefusedStream); }

void ForwardCaller::OnData(uint32_t id, absl::string_view data) {
  if (auto pair = pairs_.find(id); pair != pairs_.end()) return pair->second.sink->Write(data);
  link_->Consumed(id, data.size());
  auto error = errors_.find(id);
  if (error != errors_.end() && error->second.size() + data.size() <= kMaxError) absl::StrAppend(&error->second, data);
}

void ForwardCaller::OnEnd(uint32_t id) {
  if (auto error = errors_.find(id); error != errors_.end()) {
    const std::string text = std::move(error->second);
    errors_.erase(error);
    if (!text.empty()) events_.on_error(text);
    return;
  }
  auto pair = pairs_.find(id);
  if (pair == pairs_.end()) return;
  pair->second.pod_ended = true;
  pair->second.sink->Close();
  EndIfOver(id);
}

void ForwardCaller::OnReset(uint32_t id) {
  errors_.erase(id);
  Drop(id);
}

void ForwardCaller::OnSent(uint32_t id) {
  auto pair = pairs_.find(id);
  if (pair != pairs_.end() && !pair->second.local_ended) pair->second.source->Next();
}

void ForwardCaller::EndIfOver(uint32_t id) {
  auto pair = pairs_.find(id);
  // What is left for the local socket is still written: the sink goes when it has.
  if (pair != pairs_.end() && pair->second.local_ended && pair->second.pod_ended && pair->second.sink->broken())
    Drop(id);
}

void ForwardCaller::Drop(uint32_t id) {
  auto pair = pairs_.find(id);
  if (pair == pairs_.end()) return;
  // We may have been called by one of its ends.
  asio::post(io_, [self = shared_from_this(), ended = std::make_shared<Pair>(std::move(pair->second))] {});
  pairs_.erase(pair);
}

void ForwardCaller::OnGone() {
  while (!pairs_.empty()) Drop(pairs_.begin()->first);
  events_.on_gone();
}

}  // namespace wherry::streaming

#pragma once

#include <google/protobuf/repeated_ptr_field.h>
#include <grpcpp/support/sync_stream.h>

#include <utility>

#include "absl/status/status.h"

// The Stream* RPCs give what the List RPCs give, in messages small enough for any limit on their size: on a node with many
// containers one list may exceed the 16 MiB that a kubelet takes. An empty list is a stream without messages; each item comes
// once, all from one look at the state.
namespace wherry::server {

constexpr size_t kPieceBytes = 1 << 20;

// Moves `items` into messages of about kPieceBytes at the most and writes them. Cancelled when the client is gone.
template <typename Message, typename Item>
absl::Status WriteInPieces(google::protobuf::RepeatedPtrField<Item>& items,
                           google::protobuf::RepeatedPtrField<Item>* (Message::*field)(),
                           grpc::ServerWriter<Message>* writer) {
  Message piece;
  size_t bytes = 0;
  for (int i = 0; i < items.size(); ++i) {
    bytes += items[i].ByteSizeLong();
    (piece.*field)()->Add(std::move(items[i]));
    if (i + 1 < items.size() && bytes + items[i + 1].ByteSizeLong() <= kPieceBytes) continue;
    if (!writer->Write(piece)) return absl::CancelledError("the client has gone");
    piece.Clear();
    bytes = 0;
  }
  return absl::OkStatus();
}

}  // namespace wherry::server

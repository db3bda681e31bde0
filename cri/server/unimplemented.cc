#include "absl/strings/str_cat.h"
#include "cri/server/runtime_service.h"

// The RPCs that this version lacks. Unimplemented is an answer that the kubelet knows what to do with: it goes on without,
// or fails an exec with our text.
namespace wherry::server {
namespace {

absl::Status Lacking(absl::string_view rpc) {
  return absl::UnimplementedError(absl::StrCat("wherry " WHERRY_VERSION " does not implement ", rpc));
}

}  // namespace

#define WHERRY_LACKS(NAME)                                                                                   \
  grpc::Status RuntimeService::NAME(grpc::ServerContext*, const cri::NAME##Request*, cri::NAME##Response*) { \
    return edge_.Serve({#NAME, Kind::kRead, ""}, [] { return Lacking(#NAME); });                             \
  }

WHERRY_LACKS(CheckpointContainer)

}  // namespace wherry::server

#include "absl/time/time.h"
#include "cri/pod/service.h"
#include "cri/server/runtime_service.h"
#include "runtime/sys/status.h"

namespace wherry::server {

// How often a quiet stream looks whether its client is still there.
constexpr absl::Duration kLook = absl::Seconds(1);

// Ends when the client goes, when it falls behind or when wherryd stops.
grpc::Status RuntimeService::GetContainerEvents(grpc::ServerContext* context, const cri::GetEventsRequest*,
                                                grpc::ServerWriter<cri::ContainerEventResponse>* writer) {
  return edge_.Serve({"GetContainerEvents", Kind::kRead, ""}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(std::unique_ptr<pod::Subscription> subscription, backends_.pods.Subscribe());
    writer->SendInitialMetadata();  // the client knows that nothing escapes it from here on
    while (!context->IsCancelled()) {
      ASSIGN_OR_RETURN(pod::Subscription::Event event, subscription->Next(kLook));
      if (event != nullptr && !writer->Write(*event)) break;
    }
    return absl::OkStatus();
  });
}

}  // namespace wherry::server

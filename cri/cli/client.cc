// The one place where the command line meets gRPC. A runtime that does not answer is by far the most frequent error, and
// gRPC's text for it ("failed to connect to all addresses") does not help an operator; so Unavailable is looked into: no socket,
// no right to open it, or nobody behind it.

#include "cri/cli/client.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/cri/v1/api.grpc.pb.h"
#include "api/wherry/v1/wherry.grpc.pb.h"

namespace wherry::cli {
namespace {

// ExecSync returns up to 16 MiB of each stream, lists of thousands of containers are larger than gRPC's default of 4 MiB.
constexpr int kMaxMessage = 64 << 20;

std::string SocketOf(absl::string_view endpoint) {
  absl::ConsumePrefix(&endpoint, "unix:");
  if (absl::StartsWith(endpoint, "//")) endpoint.remove_prefix(2);
  return std::string(endpoint);
}

std::string WhyUnavailable(const std::string& socket, const std::string& text) {
  if (::access(socket.c_str(), F_OK) != 0 && errno == ENOENT)
    return absl::StrCat("no socket at ", socket, ": is wherryd running? (--endpoint names another socket)");
  if (::access(socket.c_str(), W_OK) != 0 && errno == EACCES)
    return absl::StrCat("no permission to use ", socket, ": run this as root");
  return absl::StrCat("nobody answers at ", socket, ": ", text);
}

absl::Status FromGrpc(const grpc::Status& status, const std::string& socket) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());  // the numbers are the same by design
  if (code == absl::StatusCode::kUnavailable)
    return absl::UnavailableError(WhyUnavailable(socket, status.error_message()));
  return absl::Status(code, status.error_message());
}

}  // namespace

struct Client::Stubs {
  std::unique_ptr<cri::RuntimeService::Stub> runtime;
  std::unique_ptr<cri::ImageService::Stub> image;
  std::unique_ptr<v1::Wherry::Stub> wherry;
};

Client::Client(std::string endpoint, std::unique_ptr<Stubs> stubs)
    : endpoint_(std::move(endpoint)), stubs_(std::move(stubs)) {}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Create(const std::string& endpoint) {
  const std::string socket = SocketOf(endpoint);
  if (socket.empty() || socket[0] != '/')
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint \"", endpoint, "\": write it as unix:///path/of/the/socket"));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  auto channel = grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
  auto stubs = std::make_unique<Stubs>();
  stubs->runtime = cri::RuntimeService::NewStub(channel);
  stubs->image = cri::ImageService::NewStub(channel);
  stubs->wherry = v1::Wherry::NewStub(channel);
  return std::unique_ptr<Client>(new Client(socket, std::move(stubs)));
}

template <typename Stub, typename Method, typename Request, typename Response>
absl::Status Client::Do(Stub& stub, Method method, const Request& request, Response& response, absl::Duration timeout) {
  grpc::ClientContext context;
  if (timeout < absl::InfiniteDuration())
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
  return FromGrpc((stub.*method)(&context, request, &response), endpoint_);
}

absl::Status Client::Stream(const v1::PullImageRequest& request,
                            const std::function<void(const v1::PullImageResponse&)>& take) {
  grpc::ClientContext context;
  auto reader = stubs_->wherry->PullImage(&context, request);
  v1::PullImageResponse message;
  while (reader->Read(&message)) take(message);
  return FromGrpc(reader->Finish(), endpoint_);
}

absl::Status Client::Stream(const v1::ExportImageRequest& request,
                            const std::function<absl::Status(const v1::ExportImageResponse&)>& take) {
  grpc::ClientContext context;
  auto reader = stubs_->wherry->ExportImage(&context, request);
  v1::ExportImageResponse message;
  absl::Status taken;
  while (taken.ok() && reader->Read(&message)) taken = take(message);
  if (!taken.ok()) context.TryCancel();
  const absl::Status ended = FromGrpc(reader->Finish(), endpoint_);
  return taken.ok() ? ended : taken;
}

// One RPC of a service: the overload of Call for its request.
#define WHERRY_RPC(field, service, ns, name)                                                                          \
  absl::Status Client::Call(const ns::name##Request& request, ns::name##Response& response, absl::Duration timeout) { \
    return Do(*stubs_->field, &service::Stub::name, request, response, timeout);                                      \
  }

WHERRY_RPC(runtime, cri::RuntimeService, cri, Version)
WHERRY_RPC(runtime, cri::RuntimeService, cri, Status)
WHERRY_RPC(runtime, cri::RuntimeService, cri, RunPodSandbox)
WHERRY_RPC(runtime, cri::RuntimeService, cri, StopPodSandbox)
WHERRY_RPC(runtime, cri::RuntimeService, cri, RemovePodSandbox)
WHERRY_RPC(runtime, cri::RuntimeService, cri, PodSandboxStatus)
WHERRY_RPC(runtime, cri::RuntimeService, cri, ListPodSandbox)
WHERRY_RPC(runtime, cri::RuntimeService, cri, CreateContainer)
WHERRY_RPC(runtime, cri::RuntimeService, cri, StartContainer)
WHERRY_RPC(runtime, cri::RuntimeService, cri, StopContainer)
WHERRY_RPC(runtime, cri::RuntimeService, cri, RemoveContainer)
WHERRY_RPC(runtime, cri::RuntimeService, cri, ContainerStatus)
WHERRY_RPC(runtime, cri::RuntimeService, cri, ListContainers)
WHERRY_RPC(runtime, cri::RuntimeService, cri, ExecSync)
WHERRY_RPC(runtime, cri::RuntimeService, cri, Exec)
WHERRY_RPC(runtime, cri::RuntimeService, cri, Attach)
WHERRY_RPC(runtime, cri::RuntimeService, cri, PortForward)
WHERRY_RPC(image, cri::ImageService, cri, ListImages)
WHERRY_RPC(image, cri::ImageService, cri, ImageStatus)
WHERRY_RPC(image, cri::ImageService, cri, PullImage)
WHERRY_RPC(image, cri::ImageService, cri, RemoveImage)
WHERRY_RPC(wherry, v1::Wherry, v1, ImportImage)
WHERRY_RPC(wherry, v1::Wherry, v1, TagImage)
WHERRY_RPC(wherry, v1::Wherry, v1, UntagImage)
WHERRY_RPC(wherry, v1::Wherry, v1, VerifyImages)

#undef WHERRY_RPC

}  // namespace wherry::cli

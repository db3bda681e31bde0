#include "cri/image/fetch_server.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "cri/image/channel.h"
#include "cri/image/http_transport.h"
#include "cri/image/reference.h"
#include "cri/image/registry_client.h"
#include "cri/image/sandbox.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxRequest = 4096;
constexpr int kMaxRunning = 64;

struct Incoming {
  pb::FetchRequest request;
  sys::UniqueFd data, result;
};

// Room for a message with two descriptors.
union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(2 * sizeof(int))];
};

// Unavailable when the peer has gone.
absl::StatusOr<Incoming> ReceiveFetch(int socket) {
  std::array<char, kMaxRequest> buffer;
  Control control{};
  struct iovec part = {buffer.data(), buffer.size()};
  struct msghdr message {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return sys::Errno("recvmsg");
  if (n == 0) return absl::UnavailableError("the unpacking half has gone");
  Incoming in;
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head == nullptr || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
      head->cmsg_len != CMSG_LEN(2 * sizeof(int)))
    return absl::InvalidArgumentError("a fetch without two descriptors");
  int fds[2];
  std::memcpy(fds, CMSG_DATA(head), sizeof(fds));
  in.data.reset(fds[0]);
  in.result.reset(fds[1]);
  if (!in.request.ParseFromArray(buffer.data(), static_cast<int>(n)))
    return absl::InvalidArgumentError("a malformed fetch");
  return in;
}

absl::Status Fetch(RegistryClient& client, const Incoming& in) {
  const int out = in.data.get();
  if (!in.request.manifest().empty()) {
    ASSIGN_OR_RETURN(std::string text, client.Manifest(in.request.manifest(), in.request.size()));
    return sys::WriteAll(out, text);
  }
  return client.Blob(in.request.blob(), in.request.size(),
                     [out](absl::string_view chunk) { return sys::WriteAll(out, chunk); });
}

void Serve(RegistryClient& client, Incoming in) {
  pb::FetchResult result;
  if (absl::Status status = Fetch(client, in); !status.ok())
    *result.mutable_failure() = FailureMessage(status).failure();
  in.data.reset();
  WHERRY_CRASH_POINT("fetch.fetched");
  // The byte at the end says that this is all, even of an empty message.
  (void)sys::WriteAll(in.result.get(), result.SerializeAsString() + '\n').ok();
}

PullAuth FromProto(const pb::PullRequest::Auth& auth) {
  return {auth.username(),       auth.password(),       auth.auth(),
          auth.server_address(), auth.identity_token(), auth.registry_token()};
}

absl::StatusOr<std::unique_ptr<RegistryClient>> MakeClient(const pb::PullRequest& request, HttpTransport& transport,
                                                           absl::StatusOr<std::vector<RegistryHost>> hosts) {
  RETURN_IF_ERROR(hosts.status());
  ASSIGN_OR_RETURN(Reference reference, ParseReference(request.reference()));
  ASSIGN_OR_RETURN(Credentials credentials, ReadCredentials(FromProto(request.auth()), reference.domain));
  return std::make_unique<RegistryClient>(transport, *std::move(hosts), reference, std::move(credentials),
                                          RegistryClient::Options{});
}

// What the fetches use, for as long as one of them runs: they may outlast RunFetcher(), which is left when the other half is gone.
struct Fetcher {
  std::unique_ptr<HttpTransport> transport;
  absl::StatusOr<std::unique_ptr<RegistryClient>> client;
  std::atomic<int> running{0};
};

void StartFetch(const std::shared_ptr<Fetcher>& fetcher, Incoming in) {
  ++fetcher->running;
  std::thread([fetcher, in = std::make_shared<Incoming>(std::move(in))] {
    Serve(**fetcher->client, std::move(*in));
    --fetcher->running;
  }).detach();
}

}  // namespace

absl::Status RunFetcher(const pb::PullRequest& request, sys::UniqueFd socket, pid_t parent) {
  (void)::signal(SIGPIPE, SIG_IGN);  // who asked may give up
  absl::StatusOr<std::vector<RegistryHost>> hosts = absl::InternalError("");
  if (absl::StatusOr<Reference> reference = ParseReference(request.reference()); reference.ok())
    hosts = RegistryHosts(request.config_path(), reference->domain);
  RETURN_IF_ERROR_CTX(EnterFetchSandbox(), "sandbox of the fetching half");
  // After the change of user, which would clear it. The parent may have died before.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return sys::Errno("prctl PR_SET_PDEATHSIG");
  if (::getppid() != parent) return absl::UnavailableError("the unpacking half has gone");
  const auto fetcher = std::make_shared<Fetcher>();
  ASSIGN_OR_RETURN(fetcher->transport, HttpTransport::Start(HttpTransport::Limits{}));
  fetcher->client = MakeClient(request, *fetcher->transport, std::move(hosts));
  while (true) {
    ASSIGN_OR_RETURN(Incoming in, ReceiveFetch(socket.get()));
    WHERRY_FAIL_POINT("fetch.asked");
    if (!fetcher->client.ok()) {  // told to who asks
      pb::FetchResult result;
      *result.mutable_failure() = FailureMessage(fetcher->client.status()).failure();
      (void)sys::WriteAll(in.result.get(), result.SerializeAsString() + '\n').ok();
      continue;
    }
    if (fetcher->running >= kMaxRunning) return absl::ResourceExhaustedError("too many fetches at a time");
    StartFetch(fetcher, std::move(in));
  }
}

}  // namespace wherry::image

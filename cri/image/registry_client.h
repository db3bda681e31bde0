#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/http_transport.h"
#include "cri/image/reference.h"
#include "cri/image/registry_auth.h"
#include "cri/image/registry_hosts.h"
#include "runtime/sys/clock.h"

// The pulling part of the OCI distribution protocol over several hosts: each request goes to them in order until one gives the
// answer. What is worth another try (no connection, 429, 5xx, a cut) is tried again after a pause, a blob from where it broke off,
// wherever the next bytes come from; that is safe because the whole is verified by its digest. Thread-safe.
namespace wherry::image {

class RegistryClient {
 public:
  struct Options {
    int tries = 5;                                   // rounds over all hosts that brought less than …
    uint64_t progress = 64 << 10;                    // … bytes: a server that trickles could go on for ever else
    absl::Duration pause = absl::Milliseconds(200);  // before the second; doubles
    absl::Duration max_pause = absl::Seconds(10);
    uint64_t range =
        8 << 20;  // a blob of more than two is fetched in pieces of this size, each of which has room in memory …
    size_t ranges = 3;  // … so many at a time
  };
  RegistryClient(HttpTransport& transport, std::vector<RegistryHost> hosts, const Reference& reference,
                 Credentials credentials, const Options& options);

  // The manifest or index of a tag or digest. Unverified. Its digest is the caller's to compute.
  absl::StatusOr<std::string> Manifest(const std::string& tag_or_digest, size_t max);
  // Gives the blob's `size` bytes to `sink`, in order. An error of the sink ends it. Unverified.
  using Sink = std::function<absl::Status(absl::string_view)>;
  absl::Status Blob(const std::string& digest, uint64_t size, const Sink& sink);

 private:
  struct Answer {
    std::unique_ptr<HttpTransfer> transfer;
    HttpResponse response;
    std::string url;  // to be shown
  };
  struct Progress;
  using Attempt = std::function<absl::Status(const RegistryHost&)>;

  absl::Status OverHosts(bool by_tag, const std::function<uint64_t()>& done, const Attempt& attempt);
  absl::Status Round(std::vector<const RegistryHost*>& hosts, sys::Deadline* retry_after, const Attempt& attempt);
  absl::StatusOr<Answer> Get(const RegistryHost& host, const std::string& path,
                             const std::vector<std::string>& headers);
  std::vector<const RegistryHost*> Hosts(bool by_tag) const;
  void NoteAnswer(const RegistryHost& host, bool answered);
  absl::StatusOr<Answer> Follow(const RegistryHost& host, HttpRequest request);
  absl::Status Refusal(Answer& answer, const absl::Status& auth);
  absl::Status FetchFrom(const RegistryHost& host, const std::string& digest, Progress& progress);

  HttpTransport& transport_;
  const std::vector<RegistryHost> hosts_;
  const Reference reference_;
  Authorizer authorizer_;
  const Options options_;
  mutable std::mutex mutex_;
  std::set<const RegistryHost*> silent_;  // gave no answer when they were asked last
};

}  // namespace wherry::image

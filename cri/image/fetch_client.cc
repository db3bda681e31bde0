#include "cri/image/fetch_client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "cri/image/channel.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr int kPipeBytes = 1 << 20;  // the most that a process may ask for by default
constexpr size_t kMaxResult = 16 << 10;

struct Pipe {
  sys::UniqueFd reader, writer;
};

// Room for a message with two descriptors.
union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(2 * sizeof(int))];
};

// Sends a request with the two descriptors that it is to be answered to.
absl::Status SendFetch(int socket, const pb::FetchRequest& request, int data, int result) {
  std::string body = request.SerializeAsString();
  const int fds[2] = {data, result};
  Control control{};
  struct iovec part = {body.data(), body.size()};
  struct msghdr message {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(fds));
  std::memcpy(CMSG_DATA(head), fds, sizeof(fds));
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) return sys::Errno("sendmsg to the fetching half of wherry-pull");
  return absl::OkStatus();
}

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  return Pipe{sys::UniqueFd(fds[0]), sys::UniqueFd(fds[1])};
}

class PipeSource final : public ByteSource {
 public:
  PipeSource(sys::UniqueFd data, sys::UniqueFd result, std::shared_ptr<std::atomic<uint64_t>> count)
      : data_(std::move(data)), result_(std::move(result)), count_(std::move(count)), buffer_(kPipeBytes) {}

  absl::StatusOr<absl::string_view> Next() override {
    if (ended_) return absl::string_view();
    ssize_t n = 0;
    do {
      n = ::read(data_.get(), buffer_.data(), buffer_.size());
    } while (n < 0 && errno == EINTR);
    if (n < 0) return sys::Errno("read of the fetching half's pipe");
    if (n == 0) {
      ended_ = true;
      RETURN_IF_ERROR(Result());
    }
    if (count_) *count_ += static_cast<uint64_t>(n);
    return absl::string_view(buffer_.data(), static_cast<size_t>(n));
  }

 private:
  absl::Status Result() {
    ASSIGN_OR_RETURN(std::string text, sys::ReadAll(result_.get(), kMaxResult));
    pb::FetchResult result;
    // The last byte tells an empty message from a process that died.
    if (text.empty() || !result.ParseFromArray(text.data(), static_cast<int>(text.size()) - 1))
      return absl::InternalError("the fetching half of wherry-pull has died");
    return result.has_failure() ? FailureStatus(result.failure()) : absl::OkStatus();
  }

  const sys::UniqueFd data_, result_;
  const std::shared_ptr<std::atomic<uint64_t>> count_;
  std::vector<char> buffer_;
  bool ended_ = false;
};

absl::StatusOr<std::string> ReadAllOf(ByteSource& source, size_t max) {
  std::string text;
  while (true) {
    ASSIGN_OR_RETURN(absl::string_view chunk, source.Next());
    if (chunk.empty()) return text;
    text.append(chunk.data(), chunk.size());
    if (text.size() > max)
      return absl::InvalidArgumentError(absl::StrCat("the document has more than ", max, " bytes"));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> FetchClient::Ask(const pb::FetchRequest& request,
                                                             std::shared_ptr<std::atomic<uint64_t>> count) const {
  ASSIGN_OR_RETURN(Pipe data, MakePipe());
  ASSIGN_OR_RETURN(Pipe result, MakePipe());
  (void)::fcntl(data.writer.get(), F_SETPIPE_SZ, kPipeBytes);  // a smaller one is only slower
  RETURN_IF_ERROR(SendFetch(socket_.get(), request, data.writer.get(), result.writer.get()));
  return std::unique_ptr<ByteSource>(
      std::make_unique<PipeSource>(std::move(data.reader), std::move(result.reader), std::move(count)));
}

absl::StatusOr<std::string> FetchClient::Manifest(const std::string& tag_or_digest, size_t max) const {
  pb::FetchRequest request;
  request.set_manifest(tag_or_digest);
  request.set_size(max);
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, Ask(request, nullptr));
  return ReadAllOf(*source, max);
}

absl::StatusOr<std::string> FetchClient::Read(Document kind, const oci::Descriptor& d, size_t max) const {
  if (d.size > max)
    return absl::InvalidArgumentError(absl::StrCat(d.digest, " has ", d.size, " bytes; at most ", max, " are read"));
  if (kind == Document::kManifest) return Manifest(d.digest, max);
  pb::FetchRequest request;
  request.set_blob(d.digest);
  request.set_size(d.size);
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, Ask(request, nullptr));
  return ReadAllOf(*source, max);
}

absl::StatusOr<std::unique_ptr<ByteSource>> FetchClient::Open(const PlannedLayer& layer) const {
  auto count = std::make_shared<std::atomic<uint64_t>>(0);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    layers_[layer.blob_digest] = {layer.where.size, count};
  }
  pb::FetchRequest request;
  request.set_blob(layer.blob_digest);
  request.set_size(layer.where.size);
  return Ask(request, std::move(count));
}

pb::PullMessage FetchClient::Progress() const {
  pb::PullMessage message;
  message.mutable_progress();
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [digest, layer] : layers_) {
    pb::LayerProgress* to = message.mutable_progress()->add_layers();
    to->set_digest(digest);
    to->set_size(layer.size);
    to->set_done(*layer.done);
  }
  return message;
}

}  // namespace wherry::image

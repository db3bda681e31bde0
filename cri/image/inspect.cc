#include "cri/image/inspect.h"

#include <fcntl.h>
#include <unistd.h>

#include "cri/image/channel.h"
#include "cri/image/layer_name.h"
#include "cri/image/pull_process.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kPiece = 256 << 10;

// One that vanished in mid-sentence says more by the way it ended.
absl::StatusOr<pb::PullMessage> Answer(PullProcess& process) {
  absl::StatusOr<pb::PullMessage> message = Receive(process.control());
  if (absl::IsUnavailable(message.status())) RETURN_IF_ERROR(process.Wait());
  RETURN_IF_ERROR(message.status());
  if (message->has_failure()) return FailureStatus(message->failure());
  RETURN_IF_ERROR(process.Wait());
  return message;
}

absl::Status Relay(int from, const ImageStore::Sink& sink) {
  std::string buffer(kPiece, '\0');
  while (true) {
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::Errno("read of the archive");
    if (n == 0) return absl::OkStatus();
    RETURN_IF_ERROR(sink(absl::string_view(buffer.data(), static_cast<size_t>(n))));
  }
}

}  // namespace

pb::StoredLayer StoredLayerOf(const pb::LayerRecord& record) {
  pb::StoredLayer layer;
  layer.set_diff_id(record.diff_id());
  layer.set_directory(LayerDirName(record.diff_id(), record.generation()));
  layer.set_index_digest(record.index_digest());
  layer.set_tar_bytes(record.tar_bytes());
  layer.set_rebuildable(record.rebuildable());
  return layer;
}

absl::StatusOr<std::vector<LayerFindings>> AskForCheck(const std::string& program, const StoreDirs& dirs,
                                                       const pb::CheckRequest& request) {
  ASSIGN_OR_RETURN(PullProcess process, PullProcess::Start(program, {-1, dirs.top(), dirs.pull_lock(), "check"}));
  pb::PullMessage message;
  *message.mutable_check() = request;
  RETURN_IF_ERROR(Send(process.control(), message));
  ASSIGN_OR_RETURN(message, Answer(process));
  std::vector<LayerFindings> out;
  for (const pb::LayerFindings& layer : message.checked().layers())
    out.push_back({layer.diff_id(), {layer.findings().begin(), layer.findings().end()}, layer.count()});
  const int asked = request.layers_size();
  if (out.size() != static_cast<size_t>(asked)) return absl::InternalError("wherry-pull did not check all layers");
  for (int i = 0; i < asked; ++i)
    if (out[static_cast<size_t>(i)].diff_id != request.layers(i).diff_id())
      return absl::InternalError("wherry-pull checked another layer than was asked for");
  return out;
}

absl::Status AskForExport(const std::string& program, const StoreDirs& dirs, const pb::ExportRequest& request,
                          const ImageStore::Sink& sink) {
  int pair[2];
  if (::pipe2(pair, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  const sys::UniqueFd reading(pair[0]);
  sys::UniqueFd writing(pair[1]);
  ASSIGN_OR_RETURN(PullProcess process,
                   PullProcess::Start(program, {writing.get(), dirs.top(), dirs.pull_lock(), "export"}));
  writing.reset();
  pb::PullMessage message;
  *message.mutable_archive() = request;
  RETURN_IF_ERROR(Send(process.control(), message));
  RETURN_IF_ERROR(Relay(reading.get(), sink));
  return Answer(process).status();
}

}  // namespace wherry::image

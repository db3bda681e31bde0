// wherry image pull: by wherry's own call, which tells the progress; any other CRI runtime is asked by CRI's, which does not.

#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>

#include "api/cri/v1/api.pb.h"
#include "api/wherry/v1/wherry.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/format.h"
#include "cri/cli/progress.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

size_t Columns(int fd) {
  struct winsize size {};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

absl::StatusOr<std::string> PullByCri(Client& client, const v1::PullImageRequest& from) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(from.image());
  if (!from.username().empty()) {
    request.mutable_auth()->set_username(from.username());
    request.mutable_auth()->set_password(from.password());
  }
  ASSIGN_OR_RETURN(auto response, client.Get<cri::PullImageResponse>(request, absl::InfiniteDuration()));
  return response.image_ref();
}

}  // namespace

absl::StatusOr<std::string> PullImage(Client& client, const v1::PullImageRequest& request, std::FILE* progress) {
  const int fd = ::fileno(progress);
  ProgressView view(progress, ::isatty(fd) == 1, Columns(fd));
  std::string id;
  absl::Status status = client.Stream(request, [&](const v1::PullImageResponse& message) {
    if (!message.image_ref().empty()) {
      id = message.image_ref();
      return;
    }
    std::vector<LayerBar> layers;
    layers.reserve(static_cast<size_t>(message.layers_size()));
    for (const v1::PulledLayer& layer : message.layers())
      layers.push_back({layer.digest(), layer.size(), layer.done()});
    view.Show(layers);
  });
  if (absl::IsUnimplemented(status)) return PullByCri(client, request);
  RETURN_IF_ERROR(status);
  return id;
}

absl::StatusOr<int> PullImages(Client& client, const std::vector<std::string>& images, const std::string& user) {
  v1::PullImageRequest request;
  if (!user.empty()) {
    request.set_username(user);
    if (!std::getline(std::cin, *request.mutable_password()))
      return absl::InvalidArgumentError("--user: no password on standard input");
  }
  for (const std::string& name : images) {
    request.set_image(name);
    ASSIGN_OR_RETURN(std::string id, PullImage(client, request, stderr));
    std::cout << ShortId(id) << "  " << name << "\n";
  }
  return 0;
}

}  // namespace wherry::cli

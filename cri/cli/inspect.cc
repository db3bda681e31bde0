// wherry image verify, export.

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/wherry/v1/wherry.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/format.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

absl::Status ExportTo(Client& client, const std::string& image, int out) {
  v1::ExportImageRequest request;
  request.set_image(image);
  return client.Stream(request,
                       [out](const v1::ExportImageResponse& piece) { return sys::WriteAll(out, piece.data()); });
}

absl::Status Keep(int fd, const std::string& temporary, const std::string& file) {
  if (::fsync(fd) != 0) return sys::Errno(absl::StrCat("fsync \"", temporary, "\""));
  if (::rename(temporary.c_str(), file.c_str()) != 0) return sys::Errno(absl::StrCat("rename to \"", file, "\""));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> VerifyImages(Client& client, const std::vector<std::string>& images) {
  v1::VerifyImagesRequest request;
  request.mutable_images()->Assign(images.begin(), images.end());
  ASSIGN_OR_RETURN(auto response, client.Get<v1::VerifyImagesResponse>(request, absl::InfiniteDuration()));
  int damaged = 0;
  for (const v1::VerifiedLayer& layer : response.layers()) {
    if (layer.count() == 0) continue;
    ++damaged;
    std::cout << "layer " << layer.diff_id() << " of " << absl::StrJoin(layer.images(), ", ") << "\n";
    for (const std::string& finding : layer.findings()) std::cout << "  " << finding << "\n";
    const auto more = layer.count() - static_cast<uint64_t>(layer.findings_size());
    if (more > 0) std::cout << "  and " << more << " more\n";
  }
  std::cout << response.layers_size() - damaged << " of " << response.layers_size() << " layers are whole\n";
  if (damaged > 0) std::cout << "Pull the images again: damaged layers are then unpacked anew.\n";
  return damaged > 0 ? 1 : 0;
}

absl::StatusOr<int> ExportImage(Client& client, const std::string& image, const std::string& file) {
  if (file == "-") {
    if (::isatty(STDOUT_FILENO) == 1) return absl::InvalidArgumentError("an archive is not written to a terminal");
    RETURN_IF_ERROR(ExportTo(client, image, STDOUT_FILENO));
    return 0;
  }
  const std::string temporary = absl::StrCat(file, ".", ::getpid(), ".part");
  absl::Status status;
  {
    ASSIGN_OR_RETURN(const sys::UniqueFd out,
                     sys::OpenAt(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
    status = ExportTo(client, image, out.get());
    if (status.ok()) status = Keep(out.get(), temporary, file);
  }
  if (!status.ok()) (void)::unlink(temporary.c_str());
  RETURN_IF_ERROR(status);
  return 0;
}

}  // namespace wherry::cli

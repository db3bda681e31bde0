// wherry image import, tag, ls, rm.

#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/cri/v1/api.pb.h"
#include "api/wherry/v1/wherry.pb.h"
#include "cri/cli/archive_path.h"
#include "cri/cli/commands.h"
#include "cri/cli/format.h"
#include "runtime/sys/status.h"

namespace wherry::cli {

absl::StatusOr<v1::ImportImageResponse> ImportFile(Client& client, const std::string& file,
                                                   v1::ImportImageRequest request) {
  ASSIGN_OR_RETURN(const ArchivePath archive, ArchivePath::Make(file));
  request.set_path(archive.path());
  return client.Get<v1::ImportImageResponse>(request, absl::InfiniteDuration());
}

absl::StatusOr<int> ImportImages(Client& client, const std::vector<std::string>& files, const std::string& reference) {
  for (const std::string& file : files) {
    v1::ImportImageRequest request;
    if (!reference.empty()) request.add_references(reference);
    ASSIGN_OR_RETURN(auto response, ImportFile(client, file, request));
    for (const auto& image : response.images())
      std::cout << ShortId(image.id()) << "  " << absl::StrJoin(image.references(), " ") << "  " << Bytes(image.size())
                << "\n";
  }
  return 0;
}

absl::StatusOr<int> TagImage(Client& client, const std::string& image, const std::vector<std::string>& tags) {
  for (const std::string& tag : tags) {
    v1::TagImageRequest request;
    request.set_image(image);
    request.set_tag(tag);
    request.set_force(true);
    ASSIGN_OR_RETURN(auto response, client.Get<v1::TagImageResponse>(request));
    std::cout << response.tag() << "\n";
  }
  return 0;
}

absl::StatusOr<int> ListImages(Client& client, Output output) {
  ASSIGN_OR_RETURN(auto response, client.Get<cri::ListImagesResponse>(cri::ListImagesRequest()));
  if (output == Output::kJson) {
    auto images = nlohmann::json::array();
    for (const auto& image : response.images())
      images.push_back({{"id", image.id()},
                        {"tags", image.repo_tags()},
                        {"digests", image.repo_digests()},
                        {"size", image.size()},
                        {"pinned", image.pinned()}});
    std::cout << images.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return 0;
  }
  Table table({"IMAGE", "ID", "SIZE"});
  for (const auto& image : response.images()) {
    if (image.repo_tags().empty()) table.Add({"<none>", ShortId(image.id()), Bytes(image.size())});
    for (const auto& tag : image.repo_tags()) table.Add({tag, ShortId(image.id()), Bytes(image.size())});
  }
  std::cout << table.Text();
  return 0;
}

absl::StatusOr<int> RemoveImages(Client& client, const std::vector<std::string>& images) {
  for (const std::string& name : images) {
    // Not ImageStatus, which does not show an image that was found damaged.
    cri::ListImagesRequest list;
    list.mutable_filter()->mutable_image()->set_image(name);
    ASSIGN_OR_RETURN(auto found, client.Get<cri::ListImagesResponse>(list));
    if (found.images().empty()) return absl::NotFoundError(absl::StrCat("no image \"", name, "\""));
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(found.images(0).id());
    RETURN_IF_ERROR(client.Get<cri::RemoveImageResponse>(request).status());
    std::cout << ShortId(found.images(0).id()) << "\n";
  }
  return 0;
}

}  // namespace wherry::cli

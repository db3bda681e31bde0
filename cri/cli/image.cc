// wherry image import, pull, ls, rm.

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/cri/v1/api.pb.h"
#include "api/wherry/v1/wherry.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/format.h"
#include "runtime/sys/status.h"

namespace wherry::cli {

absl::StatusOr<int> ImportImages(Client& client, const std::vector<std::string>& files, const std::string& reference) {
  for (const std::string& file : files) {
    std::error_code error;
    v1::ImportImageRequest request;
    request.set_path(std::filesystem::absolute(file, error).string());
    if (error) return absl::InvalidArgumentError(absl::StrCat(file, ": ", error.message()));
    if (!reference.empty()) request.add_references(reference);
    ASSIGN_OR_RETURN(auto response, client.Get<v1::ImportImageResponse>(request, absl::InfiniteDuration()));
    for (const auto& image : response.images())
      std::cout << ShortId(image.id()) << "  " << absl::StrJoin(image.references(), " ") << "  " << Bytes(image.size())
                << "\n";
  }
  return 0;
}

absl::StatusOr<int> PullImages(Client& client, const std::vector<std::string>& images, const std::string& user) {
  cri::AuthConfig auth;
  if (!user.empty()) {
    auth.set_username(user);
    if (!std::getline(std::cin, *auth.mutable_password()))
      return absl::InvalidArgumentError("--user: no password on standard input");
  }
  for (const std::string& name : images) {
    cri::PullImageRequest request;
    request.mutable_image()->set_image(name);
    *request.mutable_auth() = auth;
    ASSIGN_OR_RETURN(auto response, client.Get<cri::PullImageResponse>(request, absl::InfiniteDuration()));
    std::cout << ShortId(response.image_ref()) << "  " << name << "\n";
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
    cri::ImageStatusRequest status;
    status.mutable_image()->set_image(name);
    ASSIGN_OR_RETURN(auto found, client.Get<cri::ImageStatusResponse>(status));
    if (!found.has_image()) return absl::NotFoundError(absl::StrCat("no image \"", name, "\""));
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(found.image().id());
    RETURN_IF_ERROR(client.Get<cri::RemoveImageResponse>(request).status());
    std::cout << ShortId(found.image().id()) << "\n";
  }
  return 0;
}

}  // namespace wherry::cli

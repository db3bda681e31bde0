// Tools that load images into nodes call `ctr --namespace=k8s.io images …` inside of them. Such calls are answered here: those that
// kind makes (pkg/cluster/nodeutils, pkg/build/nodeimage) and what people type around them. Flags that say how containerd stores
// things (snapshotters, unpacking, digests as names) have no counterpart and are accepted, since what they ask for holds anyway; those
// whose meaning would be lost are refused. One namespace exists, k8s.io: an image anywhere else would be out of the kubelet's sight.
#include "cri/cli/ctr.h"

#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/cri/v1/api.pb.h"
#include "api/wherry/v1/wherry.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/format.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

constexpr char kPinned[] = "io.cri-containerd.pinned=pinned";

// As Go spells it.
std::string Architecture() {
  struct utsname name {};
  if (::uname(&name) != 0) return "unknown";
  const std::string machine = name.machine;
  if (machine == "x86_64") return "amd64";
  return machine == "aarch64" ? "arm64" : machine;
}

using Verb = std::function<absl::StatusOr<int>(Client&)>;
using Names = std::shared_ptr<std::vector<std::string>>;

Names AddNames(CLI::App* app, const char* what) {
  auto names = std::make_shared<std::vector<std::string>>();
  app->add_option(what, *names)->required();
  return names;
}

// Flags and options without a counterpart.
void Accept(CLI::App* app, const std::vector<std::string>& flags, const std::vector<std::string>& options) {
  for (const std::string& flag : flags) app->add_flag_function(flag, [](int64_t) {});
  for (const std::string& option : options) app->add_option_function<std::string>(option, [](const std::string&) {});
}

absl::Status CheckPlatform(const std::string& platform) {
  const std::string here = absl::StrCat("linux/", Architecture());
  if (platform.empty() || platform == here || absl::StartsWith(platform, here + "/")) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("platform \"", platform, "\": this node keeps images for ", here, " only"));
}

absl::StatusOr<int> Import(Client& client, const std::vector<std::string>& files,
                           const std::vector<std::string>& labels) {
  v1::ImportImageRequest request;
  for (const std::string& label : labels) {
    if (label != kPinned)
      return absl::UnimplementedError(absl::StrCat("--label ", label, ": images have no labels here but ", kPinned));
    request.set_pinned(true);
  }
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(auto response, ImportFile(client, file, request));
    for (const auto& image : response.images())
      std::cout << (image.references().empty() ? image.id() : absl::StrJoin(image.references(), " ")) << "\tsaved\n";
  }
  return 0;
}

absl::StatusOr<int> Tag(Client& client, const std::vector<std::string>& names, bool force) {
  if (names.size() < 2) return absl::InvalidArgumentError("tag: a source and a target are needed");
  for (size_t i = 1; i < names.size(); ++i) {
    v1::TagImageRequest request;
    request.set_image(names[0]);
    request.set_tag(names[i]);
    request.set_force(force);
    ASSIGN_OR_RETURN(auto response, client.Get<v1::TagImageResponse>(request));
    std::cout << response.tag() << "\n";
  }
  return 0;
}

absl::StatusOr<int> List(Client& client, bool quiet) {
  ASSIGN_OR_RETURN(auto response, client.Get<cri::ListImagesResponse>(cri::ListImagesRequest()));
  Table table({"REF", "DIGEST", "SIZE", "PLATFORMS", "LABELS"});
  for (const auto& image : response.images()) {
    std::vector<std::string> names(image.repo_tags().begin(), image.repo_tags().end());
    names.insert(names.end(), image.repo_digests().begin(), image.repo_digests().end());
    names.push_back(image.id());
    for (const std::string& name : names) {
      if (quiet) std::cout << name << "\n";
      table.Add({name, image.id(), Bytes(image.size()), absl::StrCat("linux/", Architecture()),
                 image.pinned() ? kPinned : ""});
    }
  }
  if (!quiet) std::cout << table.Text();
  return 0;
}

absl::StatusOr<int> Remove(Client& client, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    v1::UntagImageRequest request;
    request.set_tag(name);
    RETURN_IF_ERROR(client.Get<v1::UntagImageResponse>(request).status());
    std::cout << name << "\n";
  }
  return 0;
}

absl::StatusOr<int> Pull(Client& client, const std::vector<std::string>& names, const std::string& platform) {
  RETURN_IF_ERROR(CheckPlatform(platform));
  for (const std::string& name : names) {
    v1::PullImageRequest request;
    request.set_image(name);
    ASSIGN_OR_RETURN(std::string id, PullImage(client, request, stderr));
    std::cout << name << "\t" << id << "\n";
  }
  return 0;
}

absl::StatusOr<int> Info(Client& client) {
  ASSIGN_OR_RETURN(auto version, client.Get<cri::VersionResponse>(cri::VersionRequest()));
  std::cout << version.runtime_name() << " " << version.runtime_version() << "\n";
  return 0;
}

void AddImages(CLI::App& app, Verb& verb) {
  auto* images = app.add_subcommand("images", "Images")->alias("image")->alias("i")->require_subcommand(1);

  auto* import = images->add_subcommand("import", "Add the images of an archive; - for standard input");
  const Names files = AddNames(import, "FILE"), labels = std::make_shared<std::vector<std::string>>();
  import->add_option("--label", *labels)->allow_extra_args(false);
  Accept(import, {"--all-platforms", "--digests", "--no-unpack", "--local", "--discard-unpacked-layers"},
         {"--snapshotter"});
  import->callback([=, &verb] { verb = [=](Client& client) { return Import(client, *files, *labels);
};
}  // namespace
);

auto* tag = images->add_subcommand("tag", "Give an image more names");
const Names tagged = AddNames(tag, "NAME");
auto force = std::make_shared<bool>(false);
tag->add_flag("--force", *force, "Take the name from another image");
Accept(tag, {"--local"}, {});
tag->callback([=, &verb] { verb = [=](Client& client) { return Tag(client, *tagged, *force); }; });

auto* list = images->add_subcommand("list", "List names") -> alias("ls");
auto quiet = std::make_shared<bool>(false);
list->add_flag("-q,--quiet", *quiet, "Names only");
list->callback([=, &verb] { verb = [=](Client& client) { return List(client, *quiet); }; });

auto* remove = images->add_subcommand("remove", "Take names away") -> alias("rm") -> alias("delete") -> alias("del");
const Names removed = AddNames(remove, "NAME");
Accept(remove, {"--sync"}, {});
remove->callback([=, &verb] { verb = [=](Client& client) { return Remove(client, *removed); }; });

const auto add_pull = [&verb](CLI::App* pull) {
  const Names names = AddNames(pull, "NAME");
  auto platform = std::make_shared<std::string>();
  pull->add_option("--platform", *platform);
  Accept(pull, {"--local"}, {"--snapshotter"});
  pull->callback([=, &verb] { verb = [=](Client& client) { return Pull(client, *names, *platform); }; });
};
add_pull(images->add_subcommand("pull", "Pull an image"));
auto* content = app.add_subcommand("content", "Contents of images") -> alias("c") -> require_subcommand(1);
add_pull(content->add_subcommand("fetch", "Pull an image"));
}  // namespace wherry::cli

}  // namespace

int CtrMain(int argc, char** argv) {
  CLI::App app("ctr, as far as wherry answers it: images of the namespace k8s.io", "ctr");
  std::string address = "unix:///run/wherry/wherry.sock", space = "default";
  Verb verb;
  app.add_option("-a,--address", address, "Socket of wherryd")->envname("CONTAINERD_ADDRESS")->capture_default_str();
  app.add_option("-n,--namespace", space, "Only k8s.io exists")->envname("CONTAINERD_NAMESPACE");
  app.require_subcommand(1);
  AddImages(app, verb);
  app.add_subcommand("info", "Ask wherryd who it is")->callback([&verb] { verb = Info; });
  app.add_subcommand("version", "Ask wherryd who it is")->callback([&verb] { verb = Info; });
  CLI11_PARSE(app, argc, argv);
  const auto fail = [](const absl::Status& status) {
    std::cerr << "ctr: " << ErrorLine(status) << "\n";
    return 1;
  };
  const bool about_images = app.got_subcommand("images") || app.got_subcommand("content");
  if (about_images && space != "k8s.io")
    return fail(absl::InvalidArgumentError(absl::StrCat(
        "namespace \"", space, "\": wherry has one namespace, k8s.io, which the kubelet uses: ctr -n k8s.io …")));
  auto client = Client::Create(address[0] == '/' ? "unix://" + address : address);
  absl::StatusOr<int> code = client.ok() ? verb(**client) : client.status();
  std::cout.flush();
  return code.ok() ? *code : fail(code.status());
}

}  // namespace wherry::cli

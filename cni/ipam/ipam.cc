#include "cni/ipam/ipam.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "cni/ipam/delegate.h"
#include "cni/ipam/host_local.h"
#include "cni/ipam/host_local_config.h"
#include "cni/ipam/static.h"
#include "runtime/sys/status.h"

namespace wherry::ipam {
namespace {

constexpr char kHostLocal[] = "host-local", kStatic[] = "static";

absl::StatusOr<std::string> Run(const Request& request, absl::string_view command) {
  return Delegate(request.type, request.cni_path, command, request.text);
}

// For the commands that answer nothing.
absl::Status RunSilent(const Request& request, absl::string_view command) { return Run(request, command).status(); }

absl::StatusOr<cni::Result> AddByPlugin(const Request& request) {
  absl::StatusOr<std::string> output = Run(request, "ADD");
  absl::Status failure = output.status();
  if (output.ok()) {
    absl::StatusOr<cni::Result> result = cni::ParseResult(*output, request.document.value("cniVersion", ""));
    if (result.ok() && !result->ips.empty()) return result;
    failure = result.ok() ? cni::MakeError(cni::ErrorCode::kInternal, "the result has no address") : result.status();
    failure = sys::Annotate(failure, absl::StrCat("IPAM plugin ", request.type));
  }
  if (absl::Status undone = RunSilent(request, "DEL"); !undone.ok())
    failure = sys::Annotate(failure, absl::StrCat("DEL: ", undone.message(), "; after"));
  return failure;
}

absl::StatusOr<cni::Result> AddStatic(const Request& request) {
  ASSIGN_OR_RETURN(cni::Result result, ReadStatic(request.document, request.arguments));
  if (result.ips.empty())
    return cni::MakeError(cni::ErrorCode::kInvalidConfig, "ipam.addresses: none here, by CNI_ARGS or from the runtime");
  return result;
}

absl::Status CheckPrevious(const Request& request) {
  ASSIGN_OR_RETURN(const cni::Result wanted, ReadStatic(request.document, request.arguments));
  const auto previous = request.document.find("prevResult");
  if (previous == request.document.end())
    return cni::MakeError(cni::ErrorCode::kInvalidConfig, "prevResult: missing, and CHECK needs it");
  ASSIGN_OR_RETURN_CTX(const cni::Result present, cni::ReadResult(*previous, request.document.value("cniVersion", "")),
                       "prevResult");
  return CheckStatic(wanted, present);
}

}  // namespace

absl::StatusOr<std::vector<cni::Attachment>> ValidAttachments(const nlohmann::json& document) {
  constexpr char kKey[] = "cni.dev/valid-attachments";
  if (!document.contains(kKey))
    return cni::MakeError(cni::ErrorCode::kInvalidConfig, absl::StrCat(kKey, " is missing; without it all would go"));
  std::vector<cni::Attachment> out;
  cni::Fields fields(document, "");
  fields.Each(kKey, [&](const nlohmann::json& item, const std::string& path) {
    cni::Attachment attachment;
    cni::Fields nested(item, path);
    nested.String("containerID", &attachment.container_id);
    nested.String("ifname", &attachment.ifname);
    out.push_back(std::move(attachment));
    return nested.status();
  });
  RETURN_IF_ERROR(fields.status());
  return out;
}

absl::StatusOr<cni::Result> Add(const Request& request) {
  if (request.type == kStatic) return AddStatic(request);
  if (request.type != kHostLocal) return AddByPlugin(request);
  ASSIGN_OR_RETURN(HostLocalConfig config, ReadHostLocalConfig(request.document, request.arguments));
  return Allocate(config, request.attachment);
}

absl::Status Delete(const Request& request) {
  if (request.type == kStatic) return absl::OkStatus();
  if (request.type != kHostLocal) return RunSilent(request, "DEL");
  ASSIGN_OR_RETURN(HostLocalConfig config, ReadHostLocalConfig(request.document, request.arguments));
  return Release(config, request.attachment);
}

absl::Status Check(const Request& request) {
  if (request.type == kStatic) return CheckPrevious(request);
  if (request.type != kHostLocal) return RunSilent(request, "CHECK");
  ASSIGN_OR_RETURN(HostLocalConfig config, ReadHostLocalConfig(request.document, request.arguments));
  return Check(config, request.attachment);
}

absl::Status Status(const Request& request) {
  if (request.type == kStatic) return ReadStatic(request.document, request.arguments).status();
  if (request.type != kHostLocal) return RunSilent(request, "STATUS");
  ASSIGN_OR_RETURN(HostLocalConfig config, ReadHostLocalConfig(request.document, request.arguments));
  return Ready(config);
}

absl::Status Collect(const Request& request) {
  if (request.type == kStatic) return absl::OkStatus();
  if (request.type != kHostLocal) return RunSilent(request, "GC");
  ASSIGN_OR_RETURN(HostLocalConfig config, ReadHostLocalConfig(request.document, request.arguments));
  ASSIGN_OR_RETURN(std::vector<cni::Attachment> valid, ValidAttachments(request.document));
  return Collect(config, valid);
}

}  // namespace wherry::ipam

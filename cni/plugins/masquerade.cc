#include "cni/plugins/masquerade.h"

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/iptables/masquerade.h"
#include "cni/nft/masquerade.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

std::vector<cni::IpPrefix> AddressesOf(const cni::Result& result) {
  std::vector<cni::IpPrefix> out;
  out.reserve(result.ips.size());
  for (const cni::IpConfig& ip : result.ips) out.push_back(ip.address);
  return out;
}

}  // namespace

absl::StatusOr<MasqueradeBackend> ReadMasqueradeBackend(const Call& call) {
  using Json = nlohmann::json;
  const auto backend = call.document.find("ipMasqBackend");
  if (backend == call.document.end() || backend->is_null()) return MasqueradeBackend::kNftables;
  const auto* name = backend->get_ptr<const std::string*>();
  if (name != nullptr && *name == "nftables") return MasqueradeBackend::kNftables;
  if (name != nullptr && *name == "iptables") return MasqueradeBackend::kIptables;
  if (call.command == "DEL") return MasqueradeBackend::kNftables;
  return cni::MakeError(
      cni::ErrorCode::kUnsupportedField,
      absl::StrCat("unsupported field ipMasqBackend: ", backend->dump(-1, ' ', true, Json::error_handler_t::replace)));
}

absl::Status AddMasquerade(MasqueradeBackend backend, const Call& call, const cni::Result& result) {
  const absl::Status status = backend == MasqueradeBackend::kIptables
                                  ? iptables::AddMasquerade(call.network, call.attachment, AddressesOf(result))
                                  : nft::AddMasquerade(call.network, call.attachment, AddressesOf(result));
  return sys::Annotate(status, "ipMasq");
}

absl::Status DeleteMasquerade(MasqueradeBackend backend, const Call& call) {
  const absl::Status status = backend == MasqueradeBackend::kIptables
                                  ? iptables::DeleteMasquerade(call.network, call.attachment)
                                  : nft::DeleteMasquerade(call.network, call.attachment);
  return sys::Annotate(status, "ipMasq");
}

absl::Status CheckMasquerade(MasqueradeBackend backend, const Call& call, const cni::Result& result) {
  if (backend == MasqueradeBackend::kIptables)
    return iptables::CheckMasquerade(call.network, call.attachment, AddressesOf(result));
  return nft::CheckMasquerade(call.network, call.attachment, result.ips.size());
}

absl::Status CollectMasquerade(MasqueradeBackend backend, const Call& call, const std::vector<cni::Attachment>& valid) {
  return backend == MasqueradeBackend::kIptables ? iptables::CollectMasquerade(call.network, valid)
                                                 : nft::CollectMasquerade(call.network, valid);
}

}  // namespace wherry::plugins

#include "cri/image/records.h"

namespace wherry::image {

void ToProto(const oci::ImageConfig& from, pb::ImageConfig* to) {
  to->set_architecture(from.architecture);
  to->set_os(from.os);
  to->set_variant(from.variant);
  to->set_user(from.user);
  to->mutable_env()->Assign(from.env.begin(), from.env.end());
  to->mutable_entrypoint()->Assign(from.entrypoint.begin(), from.entrypoint.end());
  to->mutable_cmd()->Assign(from.cmd.begin(), from.cmd.end());
  to->set_working_dir(from.working_dir);
  to->set_stop_signal(from.stop_signal);
  to->mutable_volumes()->Assign(from.volumes.begin(), from.volumes.end());
  to->mutable_labels()->insert(from.labels.begin(), from.labels.end());
  to->mutable_diff_ids()->Assign(from.diff_ids.begin(), from.diff_ids.end());
}

oci::ImageConfig FromProto(const pb::ImageConfig& from) {
  oci::ImageConfig to;
  to.architecture = from.architecture();
  to.os = from.os();
  to.variant = from.variant();
  to.user = from.user();
  to.env.assign(from.env().begin(), from.env().end());
  to.entrypoint.assign(from.entrypoint().begin(), from.entrypoint().end());
  to.cmd.assign(from.cmd().begin(), from.cmd().end());
  to.working_dir = from.working_dir();
  to.stop_signal = from.stop_signal();
  to.volumes.assign(from.volumes().begin(), from.volumes().end());
  to.labels.insert(from.labels().begin(), from.labels().end());
  to.diff_ids.assign(from.diff_ids().begin(), from.diff_ids().end());
  return to;
}

}  // namespace wherry::image

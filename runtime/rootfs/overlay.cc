// The container's root file system: the image's layers, read-only, under a writable directory of its own.
//
// index and metacopy are off: both let files in the upper directory stand for others, which helps nobody here and has to
// be trusted. "volatile" (Linux 5.10) is on: without it the end of each container would sync the whole disk below, and
// what a container's writable layer holds is of no use after a power loss, because the container is gone with it.
//
// A layer's path is at most 255 bytes in fsconfig, and a list of layers in mount(2) at most a page. lowerdir+ (Linux 6.8)
// takes one layer a call, so that their number does not matter; before, a short list is one string, and a longer one goes
// through mount(2), with paths relative to the directory that the layers have in common.
#include "runtime/rootfs/overlay.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {
namespace {

constexpr size_t kMaxString = 255;
constexpr size_t kMaxPage = 4095;

absl::Status Check(const shim::v1::Rootfs& rootfs) {
  if (rootfs.lowerdirs().empty()) return absl::InvalidArgumentError("the root file system has no layer");
  if (rootfs.upperdir().empty() != rootfs.workdir().empty())
    return absl::InvalidArgumentError("the root file system has one of an upper and a work directory");
  return absl::OkStatus();
}

absl::StatusOr<sys::FsContext> OpenContext() {
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("overlay"));
  RETURN_IF_ERROR(fs.Set("source", "overlay"));
  return fs;
}

absl::StatusOr<sys::UniqueFd> Finish(const sys::FsContext& fs, const shim::v1::Rootfs& rootfs) {
  RETURN_IF_ERROR(fs.Set("index", "off"));
  RETURN_IF_ERROR(fs.Set("metacopy", "off"));
  RETURN_IF_ERROR(fs.SetLabel(rootfs.mount_label()));
  if (rootfs.upperdir().empty()) return fs.Mount(MOUNT_ATTR_RDONLY);
  RETURN_IF_ERROR(fs.Set("upperdir", rootfs.upperdir()));
  RETURN_IF_ERROR(fs.Set("workdir", rootfs.workdir()));
  RETURN_IF_ERROR(fs.SetFlag("volatile"));
  return fs.Mount(0);
}

absl::StatusOr<sys::UniqueFd> LayerByLayer(const shim::v1::Rootfs& rootfs) {
  ASSIGN_OR_RETURN(sys::FsContext fs, OpenContext());
  for (const std::string& layer : rootfs.lowerdirs()) RETURN_IF_ERROR(fs.Set("lowerdir+", layer));
  return Finish(fs, rootfs);
}

// Overlay takes one '\' away from each of these, in a list and in an option of mount(2) alike.
std::string Escape(const std::string& path) {
  return absl::StrReplaceAll(path, {{"\\", "\\\\"}, {":", "\\:"}, {",", "\\,"}});
}

std::string JoinLayers(const std::vector<std::string>& layers) {
  return absl::StrJoin(layers, ":",
                       [](std::string* out, const std::string& layer) { absl::StrAppend(out, Escape(layer)); });
}

absl::StatusOr<sys::UniqueFd> OneString(const shim::v1::Rootfs& rootfs) {
  ASSIGN_OR_RETURN(sys::FsContext fs, OpenContext());
  RETURN_IF_ERROR(fs.Set("lowerdir", JoinLayers({rootfs.lowerdirs().begin(), rootfs.lowerdirs().end()})));
  return Finish(fs, rootfs);
}

// The directory that all paths have in common, "/" at least; without a slash at its end.
std::string CommonDirectory(const std::vector<std::string>& paths) {
  std::string common = paths[0].substr(0, paths[0].rfind('/'));
  for (const std::string& path : paths) {
    while (path.compare(0, common.size() + 1, common + "/") != 0) common.resize(common.rfind('/'));
  }
  return common;
}

// mount(2) needs a place, and in this namespace nobody else looks at this one.
const std::string& PlaceOf(const shim::v1::Rootfs& rootfs) {
  return rootfs.upperdir().empty() ? *rootfs.lowerdirs().rbegin() : rootfs.upperdir();
}

absl::Status MountWithOptions(const shim::v1::Rootfs& rootfs) {
  const bool readonly = rootfs.upperdir().empty();
  std::vector<std::string> paths(rootfs.lowerdirs().begin(), rootfs.lowerdirs().end());
  if (!readonly) {
    paths.push_back(rootfs.upperdir());
    paths.push_back(rootfs.workdir());
  }
  for (const std::string& path : paths) {
    if (path[0] != '/') return absl::InvalidArgumentError(absl::StrCat("layer \"", path, "\" is not absolute"));
  }
  const std::string common = CommonDirectory(paths);
  for (std::string& path : paths) path.erase(0, common.size() + 1);
  std::string writable;
  if (!readonly) {
    absl::StrAppend(&writable, ",workdir=", Escape(paths.back()), ",upperdir=", Escape(paths[paths.size() - 2]),
                    ",volatile");
    paths.resize(paths.size() - 2);
  }
  std::string options = absl::StrCat("lowerdir=", JoinLayers(paths), ",index=off,metacopy=off", writable);
  // Quoted, because of the commas in a level. No label has a quotation mark: the policy's language has none in names.
  if (!rootfs.mount_label().empty()) absl::StrAppend(&options, ",context=\"", rootfs.mount_label(), "\"");
  if (options.size() > kMaxPage)
    return absl::InvalidArgumentError(absl::StrCat(rootfs.lowerdirs_size(), " layers need ", options.size(),
                                                   " bytes of mount options; before Linux 6.8 there are 4095"));
  if (::chdir(common.empty() ? "/" : common.c_str()) != 0) return sys::Errno(absl::StrCat("chdir \"", common, "\""));
  const int result = ::mount("overlay", PlaceOf(rootfs).c_str(), "overlay", readonly ? MS_RDONLY : 0, options.c_str());
  const int err = errno;
  if (::chdir("/") != 0) return sys::Errno("chdir \"/\"");
  if (result != 0) return sys::Errno(absl::StrCat("mount overlay ", options), err);
  return absl::OkStatus();
}

absl::StatusOr<sys::UniqueFd> OptionPage(const shim::v1::Rootfs& rootfs) {
  RETURN_IF_ERROR(MountWithOptions(rootfs));
  const std::string& place = PlaceOf(rootfs);
  auto mount = sys::CloneMount(AT_FDCWD, place, false);
  if (::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && mount.ok())
    return sys::Errno("umount of the attached overlay");
  return mount;
}

// Before Linux 6.5 fsconfig refuses each comma, for its file systems parse a page of options.
OverlayWay ShortWay(const shim::v1::Rootfs& rootfs) {
  const std::string list = JoinLayers({rootfs.lowerdirs().begin(), rootfs.lowerdirs().end()});
  for (const std::string& text : {list, rootfs.upperdir(), rootfs.workdir()}) {
    if (text.size() > kMaxString || text.find(',') != std::string::npos) return OverlayWay::kOptionPage;
  }
  return OverlayWay::kOneString;
}

// By its version, because a kernel that is asked writes a line to its log each time.
bool KernelHasLayerByLayer() {
  struct utsname name;
  if (::uname(&name) != 0) return false;
  char* end = name.release;
  const unsigned long major = std::strtoul(end, &end, 10);
  const unsigned long minor = *end == '.' ? std::strtoul(end + 1, &end, 10) : 0;
  return major > 6 || (major == 6 && minor >= 8);
}

bool FitsLayerByLayer(const shim::v1::Rootfs& rootfs) {
  size_t longest = std::max(rootfs.upperdir().size(), rootfs.workdir().size());
  for (const std::string& layer : rootfs.lowerdirs()) longest = std::max(longest, layer.size());
  return longest <= kMaxString;
}

bool IsBelow(const std::string& path, const std::string& directory) {
  return path.compare(0, directory.size() + 1, directory + "/") == 0;
}

// The id of the mount that `path` is on.
std::optional<uint64_t> MountOf(const std::string& path) {
  struct statx stx {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &stx) != 0) return std::nullopt;
  return stx.stx_mnt_id;
}

// Where to put idmapped mounts: the directory that all layers have in common, so that it takes one mount however many they are;
// but each layer for itself when the upper or work directory, which must not be idmapped, are in there too, or another mount.
std::vector<std::string> PlacesToIdmap(const shim::v1::Rootfs& rootfs) {
  std::vector<std::string> layers(rootfs.lowerdirs().begin(), rootfs.lowerdirs().end());
  const std::string common = CommonDirectory(layers);
  if (common.empty() || IsBelow(rootfs.upperdir(), common) || IsBelow(rootfs.workdir(), common)) return layers;
  const std::optional<uint64_t> mount = MountOf(common);
  for (const std::string& layer : layers)
    if (!mount || MountOf(layer) != mount) return layers;
  return {common};
}

absl::Status Idmap(const std::string& path, const sys::UniqueFd& user_namespace) {
  ASSIGN_OR_RETURN(sys::UniqueFd mount, sys::CloneMount(AT_FDCWD, path, false));
  RETURN_IF_ERROR(sys::IdmapMount(mount.get(), user_namespace.get()));
  ASSIGN_OR_RETURN(sys::UniqueFd place, sys::OpenAt(AT_FDCWD, path, O_PATH | O_DIRECTORY));
  return sys::AttachMount(mount.get(), place.get());
}

}  // namespace

// The layers keep their paths, so that every way to hand them over works as without.
absl::StatusOr<sys::UniqueFd> MountIdmappedOverlay(const shim::v1::Rootfs& rootfs, const sys::UniqueFd& user_namespace,
                                                   OverlayWay way) {
  RETURN_IF_ERROR(Check(rootfs));
  for (const std::string& layer : rootfs.lowerdirs())
    if (layer[0] != '/') return absl::InvalidArgumentError(absl::StrCat("layer \"", layer, "\" is not absolute"));
  const std::vector<std::string> places = PlacesToIdmap(rootfs);
  for (const std::string& place : places)
    RETURN_IF_ERROR_CTX(Idmap(place, user_namespace), absl::StrCat("idmapped layers of \"", place, "\""));
  auto overlay = MountOverlay(rootfs, way);
  for (const std::string& place : places)
    if (::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && overlay.ok())
      return sys::Errno(absl::StrCat("umount of the idmapped \"", place, "\""));
  return overlay;
}

absl::StatusOr<sys::UniqueFd> MountOverlay(const shim::v1::Rootfs& rootfs, OverlayWay way) {
  RETURN_IF_ERROR(Check(rootfs));
  if (way == OverlayWay::kAuto)
    way = KernelHasLayerByLayer() && FitsLayerByLayer(rootfs) ? OverlayWay::kLayerByLayer : ShortWay(rootfs);
  if (way == OverlayWay::kLayerByLayer) return LayerByLayer(rootfs);
  return way == OverlayWay::kOneString ? OneString(rootfs) : OptionPage(rootfs);
}

}  // namespace wherry::rootfs

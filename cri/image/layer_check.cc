#include "cri/image/layer_check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "cri/image/layer_walk.h"
#include "cri/image/stored_layer.h"
#include "cri/image/tar_rebuild.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr int kMaxFindings = 100;
constexpr size_t kMaxName = 400;

class Findings {
 public:
  explicit Findings(const std::string& diff_id) { out_.set_diff_id(diff_id); }
  // `path` "" is the layer itself.
  void Add(const std::string& path, const std::string& what) {
    out_.set_count(out_.count() + 1);
    if (out_.findings_size() >= kMaxFindings) return;
    const std::string name = absl::CHexEscape(path.size() > kMaxName ? path.substr(path.size() - kMaxName) : path);
    out_.add_findings(absl::StrCat("/", name, ": ", what));
  }
  uint64_t count() const { return out_.count(); }
  pb::LayerFindings Take() { return std::move(out_); }

 private:
  pb::LayerFindings out_;
};

const char* TypeName(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "a file";
    case S_IFDIR:
      return "a directory";
    case S_IFLNK:
      return "a symbolic link";
    case S_IFCHR:
      return "a character device";
    case S_IFBLK:
      return "a block device";
    case S_IFIFO:
      return "a FIFO";
    default:
      return "something else";
  }
}

std::map<std::string, std::string> XattrsOf(const pb::IndexNode& node) {
  std::map<std::string, std::string> out;
  for (const auto& attribute : node.xattrs()) out[attribute.key()] = attribute.value();
  return out;
}

void CompareXattrs(const pb::IndexNode& was, const pb::IndexNode& is, Findings& findings) {
  const auto before = XattrsOf(was), after = XattrsOf(is);
  for (const auto& [key, value] : before) {
    auto it = after.find(key);
    if (it == after.end()) findings.Add(was.path(), absl::StrCat("has lost the attribute ", absl::CHexEscape(key)));
    if (it != after.end() && it->second != value)
      findings.Add(was.path(), absl::StrCat("attribute ", absl::CHexEscape(key), " differs"));
  }
  for (const auto& [key, value] : after)
    if (before.count(key) == 0) findings.Add(was.path(), absl::StrCat("has got the attribute ", absl::CHexEscape(key)));
}

void CompareNodes(const pb::IndexNode& was, const pb::IndexNode& is, Findings& findings) {
  if ((was.mode() & S_IFMT) != (is.mode() & S_IFMT)) {
    findings.Add(was.path(), absl::StrCat("was ", TypeName(was.mode()), ", is ", TypeName(is.mode())));
    return;
  }
  if (was.link() != is.link()) findings.Add(was.path(), "is linked otherwise");
  if (!was.link().empty() && was.link() == is.link()) return;  // told of the inode's first name
  if (was.mode() != is.mode())
    findings.Add(was.path(), absl::StrFormat("mode is %04o, was %04o", is.mode() & 07777, was.mode() & 07777));
  if (was.uid() != is.uid() || was.gid() != is.gid())
    findings.Add(was.path(), absl::StrCat("owner is ", is.uid(), ":", is.gid(), ", was ", was.uid(), ":", was.gid()));
  if (was.size() != is.size()) findings.Add(was.path(), absl::StrCat("has ", is.size(), " bytes, had ", was.size()));
  if (was.mtime_s() != is.mtime_s() || was.mtime_ns() != is.mtime_ns())
    findings.Add(was.path(), "has another modification time");
  if (was.device() != is.device()) findings.Add(was.path(), "is another device");
  if (was.target() != is.target()) findings.Add(was.path(), "points elsewhere");
  CompareXattrs(was, is, findings);
}

// What reading the files gave, by path.
struct Contents {
  std::map<std::string, uint64_t> sums;
  std::map<std::string, std::string> broken;  // and why
};

// The tree as it is, walked while the index's nodes go by: both come in the same order.
class Comparison {
 public:
  Comparison(IndexReader& index, const Contents& contents, Findings& findings)
      : index_(index), contents_(contents), findings_(findings) {}

  // `first` is the record after the tar stream's.
  absl::Status Begin(const pb::IndexRecord* first) { return GoTo(first); }

  absl::Status Take(const pb::IndexNode& is) {
    while (was_ != nullptr && WalksBefore(was_->path(), is.path())) RETURN_IF_ERROR(Miss());
    if (was_ == nullptr || was_->path() != is.path()) {
      findings_.Add(is.path(), "was not there");
      return absl::OkStatus();
    }
    const uint64_t before = findings_.count();
    CompareNodes(*was_, is, findings_);
    if (was_->has_sum()) CompareContents(*was_, findings_.count() == before);
    return Next();
  }

  absl::Status End() {
    while (was_ != nullptr) RETURN_IF_ERROR(Miss());
    return absl::OkStatus();
  }

 private:
  absl::Status Miss() {
    findings_.Add(was_->path(), "is missing");
    return Next();
  }
  absl::Status Next() {
    ASSIGN_OR_RETURN(const pb::IndexRecord* record, index_.Next());
    return GoTo(record);
  }
  absl::Status GoTo(const pb::IndexRecord* record) {
    while (record != nullptr && !record->has_node()) {
      ASSIGN_OR_RETURN(record, index_.Next());
    }
    was_ = record == nullptr ? nullptr : &record->node();
    return absl::OkStatus();
  }

  // `unknown`: nothing else was found that would explain why a file cannot be read as it was.
  void CompareContents(const pb::IndexNode& was, bool unknown) {
    auto sum = contents_.sums.find(was.path());
    auto broken = contents_.broken.find(was.path());
    if (sum != contents_.sums.end() && sum->second != was.sum()) findings_.Add(was.path(), "contents differ");
    if (broken != contents_.broken.end() && unknown) findings_.Add(was.path(), broken->second);
  }

  IndexReader& index_;
  const Contents& contents_;
  Findings& findings_;
  const pb::IndexNode* was_ = nullptr;  // in the index; nullptr at its end
};

absl::Status Check(int store, const pb::StoredLayer& layer, Findings& findings) {
  ASSIGN_OR_RETURN(OpenedLayer opened, OpenLayer(store, layer));
  Contents contents;
  Sha256 whole;
  Rebuild to;
  to.bytes = [&](absl::string_view bytes) {
    whole.Update(bytes);
    return absl::OkStatus();
  };
  to.broken = [&](const std::string& path, const absl::Status& why) {
    contents.broken[path] = std::string(why.message());
    contents.sums.erase(path);
    return absl::OkStatus();
  };
  to.file = [&](const std::string& path, uint64_t sum) {
    contents.sums[path] = sum;
    contents.broken.erase(path);
  };
  ASSIGN_OR_RETURN(const pb::IndexRecord* first, RebuildTar(opened.tree.get(), *opened.index, to));
  Comparison comparison(*opened.index, contents, findings);
  RETURN_IF_ERROR(comparison.Begin(first));
  RETURN_IF_ERROR(WalkLayer(opened.tree.get(), true, [&](const pb::IndexNode& node) { return comparison.Take(node); }));
  RETURN_IF_ERROR(comparison.End());
  if (layer.rebuildable() && findings.count() == 0 && whole.Digest() != layer.diff_id())
    findings.Add("", "its contents do not give the layer's digest");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<pb::LayerFindings> CheckLayer(int store, const pb::StoredLayer& layer) {
  Findings findings(layer.diff_id());
  absl::Status status = Check(store, layer, findings);
  // What cannot be read cannot be used either: a layer, an index or a file that is gone, or that the disk does not give back.
  if (!status.ok()) findings.Add("", std::string(status.message()));
  return findings.Take();
}

}  // namespace wherry::image

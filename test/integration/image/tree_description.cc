#include "test/integration/image/tree_description.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cri/image/sha256.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::image::test {
namespace {

std::string Xattrs(const std::string& path) {
  std::string names(4096, '\0'), out;
  const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
  names.resize(size < 0 ? 0 : static_cast<size_t>(size));
  std::vector<std::string> keys = absl::StrSplit(names, '\0', absl::SkipEmpty());
  std::sort(keys.begin(), keys.end());
  for (const std::string& key : keys) {
    char value[4096];
    const ssize_t n = ::lgetxattr(path.c_str(), key.c_str(), value, sizeof(value));
    absl::StrAppend(&out, " ", key, "=", n < 0 ? "?" : absl::BytesToHexString({value, static_cast<size_t>(n)}));
  }
  return out;
}

std::string Contents(const std::string& path) {
  std::ostringstream data;
  data << std::ifstream(path, std::ios::binary).rdbuf();
  return Sha256Of(data.str());
}

Node Describe(const std::string& path) {
  struct stat st {};
  Node node;
  if (::lstat(path.c_str(), &st) != 0) return node;
  node.directory = S_ISDIR(st.st_mode);
  node.text = absl::StrCat("mode ", absl::Hex(st.st_mode), " owner ", st.st_uid, ":", st.st_gid, " device ", st.st_rdev,
                           " time ", st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec, Xattrs(path));
  if (S_ISREG(st.st_mode)) absl::StrAppend(&node.text, " size ", st.st_size, " ", Contents(path));
  if (S_ISLNK(st.st_mode)) absl::StrAppend(&node.text, " -> ", std::filesystem::read_symlink(path).string());
  return node;
}

}  // namespace

std::map<std::string, Node> DescribeTree(const std::string& root) {
  std::vector<std::string> paths = {""};
  for (const auto& e : std::filesystem::recursive_directory_iterator(root))
    paths.push_back(e.path().string().substr(root.size()));
  std::sort(paths.begin(), paths.end());
  std::map<std::string, Node> out;
  std::map<ino_t, std::string> seen;
  for (const std::string& path : paths) {
    Node node = Describe(root + path);
    node.first = path;
    struct stat st {};
    if (!node.directory && ::lstat((root + path).c_str(), &st) == 0 && st.st_nlink > 1)
      node.first = seen.emplace(st.st_ino, path).first->second;
    out[path] = std::move(node);
  }
  return out;
}

std::vector<std::string> Differences(const std::map<std::string, Node>& ours,
                                     const std::map<std::string, Node>& theirs) {
  std::vector<std::string> out;
  for (const auto& [path, node] : ours) {
    auto it = theirs.find(path);
    if (it == theirs.end())
      out.push_back("only ours: " + path);
    else if (it->second.text != node.text || it->second.first != node.first)
      out.push_back(absl::StrCat(path, ": ours ", node.text, " = ", node.first, " | theirs ", it->second.text, " = ",
                                 it->second.first));
  }
  for (const auto& [path, node] : theirs)
    if (ours.count(path) == 0) out.push_back("only theirs: " + path);
  return out;
}

std::string DataOf(const std::string& file) {
  const sys::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  std::string out;
  for (off_t begin = 0, end = 0; (begin = ::lseek(fd.get(), end, SEEK_DATA)) >= 0;) {
    end = ::lseek(fd.get(), begin, SEEK_HOLE);
    absl::StrAppend(&out, begin, "-", end, " ");
  }
  return out;
}

}  // namespace wherry::image::test

#pragma once

#include <map>
#include <string>
#include <vector>

// What two directory trees are compared by.
namespace wherry::image::test {

struct Node {
  std::string
      text;  // all that stat(2), readlink(2), listxattr(2) and read(2) can tell, inode numbers and holes left out
  std::string first;  // the first path of the same inode; a directory's and a lone file's own
  bool directory = false;
};

// By path, "" for `root` itself, "/a/b".
std::map<std::string, Node> DescribeTree(const std::string& root);

// One line for each path that differs, with what both sides say.
std::vector<std::string> Differences(const std::map<std::string, Node>& ours,
                                     const std::map<std::string, Node>& theirs);

// Where a file has contents, by SEEK_DATA and SEEK_HOLE: "0-4096 8192-9000".
std::string DataOf(const std::string& file);

}  // namespace wherry::image::test

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "api/cni/config.h"
#include "cri/network/network.h"

namespace wherry::network {

// A network configuration as it was read: the text goes into the result cache, so that DEL uses what ADD used.
struct Loaded {
  cni::ConfigList list;
  std::string text;
  bool single = false;  // a .conf or .json with one plugin
};

// Parses a document of either form. Plugin types that are no plain file names are refused (CVE-2021-20206).
absl::StatusOr<std::shared_ptr<const Loaded>> ParseConfig(const std::string& text, bool single);

// The first valid .conflist, .conf and .json of a directory in lexical order, read anew whenever the directory's listing
// (names, sizes, times) has changed. A .conflist may have more plugins in *.conf of a folder named after its network. Looking costs a few stat(2) calls, so each call looks, and no change can be missed
// between an event and its handling, as with a watch. Thread-safe.
class ConfigDir {
 public:
  using Networks = std::vector<std::shared_ptr<const Loaded>>;

  explicit ConfigDir(std::string path, size_t most = 1) : path_(std::move(path)), most_(most) {}
  // The first one, and all up to `most`, no two of one name. FailedPrecondition, naming the directory and what is wrong with its
  // files, when there is none.
  absl::StatusOr<std::shared_ptr<const Loaded>> Current();
  absl::StatusOr<Networks> All();

 private:
  const std::string path_;
  const size_t most_;
  absl::Mutex mutex_;
  std::string listing_ ABSL_GUARDED_BY(mutex_);  // empty: read again whatever it is
  absl::StatusOr<Networks> current_ ABSL_GUARDED_BY(mutex_) = absl::UnknownError("not read yet");
};

}  // namespace wherry::network

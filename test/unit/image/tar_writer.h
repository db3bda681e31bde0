#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// Makes tar streams and image archives byte by byte, so that tests can also make those that no tool would write.
namespace wherry::image::test {

struct TarEntry {
  std::string name;
  char type =
      '0';  // ustar's: '0' file, '1' hard link, '2' symlink, '3' char device, '4' block device, '5' directory, '6' FIFO
  std::string data;
  std::string target;
  unsigned mode = 0644;
  uint64_t uid = 0, gid = 0;
  int64_t mtime = 1'700'000'000;
  unsigned major = 0, minor = 0;
  std::map<std::string, std::string> pax;  // records of an extended header before the entry
};

class TarWriter {
 public:
  TarWriter& Add(const TarEntry& entry);
  TarWriter& File(const std::string& name, const std::string& data, unsigned mode = 0644);
  TarWriter& Dir(const std::string& name, unsigned mode = 0755);
  TarWriter& Symlink(const std::string& name, const std::string& target);
  TarWriter& HardLink(const std::string& name, const std::string& target);
  // The stream with its end mark; more entries may be added afterwards to make another.
  std::string Bytes() const;
  // Without it: to put before another stream.
  const std::string& Entries() const { return out_; }

 private:
  std::string out_;
};

std::string Gzip(absl::string_view data);
std::string Zstd(absl::string_view data);

// What an image archive says about itself; by default the truth. `layers` are uncompressed tar streams, lowest first.
struct ImageSpec {
  std::vector<std::string> layers;
  std::string name = "example.org/test:1";      // annotation or RepoTags; "" for none
  std::string config_json;                      // the "config" object, "{}" by default
  std::string os = "linux", architecture = "";  // "" for this machine's
  bool gzip = true;
  // Lies, for the last layer.
  std::string diff_id, layer_digest, layer_media_type;
  uint64_t layer_size = 0;
  std::string layer_blob;  // what is stored in place of the compressed layer
};

// An OCI image layout in a tar file; `nested` puts an index with a foreign platform between index.json and the manifest.
std::string OciArchive(const std::vector<ImageSpec>& images, bool nested = false);
// docker save's, before version 25: <id>.json, <n>/layer.tar.
std::string DockerArchive(const std::vector<ImageSpec>& images);
// An OCI layout around documents given verbatim: blobs and index.json.
std::string LayoutArchive(const std::string& index_json, const std::vector<std::string>& blobs);

std::string ConfigId(const ImageSpec& image);

}  // namespace wherry::image::test

#include "test/unit/image/tar_writer.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cri/image/import_plan.h"
#include "cri/image/sha256.h"

namespace wherry::image::test {
namespace {

void Octal(char* field, int digits, uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%0*llo", digits, static_cast<unsigned long long>(value));
  std::memcpy(field, text, static_cast<size_t>(digits));
}

std::string Pad(std::string data) {
  data.resize((data.size() + 511) / 512 * 512, '\0');
  return data;
}

std::string Header(const TarEntry& e, uint64_t size) {
  char h[512] = {};
  std::memcpy(h, e.name.data(), std::min<size_t>(e.name.size(), 100));
  Octal(h + 100, 7, e.mode);
  Octal(h + 108, 7, e.uid & 07777777);
  Octal(h + 116, 7, e.gid & 07777777);
  Octal(h + 124, 11, size);
  Octal(h + 136, 11, static_cast<uint64_t>(e.mtime));
  std::memset(h + 148, ' ', 8);
  h[156] = e.type;
  std::memcpy(h + 157, e.target.data(), std::min<size_t>(e.target.size(), 100));
  std::memcpy(h + 257, "ustar\00000", 8);
  Octal(h + 329, 7, e.major);
  Octal(h + 337, 7, e.minor);
  unsigned sum = 0;
  for (char c : h) sum += static_cast<unsigned char>(c);
  Octal(h + 148, 6, sum);
  h[154] = '\0';
  return std::string(h, sizeof(h));
}

std::string PaxRecord(const std::string& key, const std::string& value) {
  const std::string rest = absl::StrCat(" ", key, "=", value, "\n");
  size_t size = rest.size() + 1;
  while (absl::StrCat(size).size() + rest.size() != size) size = absl::StrCat(size).size() + rest.size();
  return absl::StrCat(size, rest);
}

std::string Descriptor(absl::string_view type, absl::string_view digest, uint64_t size, absl::string_view more = "") {
  return absl::StrCat(R"({"mediaType":")", type, R"(","digest":")", digest, R"(","size":)", size, more, "}");
}

std::string Config(const ImageSpec& image) {
  std::vector<std::string> ids;
  for (const std::string& layer : image.layers) ids.push_back(Sha256Of(layer));
  if (!image.diff_id.empty()) ids.back() = image.diff_id;
  for (std::string& id : ids) id = absl::StrCat("\"", id, "\"");
  const std::string arch = image.architecture.empty() ? HostPlatform().architecture : image.architecture;
  return absl::StrCat(R"({"architecture":")", arch, R"(","os":")", image.os, R"(","config":)",
                      image.config_json.empty() ? "{}" : image.config_json,
                      R"(,"rootfs":{"type":"layers","diff_ids":[)", absl::StrJoin(ids, ","), "]}}");
}

constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kIndexType[] = "application/vnd.oci.image.index.v1+json";

std::string Manifest(const ImageSpec& image, std::vector<std::string>& blobs) {
  std::vector<std::string> layers;
  for (size_t i = 0; i < image.layers.size(); ++i) {
    const bool last = i + 1 == image.layers.size();
    std::string blob = image.gzip ? Gzip(image.layers[i]) : image.layers[i];
    if (last && !image.layer_blob.empty()) blob = image.layer_blob;
    std::string digest = Sha256Of(blob);
    std::string type = absl::StrCat("application/vnd.oci.image.layer.v1.tar", image.gzip ? "+gzip" : "");
    uint64_t size = blob.size();
    if (last && !image.layer_digest.empty()) digest = image.layer_digest;
    if (last && !image.layer_media_type.empty()) type = image.layer_media_type;
    if (last && image.layer_size != 0) size = image.layer_size;
    layers.push_back(Descriptor(type, digest, size));
    blobs.push_back(last && !image.layer_digest.empty() ? absl::StrCat("@", digest, "@", blob) : blob);
  }
  const std::string config = Config(image);
  blobs.push_back(config);
  return absl::StrCat(R"({"schemaVersion":2,"mediaType":")", kManifestType, R"(","config":)",
                      Descriptor("application/vnd.oci.image.config.v1+json", Sha256Of(config), config.size()),
                      R"(,"layers":[)", absl::StrJoin(layers, ","), "]}");
}

}  // namespace

TarWriter& TarWriter::Add(const TarEntry& e) {
  std::string pax;
  for (const auto& [key, value] : e.pax) pax += PaxRecord(key, value);
  if (e.name.size() > 100 && e.pax.count("path") == 0) pax += PaxRecord("path", e.name);
  if (e.target.size() > 100) pax += PaxRecord("linkpath", e.target);
  if (e.uid > 07777777) pax += PaxRecord("uid", absl::StrCat(e.uid));
  if (!pax.empty()) {
    TarEntry x;
    x.name = "pax";
    x.type = 'x';
    out_ += Header(x, pax.size()) + Pad(pax);
  }
  out_ += Header(e, e.data.size()) + Pad(e.data);
  return *this;
}

TarWriter& TarWriter::File(const std::string& name, const std::string& data, unsigned mode) {
  TarEntry e;
  e.name = name;
  e.data = data;
  e.mode = mode;
  return Add(e);
}

TarWriter& TarWriter::Dir(const std::string& name, unsigned mode) {
  TarEntry e;
  e.name = name;
  e.type = '5';
  e.mode = mode;
  return Add(e);
}

TarWriter& TarWriter::Symlink(const std::string& name, const std::string& target) {
  TarEntry e;
  e.name = name;
  e.type = '2';
  e.target = target;
  e.mode = 0777;
  return Add(e);
}

TarWriter& TarWriter::HardLink(const std::string& name, const std::string& target) {
  TarEntry e;
  e.name = name;
  e.type = '1';
  e.target = target;
  return Add(e);
}

std::string TarWriter::Bytes() const { return out_ + std::string(1024, '\0'); }

std::string Gzip(absl::string_view data) {
  isal_zstream stream;
  isal_deflate_stateless_init(&stream);
  std::string out(data.size() + data.size() / 100 + 4096, '\0');
  std::vector<uint8_t> level(ISAL_DEF_LVL1_DEFAULT);
  stream.gzip_flag = IGZIP_GZIP;
  stream.level = 1;
  stream.level_buf = level.data();
  stream.level_buf_size = static_cast<uint32_t>(level.size());
  stream.end_of_stream = 1;
  stream.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uint32_t>(data.size());
  stream.next_out = reinterpret_cast<uint8_t*>(out.data());
  stream.avail_out = static_cast<uint32_t>(out.size());
  if (isal_deflate_stateless(&stream) != COMP_OK) return "";
  out.resize(stream.total_out);
  return out;
}

std::string Zstd(absl::string_view data) {
  std::string out(ZSTD_compressBound(data.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 1));
  return out;
}

std::string LayoutArchive(const std::string& index_json, const std::vector<std::string>& blobs) {
  TarWriter tar;
  tar.File("oci-layout", R"({"imageLayoutVersion":"1.0.0"})").File("index.json", index_json);
  for (const std::string& blob : blobs) {
    // "@digest@contents" is stored under a digest that is not its own.
    const bool lie = !blob.empty() && blob[0] == '@';
    const std::string digest = lie ? blob.substr(1, 71) : Sha256Of(blob);
    tar.File("blobs/sha256/" + digest.substr(7), lie ? blob.substr(73) : blob);
  }
  return tar.Bytes();
}

std::string OciArchive(const std::vector<ImageSpec>& images, bool nested) {
  std::vector<std::string> blobs, entries;
  for (const ImageSpec& image : images) {
    std::string target = Manifest(image, blobs), type = kManifestType;
    blobs.push_back(target);
    if (nested) {
      const std::string foreign =
          Descriptor(kManifestType, Sha256Of("absent"), 6, R"(,"platform":{"os":"plan9","architecture":"mips"})");
      const std::string own =
          Descriptor(kManifestType, Sha256Of(target), target.size(),
                     absl::StrCat(R"(,"platform":{"os":"linux","architecture":")", HostPlatform().architecture, "\"}"));
      target = absl::StrCat(R"({"schemaVersion":2,"manifests":[)", foreign, ",", own, "]}");
      type = kIndexType;
      blobs.push_back(target);
    }
    const std::string annotations =
        image.name.empty()
            ? ""
            : absl::StrCat(R"(,"annotations":{"org.opencontainers.image.ref.name":")", image.name, "\"}");
    entries.push_back(Descriptor(type, Sha256Of(target), target.size(), annotations));
  }
  return LayoutArchive(absl::StrCat(R"({"schemaVersion":2,"manifests":[)", absl::StrJoin(entries, ","), "]}"), blobs);
}

std::string DockerArchive(const std::vector<ImageSpec>& images) {
  TarWriter tar;
  std::vector<std::string> items;
  int n = 0;
  for (const ImageSpec& image : images) {
    const std::string config = Config(image), id = ConfigId(image).substr(7);
    tar.File(id + ".json", config);
    std::vector<std::string> layers;
    for (const std::string& layer : image.layers) {
      const std::string name = absl::StrCat(n++, "/layer.tar");
      tar.File(name, layer);
      layers.push_back(absl::StrCat("\"", name, "\""));
    }
    items.push_back(absl::StrCat(R"({"Config":")", id, R"(.json","RepoTags":[)",
                                 image.name.empty() ? "" : absl::StrCat("\"", image.name, "\""), R"(],"Layers":[)",
                                 absl::StrJoin(layers, ","), "]}"));
  }
  tar.File("manifest.json", absl::StrCat("[", absl::StrJoin(items, ","), "]"));
  return tar.Bytes();
}

std::string ConfigId(const ImageSpec& image) { return Sha256Of(Config(image)); }

}  // namespace wherry::image::test

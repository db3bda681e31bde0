#pragma once

#include <map>
#include <string>

#include "cri/image/sha256.h"
#include "test/integration/image/http_server.h"
#include "test/unit/image/tar_writer.h"

namespace wherry::image::test {

// The documents and blobs of one image, as a registry would have them.
struct RegistryImage {
  std::string config, manifest;
  std::string manifest_digest, config_digest;
  std::map<std::string, std::string> blobs;  // by digest; the configuration too
  std::vector<std::string> layer_digests;
};

// `config`: of the image's configuration, what a container has of it.
inline RegistryImage MakeImage(const std::vector<std::string>& tars, const std::string& config = R"({"Cmd":["sh"]})") {
  RegistryImage image;
  std::string diffs, layers;
  for (const std::string& tar : tars) {
    const std::string blob = Gzip(tar), digest = Sha256Of(blob);
    diffs += (diffs.empty() ? "\"" : ",\"") + Sha256Of(tar) + "\"";
    layers += std::string(layers.empty() ? "" : ",") +
              R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" + digest + R"(","size":)" +
              std::to_string(blob.size()) + "}";
    image.blobs[digest] = blob;
    image.layer_digests.push_back(digest);
  }
  image.config = R"({"config":)" + config + R"(,"rootfs":{"type":"layers","diff_ids":[)" + diffs + "]}}";
  image.config_digest = Sha256Of(image.config);
  image.blobs[image.config_digest] = image.config;
  image.manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
      image.config_digest + R"(","size":)" + std::to_string(image.config.size()) + R"(},"layers":[)" + layers + "]}";
  image.manifest_digest = Sha256Of(image.manifest);
  return image;
}

// A well-behaved registry's answer: the image under any name and tag, and by digest; ranges too.
inline Response Answer(const RegistryImage& image, const Request& request) {
  const std::string last = request.path.substr(request.path.rfind('/') + 1);
  if (request.path.find("/manifests/") != std::string::npos)
    return {200, {"Content-Type: application/vnd.oci.image.manifest.v1+json"}, image.manifest};
  auto blob = image.blobs.find(last);
  if (blob == image.blobs.end())
    return {404, {}, R"({"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]})"};
  const std::string range = request.Header("range");
  if (range.rfind("bytes=", 0) != 0) return {200, {}, blob->second};
  const size_t begin = std::stoul(range.substr(6)), end = std::stoul(range.substr(range.find('-') + 1)) + 1;
  return {206,
          {"Content-Range: bytes " + std::to_string(begin) + "-" + std::to_string(end - 1) + "/" +
           std::to_string(blob->second.size())},
          blob->second.substr(begin, end - begin)};
}

}  // namespace wherry::image::test

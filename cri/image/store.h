#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/oci/image.h"
#include "cri/image/verifiers.h"

// The image store: layers unpacked once each (shared by diffID), images as records over them. Two halves use it: wherryd
// (records, references, removal) and wherry-pull (unpacking into a staging directory).
namespace wherry::image {

// One image. `id` is the digest of its configuration, "sha256:…", and equal in every RPC.
struct Image {
  std::string id;
  std::vector<std::string> repo_tags;     // "docker.io/library/busybox:latest", normalised
  std::vector<std::string> repo_digests;  // "docker.io/library/busybox@sha256:…"
  uint64_t size = 0;                      // bytes on disk of its layers and configuration; never 0
  oci::ImageConfig config;
  std::vector<std::string> diff_ids;  // lowest layer first
  bool damaged = false;               // a layer was found damaged: to be pulled again
  bool pinned = false;                // not to be removed for want of space; Remove() removes it all the same
};

struct FsUsage {
  std::string mountpoint;
  uint64_t used_bytes = 0;
  uint64_t inodes_used = 0;
};

// How far one layer of a pull is.
struct LayerProgress {
  std::string digest;  // of the blob
  uint64_t size = 0;   // in bytes, as the registry has it
  uint64_t done = 0;   // of these, fetched and given to the unpacker
};

// What a layer's check found; nothing when it is as it was unpacked.
struct LayerFindings {
  std::string diff_id;
  std::vector<std::string> findings;  // "/usr/bin/x: contents differ"; the first hundred
  uint64_t count = 0;
};

// CRI's AuthConfig.
struct PullAuth {
  std::string username, password;
  std::string auth;  // base64 of "username:password"
  std::string server_address;
  std::string identity_token;  // an OAuth2 refresh token
  std::string registry_token;  // a Bearer token, to be used as it is
};

// Thread-safe. Lists and look-ups answer from memory.
class ImageStore {
 public:
  struct Options {
    std::string root;                                    // <root>/images: layers/, staging/, images.db
    std::string pull_program;                            // path of wherry-pull
    std::string registry_config = "";                    // directories of hosts.toml files, separated by colons
    std::vector<std::string> pinned{};                   // references and patterns, as PinnedNames takes them
    size_t max_pulls = 16;                               // at a time; more wait
    uint32_t parallel_layers = 4;                        // of one pull, fetched and unpacked at a time
    absl::Duration progress_timeout = absl::Minutes(5);  // a pull in which nothing moves for so long is given up
    Verifiers::Options verifiers{};                      // who may veto a pull
  };
  // Opens the store, removes what an interrupted import left, loads all records.
  static absl::StatusOr<std::unique_ptr<ImageStore>> Open(const Options& options);
  virtual ~ImageStore() = default;

  virtual std::vector<std::shared_ptr<const Image>> List() const = 0;
  // By id, id prefix (≥ 4 hex digits, unambiguous), "sha256:…", tag or digest reference, normalised as Docker does.
  // NotFound when absent; InvalidArgument when `ref` is no reference.
  virtual absl::StatusOr<std::shared_ptr<const Image>> Find(const std::string& ref) const = 0;
  struct ImportOptions {
    std::vector<std::string> references{};  // names in place of the archive's own; for an archive with one image
    bool pinned = false;                    // mark the images so, for as long as they are here
  };
  // Imports every image of an archive.
  virtual absl::StatusOr<std::vector<std::shared_ptr<const Image>>> Import(const std::string& archive,
                                                                           const ImportOptions& options) = 0;
  // Pulls from the registry that `ref` names. Two pulls of one reference with the same credentials are one. `cancelled` is asked
  // now and then; the work ends when nobody waits for it any more (Cancelled). A registry that is not to be had is Unknown with a text
  // that begins with "RegistryUnavailable", for the kubelet; with "SignatureValidationFailed" when a verifier vetoed it. One in which
  // nothing moves any more, neither a byte from the network nor one to the disk, is DeadlineExceeded. `watch`, if there is one,
  // is told from time to time, from this thread, how far the layers are that have been begun.
  using Watch = std::function<void(const std::vector<LayerProgress>&)>;
  virtual absl::StatusOr<std::shared_ptr<const Image>> Pull(const std::string& ref, const PullAuth& auth,
                                                            const std::function<bool()>& cancelled,
                                                            const Watch& watch) = 0;
  absl::StatusOr<std::shared_ptr<const Image>> Pull(const std::string& ref, const PullAuth& auth,
                                                    const std::function<bool()>& cancelled) {
    return Pull(ref, auth, cancelled, nullptr);
  }
  // Gives an image one more name, and returns that in full. With `force` another image loses it; without, that is AlreadyExists.
  virtual absl::StatusOr<std::string> Tag(const std::string& ref, const std::string& tag, bool force) = 0;
  // Takes one name away, a tag or "repository@digest", and the image with its last one. NotFound.
  virtual absl::Status Untag(const std::string& name) = 0;
  // Compares every byte and attribute of the layers with what was unpacked: of the images that are named, or of all. Layers that
  // differ are marked: the next pull or import of an image that needs them unpacks them anew (whatever has them in use keeps
  // what it has), and until then no container is made of them. Marks are taken from those that are whole again.
  virtual absl::StatusOr<std::vector<LayerFindings>> Verify(const std::vector<std::string>& refs) = 0;
  // Writes the image as an OCI archive, with the configuration and the layers' tar streams byte for byte as they came, uncompressed;
  // piece by piece to `sink`, from this thread, whose error ends it. The image is called by all its tags, or by `ref` alone
  // if that is one. FailedPrecondition when a layer is one that cannot be rebuilt, DataLoss when one is damaged.
  using Sink = std::function<absl::Status(absl::string_view)>;
  virtual absl::Status Export(const std::string& ref, const Sink& sink) = 0;
  // Removes the image with all its names. Layers go when neither another image nor a Hold needs them. OK when absent.
  virtual absl::Status Remove(const std::string& ref) = 0;
  virtual absl::StatusOr<FsUsage> Usage() const = 0;

  // Keeps the image's layers while a container uses them; the layer directories, topmost first, are overlay lowerdirs.
  // `holder` is the container id; holds are re-taken after a restart, from the container's record. FailedPrecondition, with the hold
  // taken, when a layer is known or seen to be damaged; what is looked at is one inode each, Verify() looks at all.
  virtual absl::StatusOr<std::vector<std::string>> Hold(const std::string& image_id, const std::string& holder) = 0;
  virtual void Release(const std::string& holder) = 0;
  // To be called once after a start, when all holds have been taken again. Until then an image that was removed while
  // containers used it is kept, since the store cannot know whether one still does. A Remove() says the same.
  virtual void HoldsRestored() {}
};

}  // namespace wherry::image

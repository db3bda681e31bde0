#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/shim/log_file.h"
#include "runtime/shim/log_format.h"
#include "runtime/shim/poller.h"
#include "runtime/shim/tap.h"
#include "runtime/sys/unique_fd.h"

// Copies what a container writes into its log: bytes from a pipe or a pty master, cut into lines, each with its time
// stamp. Nothing is allocated on the way.
namespace wherry::shim {

inline constexpr size_t kDefaultMaxLine = 16384;  // bytes of content before a line is split
inline constexpr size_t kMaxMaxLine = 256 << 10;  // what a request may ask for
inline constexpr int kPipeSize = 1 << 20;         // asked of F_SETPIPE_SZ

// An anonymous mapping whose pages can be given back.
class Pages {
 public:
  Pages() = default;
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  absl::Status Map(size_t size);
  void Release();  // the content is lost, the addresses stay
  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

// The two big buffers that all streams of a shim use in turn. Their memory goes back to the kernel when no stream has
// been read for a while.
class LogArena final : private Poller::Handler {
 public:
  static absl::StatusOr<std::unique_ptr<LogArena>> Create(Poller& poller);
  ~LogArena();
  void Use();
  const Pages& in() const { return in_; }
  const Pages& out() const { return out_; }
  static constexpr size_t kRead = 128 << 10;  // bytes taken from a pipe at once

 private:
  explicit LogArena(Poller& poller) : poller_(poller) {}
  void OnReady(uint32_t events) override;

  Poller& poller_;
  Pages in_, out_;
  bool armed_ = false;
  bool used_ = false;
};

class LogStream final : private Poller::Handler {
 public:
  // `source` is made non-blocking. The file must outlive the stream.
  static absl::StatusOr<std::unique_ptr<LogStream>> Create(Poller& poller, LogArena& arena, LogFile& file,
                                                           sys::UniqueFd source, StreamName name, size_t max_line);
  ~LogStream();

  // Takes what has been written so far, at most a full pipe, and writes an unfinished line out: the container's init has
  // ended. Others may still hold the pipe; what they write is logged later.
  void Drain();

  // Attached clients; each gets a copy of what is read from now on, until EndTaps or the end of the stream.
  void AddTap(Tap* tap);
  void RemoveTap(const Tap* tap);
  void EndTaps();

  const sys::UniqueFd& source() const { return source_; }

 private:
  LogStream(Poller& poller, LogArena& arena, LogFile& file, StreamName name, size_t max_line)
      : poller_(poller), arena_(arena), file_(file), name_(name), max_line_(max_line) {}
  void OnReady(uint32_t events) override;
  // Bytes read; 0 at the end (then the source is closed), -1 when there is nothing now.
  ssize_t ReadOnce();
  void Consume(size_t size);
  void Emit(char tag, const char* content, size_t size);
  void FlushCarry();
  void FlushOut();
  void Close();

  Poller& poller_;
  LogArena& arena_;
  LogFile& file_;
  StreamName name_;
  size_t max_line_;
  sys::UniqueFd source_;
  Pages carry_;  // the line under way
  size_t carry_used_ = 0;
  size_t out_used_ = 0;  // only while a batch is formatted
  char prefix_[kLogPrefix] = {};
  std::vector<Tap*> taps_;
};

}  // namespace wherry::shim

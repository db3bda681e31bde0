// Throughput of exec and port-forward: bytes through the URL that the runtime gives, over SPDY in the pieces that kubectl sends,
// until all have come back. They are compared byte by byte: a digest would cost the client as much as all the rest.
#include <fcntl.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <optional>

#include "cri/streaming/client/dial.h"
#include "runtime/sys/file.h"
#include "test/bench/pods.h"

namespace wherry::bench {
namespace {

using streaming::SpdyLink;

constexpr size_t kBlockBytes = 16 << 20;
constexpr size_t kPieceBytes = 32 << 10;
constexpr int kPiecesAhead = 8;
constexpr uint16_t kPort = 18080;  // and the next two: what wherry-bench-echo does with a connection
enum class Forward : uint16_t { kEcho, kSource, kSink };
constexpr double kMB = 1e6;

// What is moved: a block of noise, as often as it takes.
struct Data {
  std::shared_ptr<char[]> block;
  size_t total = 0;

  // Whether `bytes` are those from `at` on.
  bool Has(size_t at, absl::string_view bytes) const {
    while (!bytes.empty()) {
      const size_t begin = at % kBlockBytes, n = std::min(bytes.size(), kBlockBytes - begin);
      if (std::memcmp(&block[begin], bytes.data(), n) != 0) return false;
      bytes.remove_prefix(n);
      at += n;
    }
    return true;
  }
};

Data MakeData(int megabytes) {
  Data data;
  data.block = std::make_shared_for_overwrite<char[]>(kBlockBytes);
  uint64_t x = 88172645463325252;  // xorshift64
  for (size_t i = 0; i < kBlockBytes; i += sizeof(x)) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    std::memcpy(&data.block[i], &x, sizeof(x));
  }
  const size_t blocks = std::max<size_t>(1, (static_cast<size_t>(megabytes) << 20) / kBlockBytes);
  data.total = blocks * kBlockBytes;
  return data;
}

// One transfer: sends all on one stream and expects it back on another, or does half of it.
class Transfer final : public SpdyLink::Owner, public std::enable_shared_from_this<Transfer> {
 public:
  Transfer(std::shared_ptr<SpdyLink> link, const Data& data) : link_(std::move(link)), data_(data) {}

  void Exec(bool with_input) {
    link_->Start(shared_from_this());
    error_ = link_->Open({{"streamtype", "error"}});
    if (with_input) in_ = link_->Open({{"streamtype", "stdin"}});
    out_ = link_->Open({{"streamtype", "stdout"}});
    if (with_input) SendSome();
  }
  void Forward(enum Forward how) {
    link_->Start(shared_from_this());
    const std::string port = absl::StrCat(kPort + static_cast<uint16_t>(how));
    error_ = link_->Open({{"streamtype", "error"}, {"port", port}, {"requestid", "0"}});
    out_ = in_ = link_->Open({{"streamtype", "data"}, {"port", port}, {"requestid", "0"}});
    if (how == Forward::kEcho) return SendSome();
    // The other side is told how much it shall be, and a sink answers with one byte when it has all.
    const uint64_t total = data_.total;
    if (how == Forward::kSource) sent_ = data_.total;
    if (how == Forward::kSink) expected_ = 1;
    link_->Send(in_, streaming::Chunk::Copy({reinterpret_cast<const char*>(&total), sizeof total}));
  }

  absl::Status Await(boost::asio::io_context& io) {
    while (!result_.has_value() && io.run_one() > 0) continue;
    link_->Close();
    io.poll();
    return result_.value_or(absl::InternalError("the transfer came to no end"));
  }

 private:
  void SendSome() {
    for (int i = 0; i < kPiecesAhead && sent_ < data_.total; ++i) {
      link_->Send(in_, {data_.block, sent_ % kBlockBytes, kPieceBytes});
      sent_ += kPieceBytes;
    }
    if (sent_ == data_.total && in_ != out_) link_->Finish(in_);
  }
  void End(absl::Status status) {
    if (!result_.has_value()) result_ = std::move(status);
  }

  void OnStream(uint32_t, const streaming::spdy::Headers&) override {}
  void OnData(uint32_t id, absl::string_view data) override {
    link_->Consumed(id, data.size());
    if (id == error_) return error_text_.append(data.data(), data.size()), void();
    if (id != out_) return;
    if (expected_ == data_.total && !data_.Has(received_, data))
      return End(absl::DataLossError("not what was sent came back"));
    received_ += data.size();
    if (received_ < expected_) return;
    End(received_ == expected_ ? absl::OkStatus() : absl::DataLossError("more came back than was sent"));
  }
  void OnEnd(uint32_t id) override {
    if (id == error_ && !error_text_.empty()) End(absl::UnavailableError(error_text_));
  }
  void OnReset(uint32_t) override { End(absl::UnavailableError(absl::StrCat("a stream was reset: ", error_text_))); }
  void OnSent(uint32_t id) override {
    if (id == in_ && sent_ < data_.total) SendSome();
  }
  void OnGone() override {
    End(absl::DataLossError(absl::StrCat("the session ended after ", received_, " bytes: ", error_text_)));
  }

  const std::shared_ptr<SpdyLink> link_;
  const Data& data_;
  uint32_t error_ = 0, in_ = 0, out_ = 0;
  size_t sent_ = 0, received_ = 0, expected_ = data_.total;
  std::string error_text_;
  std::optional<absl::Status> result_;
};

struct Run {
  const char* key;
  const char* title;
  const char* protocol;
  std::function<absl::StatusOr<std::string>()> url;
  std::function<void(Transfer&)> start;
};

absl::Status Measure(const Run& run, const Data& data, const Options& options, Report& report) {
  ASSIGN_OR_RETURN(CpuMeter cpu, CpuMeter::Make(options.cpu_cgroup));
  Stopwatch watch;
  boost::asio::io_context io{1};
  ASSIGN_OR_RETURN(const std::string url, run.url());
  ASSIGN_OR_RETURN(std::shared_ptr<SpdyLink> link, streaming::Dial(io, url, run.protocol, ""));
  auto transfer = std::make_shared<Transfer>(std::move(link), data);
  run.start(*transfer);
  RETURN_IF_ERROR_CTX(transfer->Await(io), run.title);
  const double seconds = watch.Milliseconds() / 1e3, bytes = static_cast<double>(data.total);
  ASSIGN_OR_RETURN(const double cpu_seconds, cpu.Seconds());
  report.Add(absl::StrCat(run.key, "_mb_per_s"), run.title, "MB/s", bytes / kMB / seconds);
  report.Add(absl::StrCat(run.key, "_cpu_s_per_gb"), absl::StrCat(run.title, ": CPU for 1 GB"), "s",
             cpu_seconds * 1e9 / bytes);
  return absl::OkStatus();
}

// The pod's program lies beside this one.
absl::Status CopyEcho(const std::string& directory) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) std::filesystem::copy_file(self.parent_path() / "wherry-bench-echo", directory + "/echo", error);
  return error ? sys::Errno("copy wherry-bench-echo", error.value()) : absl::OkStatus();
}

// The program in the pod may not listen yet.
absl::Status AwaitPort(Client& client, const Pod& pod) {
  const Data little = MakeData(0);
  absl::Status last;
  for (int i = 0; i < 100; ++i) {
    boost::asio::io_context io{1};
    ASSIGN_OR_RETURN(const std::string url, client.PortForwardUrl(pod.id, kPort));
    ASSIGN_OR_RETURN(std::shared_ptr<SpdyLink> link, streaming::Dial(io, url, streaming::kForwardProtocol, ""));
    auto transfer = std::make_shared<Transfer>(std::move(link), little);
    transfer->Forward(Forward::kEcho);
    last = transfer->Await(io);
    if (last.ok()) return last;
    timespec pause = {0, 50'000'000};
    nanosleep(&pause, nullptr);
  }
  return last;
}

}  // namespace

absl::Status MeasureStreams(Client& client, const Options& options, Report& report) {
  const Data data = MakeData(options.stream_megabytes);
  const std::string data_dir = absl::StrCat(options.log_root, "/streams");
  if (mkdir(data_dir.c_str(), 0755) != 0) return sys::Errno(absl::StrCat("mkdir \"", data_dir, "\""));
  ASSIGN_OR_RETURN(sys::UniqueFd fd,
                   sys::OpenAt(AT_FDCWD, absl::StrCat(data_dir, "/block"), O_WRONLY | O_CREAT | O_TRUNC, 0644));
  RETURN_IF_ERROR(sys::WriteAll(fd.get(), {data.block.get(), kBlockBytes}));

  RETURN_IF_ERROR(CopyEcho(data_dir));

  Pods pods(client, options);
  ASSIGN_OR_RETURN(Pod pod, pods.StartCommand("streams", {"/data/echo", absl::StrCat(kPort), "/data/block"}, data_dir));
  const std::string repeat =
      absl::StrCat("i=0; while [ $i -lt ", data.total / kBlockBytes, " ]; do cat /data/block; i=$((i+1)); done");
  RETURN_IF_ERROR(AwaitPort(client, pod));
  const std::string& id = pod.container;
  auto forward_to = [&](Forward how) {
    return [&, how] { return client.PortForwardUrl(pod.id, kPort + static_cast<uint16_t>(how)); };
  };
  const std::vector<Run> runs = {
      {"exec_out", "exec, output only", streaming::kRemoteProtocol,
       [&] {
         return client.ExecUrl(id, {"/bin/sh", "-c", repeat}, false);
       },
       [](Transfer& t) { t.Exec(false); }},
      {"exec_both", "exec, input and output at once", streaming::kRemoteProtocol,
       [&] { return client.ExecUrl(id, {"/bin/cat"}, true); }, [](Transfer& t) { t.Exec(true); }},
      {"forward_out", "port-forward, from the pod", streaming::kForwardProtocol, forward_to(Forward::kSource),
       [](Transfer& t) { t.Forward(Forward::kSource); }},
      {"forward_in", "port-forward, to the pod", streaming::kForwardProtocol, forward_to(Forward::kSink),
       [](Transfer& t) { t.Forward(Forward::kSink); }},
      {"forward_both", "port-forward, both ways at once", streaming::kForwardProtocol, forward_to(Forward::kEcho),
       [](Transfer& t) { t.Forward(Forward::kEcho); }}};
  for (const Run& run : runs) RETURN_IF_ERROR(Measure(run, data, options, report));
  return pods.Remove(pod);
}

}  // namespace wherry::bench

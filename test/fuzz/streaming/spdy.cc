// What a client may write after its HTTP upgrade, in pieces of any length. The session's owner here is slow at times: it keeps
// what it got until the next output is fetched. The first byte of the input says how long the pieces are, the second how lazy
// the owner is.
#include <cstdlib>
#include <map>
#include <utility>

#include "cri/streaming/spdy/session.h"
#include "test/fuzz/target.h"

namespace {

using namespace wherry::streaming::spdy;  // NOLINT: a program of one file

void Demand(bool ok) {
  if (!ok) std::abort();
}

class Owner final : public Session::Events {
 public:
  explicit Owner(bool lazy) : lazy_(lazy), session(Session::Role::kServer, *this) {}

  void OnStream(uint32_t id, const Headers& headers) override {
    size_t bytes = 0;
    for (const auto& [name, value] : headers) bytes += name.size() + value.size();
    Demand(headers.size() <= kMaxHeaders && bytes <= kMaxHeaderBytes);  // headers are bounded
    Demand(held_.emplace(id, 0).second);                                // a stream opens once
    if (id % 8 == 7) {
      session.Reset(id, Reset::kRefusedStream);
      held_.erase(id);
      return;
    }
    session.Reply(id, headers);
    session.Send(id, wherry::streaming::Chunk::Copy("welcome"));
  }
  void OnData(uint32_t id, absl::string_view data) override {
    Demand(held_.count(id) == 1);  // data comes for open streams
    held_[id] += data.size();
    if (!lazy_) Consume();
  }
  void OnEnd(uint32_t id) override {
    Demand(held_.count(id) == 1);  // open streams end
    session.Send(id, wherry::streaming::Chunk::Copy("bye"));
    session.Finish(id);
  }
  void OnReset(uint32_t id) override { Demand(held_.erase(id) == 1); }

  void OnSent(uint32_t) override {}

  void Consume() {
    for (auto& [id, bytes] : held_) session.Consumed(id, std::exchange(bytes, 0));
    Demand(session.unconsumed() == 0);  // what is consumed is given back
  }
  void Fetch() {
    size_t bytes = 0;
    for (const auto& piece : session.Gather()) bytes += piece.size;
    Demand(bytes <= 2 * Session::kMaxControlQueued + (1 << 20));  // output is bounded
    if (bytes > 0) session.Sent();
  }

 private:
  const bool lazy_;
  std::map<uint32_t, size_t> held_;

 public:
  Session session;
};

std::string Number(uint32_t number) {
  std::string out;
  PutNumber(number, &out);
  return out;
}

}  // namespace

std::vector<std::string> wherry::fuzz::Seeds() {
  HeaderDeflater deflater;
  std::string all;
  for (uint32_t id : {1, 3, 5, 7}) {
    const Headers headers = {{"streamtype", id == 1 ? "error" : "data"}, {"port", "80"}, {"requestid", "0"}};
    all += ControlFrame(Type::kSynStream, id == 5 ? kFlagFin : 0,
                        Number(id) + Number(0) + std::string(2, '\0') + deflater.Write(headers));
  }
  all += DataHeader(3, 0, 5) + "hello" + DataHeader(3, kFlagFin, 0) + DataHeader(1, 0, 300) + std::string(300, 'x');
  all += ControlFrame(Type::kSettings, 0, Number(1) + Number(kSettingInitialWindow) + Number(10));
  all += ControlFrame(Type::kWindowUpdate, 0, Number(1) + Number(100)) + ControlFrame(Type::kPing, 0, Number(1));
  all += ControlFrame(Type::kHeaders, 0, Number(1) + deflater.Write({{"a", "b"}}));
  all +=
      ControlFrame(Type::kRstStream, 0, Number(1) + Number(5)) + ControlFrame(Type::kGoAway, 0, Number(7) + Number(0));
  return {std::string("\xff\x00", 2) + all, std::string("\x07\x01", 2) + all};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece = 1 + data[0];
  Owner owner((data[1] & 1) != 0);
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  bool over = false;
  for (size_t at = 2, n = 0; at < size; at += piece, ++n) {
    const bool ok = owner.session.Receive(input.substr(at, piece)).ok();
    Demand(!(over && ok));  // a session that is over stays so
    over = !ok;
    if (n % 4 != 3) continue;
    owner.Consume();
    owner.Fetch();
  }
  owner.Consume();
  owner.Fetch();
  return 0;
}

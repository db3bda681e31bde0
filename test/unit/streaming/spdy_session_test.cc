// The rules of a SPDY/3.1 session: streams, their ends, windows, and what a peer may not do. Two ends of our own talk here;
// test/integration/streaming has another implementation's.
#include <gmock/gmock.h>

#include <map>
#include <memory>

#include "cri/streaming/spdy/session.h"

namespace wherry::streaming::spdy {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string Numbers(std::initializer_list<uint32_t> numbers) {
  std::string out;
  for (uint32_t number : numbers) PutNumber(number, &out);
  return out;
}

// Answers each stream, and keeps what happened to it.
class End final : public Session::Events {
 public:
  explicit End(Session::Role role) : session(role, *this) {}

  struct Seen {
    Headers headers;
    std::string data;
    int sent = 0;
    bool replied = false, ended = false, reset = false;
  };
  void OnStream(uint32_t id, const Headers& headers) override {
    streams[id].headers = headers;
    session.Reply(id, {});
  }
  void OnReply(uint32_t id, const Headers&) override { streams[id].replied = true; }
  void OnData(uint32_t id, absl::string_view data) override {
    streams[id].data += std::string(data);
    if (consumes) session.Consumed(id, data.size());
  }
  void OnEnd(uint32_t id) override { streams[id].ended = true; }
  void OnReset(uint32_t id) override { streams[id].reset = true; }
  void OnSent(uint32_t id) override { ++streams[id].sent; }
  void OnGoAway() override { gone = true; }

  std::string Output() {
    std::string out;
    for (const Piece& piece : session.Gather()) out.append(piece.data, piece.size);
    if (!out.empty()) session.Sent();
    return out;
  }

  std::map<uint32_t, Seen> streams;
  bool consumes = true, gone = false;
  Session session;
};

class SpdySessionTest : public testing::Test {
 protected:
  SpdySessionTest() { Talk(); }
  // Carries bytes both ways until neither end has more to say. Returns how many came to the client.
  size_t Talk() {
    size_t to_client = 0;
    while (true) {
      const std::string a = client.Output(), b = server.Output();
      if (a.empty() && b.empty()) return to_client;
      to_client += b.size();
      EXPECT_TRUE(server.session.Receive(a).ok());
      EXPECT_TRUE(client.session.Receive(b).ok());
    }
  }
  // The text with which a server, or `to`, ends the session because of `bytes`; and it says GOAWAY.
  std::string Ended(const std::string& bytes) {
    const absl::Status status = server.session.Receive(bytes);
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(server.Output(), HasSubstr(std::string("\x80\x03\x00\x07", 4)));
    EXPECT_FALSE(server.session.Receive(ControlFrame(Type::kPing, 0, Numbers({1}))).ok());
    EXPECT_THAT(server.Output(), IsEmpty());
    return std::string(status.message());
  }
  // A SYN_STREAM without headers, with a compression of its own: the first of a session only.
  std::string Syn(uint32_t id, uint8_t flags = 0) {
    return ControlFrame(Type::kSynStream, flags, Numbers({id, 0}) + std::string(2, '\0') + deflater_.Write({}));
  }
  std::string Rst(uint32_t id, Reset why) {
    return ControlFrame(Type::kRstStream, 0, Numbers({id, static_cast<uint32_t>(why)}));
  }

  End server{Session::Role::kServer}, client{Session::Role::kClient};
  HeaderDeflater deflater_;
};

TEST_F(SpdySessionTest, AStreamCarriesHeadersAndBytesBothWays) {
  const uint32_t id = client.session.Open({{"streamtype", "stdin"}});
  client.session.Send(id, Chunk::Copy("question"));
  Talk();
  EXPECT_EQ(server.streams[id].headers, (Headers{{"streamtype", "stdin"}}));
  EXPECT_EQ(server.streams[id].data, "question");
  EXPECT_TRUE(client.streams[id].replied);
  server.session.Send(id, Chunk::Copy("answer"));
  Talk();
  EXPECT_EQ(client.streams[id].data, "answer");
  EXPECT_EQ(server.streams[id].sent, 1);
}

TEST_F(SpdySessionTest, EachDirectionEndsOnItsOwn) {
  const uint32_t id = client.session.Open({});
  client.session.Finish(id);
  Talk();
  EXPECT_TRUE(server.streams[id].ended);
  server.session.Send(id, Chunk::Copy("still"));
  server.session.Finish(id);
  server.session.Send(id, Chunk::Copy("never"));
  Talk();
  EXPECT_EQ(client.streams[id].data, "still");
  EXPECT_TRUE(client.streams[id].ended);
  EXPECT_EQ(server.session.streams() + client.session.streams(), 0u);
}

TEST_F(SpdySessionTest, AResetEndsOneStreamOnly) {
  const uint32_t a = client.session.Open({}), b = client.session.Open({});
  Talk();
  server.session.Reset(a, Reset::kCancel);
  server.session.Send(b, Chunk::Copy("lives"));
  Talk();
  EXPECT_TRUE(client.streams[a].reset);
  EXPECT_EQ(client.streams[b].data, "lives");
  EXPECT_EQ(server.session.streams(), 1u);
}

TEST_F(SpdySessionTest, ASenderKeepsToThePeersWindows) {
  client.consumes = false;
  const uint32_t id = client.session.Open({});
  Talk();
  server.session.Send(id, Chunk::Copy(std::string(1 << 20, 'x')));
  Talk();
  EXPECT_THAT(client.streams[id].data, SizeIs(Session::kStreamWindow));
  EXPECT_EQ(server.streams[id].sent, 0);
  client.session.Consumed(id, Session::kStreamWindow);
  Talk();
  EXPECT_THAT(client.streams[id].data, SizeIs(2 * Session::kStreamWindow));
}

TEST_F(SpdySessionTest, TheSessionsWindowBoundsAllStreamsTogether) {
  client.consumes = false;
  size_t got = 0;
  std::vector<uint32_t> ids(6);
  for (uint32_t& id : ids) id = client.session.Open({});
  Talk();
  for (uint32_t id : ids) server.session.Send(id, Chunk::Copy(std::string(Session::kStreamWindow, 'x')));
  Talk();
  for (uint32_t id : ids) got += client.streams[id].data.size();
  EXPECT_EQ(got, static_cast<size_t>(Session::kSessionWindow));
  for (uint32_t id : ids) client.session.Consumed(id, client.streams[id].data.size());
  Talk();
  got = 0;
  for (uint32_t id : ids) got += client.streams[id].data.size();
  EXPECT_EQ(got, 2 * static_cast<size_t>(Session::kSessionWindow));
}

TEST_F(SpdySessionTest, APeerWithoutFlowControlGetsAllAtOnce) {
  End plain(Session::Role::kServer);
  plain.Output();
  ASSERT_TRUE(plain.session.Receive(Syn(1)).ok());
  plain.session.Send(1, Chunk::Copy(std::string(1 << 20, 'x')));
  size_t bytes = 0;
  for (std::string out = plain.Output(); !out.empty(); out = plain.Output()) bytes += out.size();
  EXPECT_GT(bytes, size_t{1} << 20);
}

TEST_F(SpdySessionTest, APeerThatIgnoresOurWindowIsSeenByWhatIsUnconsumed) {
  server.consumes = false;
  ASSERT_TRUE(server.session.Receive(Syn(1)).ok());
  ASSERT_TRUE(server.session.Receive(DataHeader(1, 0, 2 << 20) + std::string(2 << 20, 'x')).ok());
  EXPECT_EQ(server.session.unconsumed(), size_t{2} << 20);
  server.session.Consumed(1, 1 << 20);
  EXPECT_EQ(server.session.unconsumed(), size_t{1} << 20);
  ASSERT_TRUE(server.session.Receive(Rst(1, Reset::kCancel)).ok());
  EXPECT_EQ(server.session.unconsumed(), 0u);
  server.session.Consumed(1, 1 << 20);  // late
  EXPECT_EQ(server.session.unconsumed(), 0u);
}

// KUBELET G46: answer PINGs.
TEST_F(SpdySessionTest, PingsAreAnsweredAndAnswersAreNot) {
  const std::string ping = ControlFrame(Type::kPing, 0, Numbers({7}));
  ASSERT_TRUE(server.session.Receive(ping).ok());
  EXPECT_EQ(server.Output(), ping);
  ASSERT_TRUE(server.session.Receive(ControlFrame(Type::kPing, 0, Numbers({8}))).ok());
  EXPECT_EQ(server.Output(), "");
}

TEST_F(SpdySessionTest, StreamsBeyondTheLimitAreRefusedAndTheOthersLive) {
  for (size_t i = 0; i < Session::kMaxStreams + 2; ++i) client.session.Open({});
  Talk();
  EXPECT_EQ(server.session.streams(), Session::kMaxStreams);
  EXPECT_TRUE(client.streams[2 * Session::kMaxStreams + 1].reset);
  EXPECT_FALSE(client.streams[1].reset);
}

TEST_F(SpdySessionTest, DataForStreamsThatAreNotOpenIsAnsweredByAReset) {
  ASSERT_TRUE(server.session.Receive(DataHeader(9, 0, 1) + "x").ok());
  EXPECT_EQ(server.Output(), Rst(9, Reset::kInvalidStream));
  ASSERT_TRUE(server.session.Receive(Syn(11, kFlagFin)).ok());
  server.Output();
  EXPECT_TRUE(server.streams[11].ended);
  ASSERT_TRUE(server.session.Receive(DataHeader(11, 0, 1) + "x").ok());
  EXPECT_EQ(server.Output(), Rst(11, Reset::kStreamAlreadyClosed));
  EXPECT_EQ(server.streams[11].data, "");
  EXPECT_EQ(server.session.unconsumed(), 0u);
}

TEST_F(SpdySessionTest, IdsMustGrowAndBeThePeers) {
  ASSERT_TRUE(server.session.Receive(Syn(5)).ok());
  EXPECT_THAT(Ended(Syn(5)), HasSubstr("stream 5 opened after 5"));
}

TEST_F(SpdySessionTest, AnEvenIdFromAClientEndsTheSession) { EXPECT_THAT(Ended(Syn(2)), HasSubstr("stream 2")); }

TEST_F(SpdySessionTest, BadHeadersEndTheSession) {
  EXPECT_THAT(Ended(ControlFrame(Type::kSynStream, 0, Numbers({1, 0}) + std::string(2, '\0') + "rubbish")),
              HasSubstr("headers"));
}

TEST_F(SpdySessionTest, FramesOfWrongLengthEndTheSession) {
  for (Type type : {Type::kSynStream, Type::kSynReply, Type::kRstStream, Type::kSettings, Type::kPing, Type::kGoAway,
                    Type::kHeaders, Type::kWindowUpdate}) {
    End end(Session::Role::kServer);
    EXPECT_FALSE(end.session.Receive(ControlFrame(type, 0, "abc")).ok()) << static_cast<int>(type);
  }
  EXPECT_THAT(Ended(ControlFrame(Type::kSettings, 0, Numbers({0xffffffff}))), HasSubstr("SETTINGS"));
}

TEST_F(SpdySessionTest, UnknownControlFramesAreIgnored) {
  EXPECT_TRUE(server.session.Receive(ControlFrame(static_cast<Type>(77), 0, "abc")).ok());
  EXPECT_EQ(server.Output(), "");
}

TEST_F(SpdySessionTest, WindowsDoNotOverflow) {
  ASSERT_TRUE(server.session.Receive(Syn(1)).ok());
  const std::string most = ControlFrame(Type::kWindowUpdate, 0, Numbers({1, 0x7fffffff}));
  ASSERT_TRUE(server.session.Receive(most).ok());
  EXPECT_THAT(server.Output(), HasSubstr(Rst(1, Reset::kFlowControlError)));
  EXPECT_TRUE(server.streams[1].reset);
  EXPECT_THAT(Ended(ControlFrame(Type::kWindowUpdate, 0, Numbers({0, 0x7fffffff}))), HasSubstr("window"));
}

TEST_F(SpdySessionTest, APeerThatDoesNotFetchAnswersIsNotAnsweredForEver) {
  const std::string ping = ControlFrame(Type::kPing, 0, Numbers({1}));
  size_t taken = 0;
  while (server.session.Receive(ping).ok() && taken < (8 << 20)) taken += ping.size();
  EXPECT_LE(taken, Session::kMaxControlQueued + 100);
}

TEST_F(SpdySessionTest, AfterGoAwayNoStreamIsOpened) {
  const uint32_t before = client.session.Open({});
  Talk();
  server.session.GoAway(GoAway::kOk);
  const uint32_t crossing = client.session.Open({});
  Talk();
  EXPECT_TRUE(client.gone);
  EXPECT_EQ(client.session.Open({}), 0u);
  EXPECT_EQ(server.streams.count(crossing), 0u);
  server.session.Send(before, Chunk::Copy("rest"));
  Talk();
  EXPECT_EQ(client.streams[before].data, "rest");
}

}  // namespace
}  // namespace wherry::streaming::spdy

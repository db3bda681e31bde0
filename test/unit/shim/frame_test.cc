#include "runtime/shim/frame.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/shim/v1/shim.pb.h"
#include "gtest/gtest.h"
#include "runtime/sys/file.h"

namespace wherry::shim {
namespace {

class FrameTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    a_.reset(ends[0]);
    b_.reset(ends[1]);
  }
  FrameReader::Result Read() {
    auto result = reader_.Read(b_.get(), frame_);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : FrameReader::Result::kEof;
  }
  static v1::Request RequestOfSize(size_t size) {
    v1::Request request;
    request.set_id(1);
    request.mutable_forget()->set_container_id(std::string(size, 'c'));
    return request;
  }

  sys::UniqueFd a_, b_;
  FrameReader reader_;
  FrameReader::Frame frame_;
};

TEST_F(FrameTest, SmallFramesComeOneByOne) {
  FrameWriter writer(1 << 20);
  ASSERT_TRUE(writer.Push(RequestOfSize(3)).ok());
  ASSERT_TRUE(writer.Push(RequestOfSize(5)).ok());
  ASSERT_TRUE(writer.Flush(a_.get()).ok());
  for (size_t size : {3, 5}) {
    ASSERT_EQ(Read(), FrameReader::Result::kFrame);
    EXPECT_EQ(frame_.body, RequestOfSize(size).SerializeAsString());
  }
  EXPECT_EQ(Read(), FrameReader::Result::kAgain);
  a_.reset();
  EXPECT_EQ(Read(), FrameReader::Result::kEof);
}

TEST_F(FrameTest, BigFramePassesInPieces) {
  FrameWriter writer(kMaxFrame);
  const v1::Request request = RequestOfSize(5 << 20);
  ASSERT_TRUE(writer.Push(request).ok());
  FrameReader::Result result = FrameReader::Result::kAgain;
  while (result == FrameReader::Result::kAgain) {
    ASSERT_TRUE(writer.Flush(a_.get()).ok());
    result = Read();
  }
  ASSERT_EQ(result, FrameReader::Result::kFrame);
  EXPECT_TRUE(frame_.body == request.SerializeAsString());
}

TEST_F(FrameTest, DescriptorsStayWithTheirFrame) {
  FrameWriter writer(1 << 20);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  sys::UniqueFd in(ends[0]);
  std::vector<sys::UniqueFd> fds;
  fds.emplace_back(ends[1]);
  ASSERT_TRUE(writer.Push(RequestOfSize(100)).ok());
  ASSERT_TRUE(writer.Push(RequestOfSize(200), std::move(fds)).ok());
  ASSERT_TRUE(writer.Push(RequestOfSize(300)).ok());
  ASSERT_TRUE(writer.Flush(a_.get()).ok());
  for (size_t count : {0, 1, 0}) {
    ASSERT_EQ(Read(), FrameReader::Result::kFrame);
    ASSERT_EQ(frame_.fds.size(), count);
    if (count == 0) continue;
    EXPECT_TRUE(sys::WriteAll(frame_.fds[0].get(), "x").ok());
  }
  frame_.fds.clear();
  EXPECT_EQ(*sys::ReadAll(in.get(), 10), "x");
}

TEST_F(FrameTest, LengthOverTheLimitIsRefused) {
  ASSERT_EQ(::write(a_.get(), "\x01\x00\x80\x00", 4), 4);
  EXPECT_TRUE(absl::IsInvalidArgument(reader_.Read(b_.get(), frame_).status()));
}

TEST_F(FrameTest, EndWithinAFrameIsDataLoss) {
  ASSERT_EQ(::write(a_.get(), "\x08\x00\x00\x00xyz", 7), 7);
  EXPECT_EQ(Read(), FrameReader::Result::kAgain);
  a_.reset();
  EXPECT_TRUE(absl::IsDataLoss(reader_.Read(b_.get(), frame_).status()));
}

TEST_F(FrameTest, TooManyDescriptorsAreRefusedAndClosed) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  sys::UniqueFd in(ends[0]);
  char control[CMSG_SPACE(sizeof(int) * 20)] = {};
  iovec iov{const_cast<char*>("\x01\x00\x00\x00"), 4};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int) * 20);
  for (int i = 0; i < 20; ++i) reinterpret_cast<int*>(CMSG_DATA(c))[i] = ends[1];
  ASSERT_EQ(::sendmsg(a_.get(), &message, 0), 4);
  ::close(ends[1]);
  EXPECT_TRUE(absl::IsInvalidArgument(reader_.Read(b_.get(), frame_).status()));
  char byte;
  EXPECT_EQ(::read(in.get(), &byte, 1), 0) << "a copy of the write end is still open";
}

TEST_F(FrameTest, QueueForAPeerThatDoesNotReadIsBounded) {
  FrameWriter writer(1 << 20);
  absl::Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    status = writer.Push(RequestOfSize(10000));
    ASSERT_TRUE(writer.Flush(a_.get()).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

}  // namespace
}  // namespace wherry::shim

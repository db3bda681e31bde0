#include "test/crash/hung_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace wherry::crash {
namespace {

// The only answer that it ever gives: that it is there.
void AnswerInit(int fd) {
  std::vector<char> buffer(FUSE_MIN_READ_BUFFER * 16);
  ASSERT_GT(::read(fd, buffer.data(), buffer.size()), 0) << strerror(errno);
  fuse_in_header request;
  std::memcpy(&request, buffer.data(), sizeof request);
  ASSERT_EQ(request.opcode, static_cast<uint32_t>(FUSE_INIT));
  struct {
    fuse_out_header header;
    fuse_init_out body;
  } answer{};
  answer.header.len = sizeof answer;
  answer.header.unique = request.unique;
  answer.body.major = FUSE_KERNEL_VERSION;
  answer.body.minor = FUSE_KERNEL_MINOR_VERSION;
  answer.body.max_write = 4096;
  ASSERT_EQ(::write(fd, &answer, sizeof answer), static_cast<ssize_t>(sizeof answer)) << strerror(errno);
}

void FailAll(int fd, int error) {
  std::vector<char> buffer(FUSE_MIN_READ_BUFFER * 16);
  while (::read(fd, buffer.data(), buffer.size()) > 0) {
    fuse_in_header request;
    std::memcpy(&request, buffer.data(), sizeof request);
    if (request.opcode == FUSE_FORGET || request.opcode == FUSE_BATCH_FORGET || request.opcode == FUSE_INTERRUPT)
      continue;
    const fuse_out_header answer{sizeof answer, -error, request.unique};
    (void)!::write(fd, &answer, sizeof answer);  // who asked may have gone
  }
}

}  // namespace

HungFiles::HungFiles(std::string path) : path_(std::move(path)), fd_(::open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
  EXPECT_GE(fd_, 0) << "/dev/fuse: " << strerror(errno);
  ::mkdir(path_.c_str(), 0755);
  const std::string options = "fd=" + std::to_string(fd_) + ",rootmode=40000,user_id=0,group_id=0";
  EXPECT_EQ(::mount("hung", path_.c_str(), "fuse", 0, options.c_str()), 0) << strerror(errno);
  AnswerInit(fd_);
}

bool HungFiles::asked() const {
  pollfd request{fd_, POLLIN, 0};
  return ::poll(&request, 1, 0) == 1;
}

void HungFiles::Fail(int error) { failing_ = std::thread(FailAll, fd_, error); }

void HungFiles::End() {
  if (fd_ < 0) return;
  ::umount2(path_.c_str(), MNT_FORCE);  // ends the connection, whether or not it unmounts
  if (failing_.joinable()) failing_.join();
  ::close(fd_);
  fd_ = -1;
  ::umount2(path_.c_str(), MNT_DETACH);
}

HungFiles::~HungFiles() { End(); }

}  // namespace wherry::crash

// A send may fail in the middle of any handler, so it never deletes the connection: it shuts the socket down, and the
// loop then sees the end of it and cleans up.
#include "runtime/shim/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "runtime/sys/status.h"

namespace wherry::shim {

absl::StatusOr<std::unique_ptr<Connection>> Connection::Adopt(Poller& poller, Server& server, sys::UniqueFd socket,
                                                              uint64_t id) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return sys::Errno("SO_PEERCRED");
  if (peer.uid != 0) return absl::PermissionDeniedError(absl::StrCat("peer has uid ", peer.uid));
  std::unique_ptr<Connection> connection(new Connection(poller, server, std::move(socket), id));
  RETURN_IF_ERROR(poller.Add(connection->socket_.get(), EPOLLIN, connection.get()));
  return connection;
}

Connection::~Connection() { poller_.Remove(socket_.get()); }

void Connection::OnReady(uint32_t events) {
  bool keep = true;
  if ((events & EPOLLOUT) != 0) keep = Flush();
  if (keep && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) keep = ReadOne();
  if (!keep) server_.OnClosed(id_);
}

bool Connection::ReadOne() {
  FrameReader::Frame frame;
  auto result = reader_.Read(socket_.get(), frame);
  if (!result.ok() || *result == FrameReader::Result::kEof) return false;
  if (*result == FrameReader::Result::kAgain) return true;
  v1::Request request;
  if (!request.ParseFromString(frame.body) || request.id() == 0) return false;
  return server_.OnRequest(*this, request, std::move(frame.fds));
}

bool Connection::Flush() {
  if (!writer_.Flush(socket_.get()).ok()) return false;
  if (wants_out_ != !writer_.empty()) {
    wants_out_ = !writer_.empty();
    poller_.Modify(socket_.get(), wants_out_ ? EPOLLIN | EPOLLOUT : EPOLLIN, this);
  }
  return true;
}

void Connection::Send(const v1::Message& message, std::vector<sys::UniqueFd> fds) {
  if (!writer_.Push(message, std::move(fds)).ok() || !Flush()) (void)::shutdown(socket_.get(), SHUT_RDWR);
}

}  // namespace wherry::shim

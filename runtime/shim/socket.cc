// sun_path holds 107 bytes only, so paths are taken relative to a descriptor of their directory.
#include "runtime/shim/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr int kBacklog = 16;

struct Address {
  sys::UniqueFd directory;
  std::string name;
  sockaddr_un sun{};
};

absl::StatusOr<Address> AddressOf(const std::string& path) {
  Address address;
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return absl::InvalidArgumentError("a socket path has to be absolute");
  address.name = path.substr(slash + 1);
  ASSIGN_OR_RETURN(address.directory, sys::OpenAt(AT_FDCWD, path.substr(0, slash + 1), O_PATH | O_DIRECTORY));
  const std::string full = absl::StrCat("/proc/self/fd/", address.directory.get(), "/", address.name);
  if (full.size() >= sizeof(address.sun.sun_path))
    return absl::InvalidArgumentError(absl::StrCat("socket name \"", address.name, "\" is too long"));
  address.sun.sun_family = AF_UNIX;
  memcpy(address.sun.sun_path, full.c_str(), full.size() + 1);
  return address;
}

absl::StatusOr<sys::UniqueFd> NewSocket() {
  sys::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return sys::Errno("socket");
  return fd;
}

}  // namespace

absl::StatusOr<sys::UniqueFd> ListenAt(const std::string& path) {
  ASSIGN_OR_RETURN(Address address, AddressOf(path));
  ASSIGN_OR_RETURN(sys::UniqueFd fd, NewSocket());
  (void)::unlinkat(address.directory.get(), address.name.c_str(), 0);
  if (::fchmod(fd.get(), 0600) != 0) return sys::Errno("fchmod of a socket");  // bind makes the file with this mode
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.sun), sizeof(address.sun)) != 0)
    return sys::Errno(absl::StrCat("bind \"", path, "\""));
  if (::listen(fd.get(), kBacklog) != 0) return sys::Errno(absl::StrCat("listen \"", path, "\""));
  return fd;
}

absl::StatusOr<sys::UniqueFd> ConnectTo(const std::string& path) {
  ASSIGN_OR_RETURN(Address address, AddressOf(path));
  ASSIGN_OR_RETURN(sys::UniqueFd fd, NewSocket());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.sun), sizeof(address.sun)) == 0) return fd;
  if (errno == ENOENT || errno == ECONNREFUSED)
    return absl::NotFoundError(absl::StrCat("nobody listens at \"", path, "\""));
  return sys::Errno(absl::StrCat("connect \"", path, "\""));
}

}  // namespace wherry::shim

#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "runtime/sys/unique_fd.h"

// A packet socket on eth0 of the namespace it is made in: what is really on the wire, tags and source addresses included.
// Frames are broadcasts of an experimental ethertype that carry one letter, so that nothing else is taken for one.
namespace wherry::cni_test {

class Wire {
 public:
  Wire();
  // As from `source`, or from the interface's own address; with an 802.1Q tag unless `vlan` is 0.
  void Send(char letter, uint16_t vlan = 0, const std::string& source = "") const;
  // The next frame as "a", or "a@100" if tagged; waits for it, and gives "" when there is none for five seconds.
  std::string Receive() const;

 private:
  sys::UniqueFd socket_;
  std::array<uint8_t, 6> mac_{};
};

}  // namespace wherry::cni_test

#pragma once

#include <signal.h>

#include <memory>
#include <string>

namespace spdlog {
class logger;
}

namespace wherry::server {

// Waits for one of `signals`, which are blocked, and returns it. Meanwhile tells the service manager that all is well, where it
// asked for that (sd_watchdog_enabled(3)): at half of its time, after wherryd has answered a request on `socket`. What is told
// is thus what the kubelet would find, not that some thread still turns. With no answer nothing is told, but logged, and the
// manager kills and starts wherryd in the end, which no container notices.
int WaitForSignal(const sigset_t& signals, const std::string& socket, const std::shared_ptr<spdlog::logger>& log);

}  // namespace wherry::server

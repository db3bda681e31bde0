// A connection for each call, to systemd's own socket where there is one (root's systemctl does the same): no bus daemon in between, no
// reconnecting after a daemon-reexec, no state that threads share, and signals reach us only while we wait for one. Connecting costs some
// 0.2 ms. The answer to StartTransientUnit only says that a job is queued; JobRemoved says what has become of it.
#include "runtime/cgroup/unit_bus.h"

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>

#include "absl/strings/str_cat.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kPrivate[] = "/run/systemd/private";
constexpr char kService[] = "org.freedesktop.systemd1";
constexpr char kPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr std::chrono::seconds kTimeout(30);

struct CloseBus {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
struct UnrefMessage {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Bus = std::unique_ptr<sd_bus, CloseBus>;
using Message = std::unique_ptr<sd_bus_message, UnrefMessage>;

struct BusError {
  ~BusError() { sd_bus_error_free(&error); }
  bool Is(const char* name) const { return sd_bus_error_has_name(&error, name) != 0; }
  sd_bus_error error = SD_BUS_ERROR_NULL;
};

absl::Status Failed(absl::string_view what, int r) { return sys::Errno(absl::StrCat("systemd: ", what), -r); }

absl::StatusOr<Bus> Connect() {
  sd_bus* raw = nullptr;
  if (::access(kPrivate, W_OK) == 0) {
    if (int r = sd_bus_new(&raw); r < 0) return Failed("sd_bus_new", r);
    Bus bus(raw);
    int r = sd_bus_set_address(raw, absl::StrCat("unix:path=", kPrivate).c_str());
    if (r >= 0) r = sd_bus_start(raw);
    if (r < 0) return absl::UnavailableError(absl::StrCat("systemd: connect to ", kPrivate, ": ", strerrordesc_np(-r)));
    return bus;
  }
  if (int r = sd_bus_open_system(&raw); r < 0)
    return absl::UnavailableError(absl::StrCat("systemd: connect to the system bus: ", strerrordesc_np(-r)));
  Bus bus(raw);
  // Its signals come by the bus only to who has asked for them.
  int r = sd_bus_call_method(raw, kService, kPath, kManager, "Subscribe", nullptr, nullptr, "");
  if (r < 0) return Failed("Subscribe", r);
  return bus;
}

struct AppendValue {
  sd_bus_message* m;
  int operator()(bool value) const { return sd_bus_message_append(m, "v", "b", static_cast<int>(value)); }
  int operator()(uint64_t value) const { return sd_bus_message_append(m, "v", "t", value); }
  int operator()(const std::string& value) const { return sd_bus_message_append(m, "v", "s", value.c_str()); }
  int operator()(const std::vector<uint8_t>& value) const { return Array('y', "ay", value.data(), value.size()); }
  int operator()(const std::vector<uint32_t>& value) const {
    return Array('u', "au", value.data(), value.size() * sizeof(uint32_t));
  }
  int Array(char type, const char* contents, const void* data, size_t size) const {
    int r = sd_bus_message_open_container(m, 'v', contents);
    if (r >= 0) r = sd_bus_message_append_array(m, type, data, size);
    return r < 0 ? r : sd_bus_message_close_container(m);
  }
};

int AppendProperties(sd_bus_message* m, const std::vector<UnitProperty>& properties) {
  int r = sd_bus_message_open_container(m, 'a', "(sv)");
  for (const UnitProperty& property : properties) {
    if (r >= 0) r = sd_bus_message_open_container(m, 'r', "sv");
    if (r >= 0) r = sd_bus_message_append(m, "s", property.name.c_str());
    if (r >= 0) r = std::visit(AppendValue{m}, property.value);
    if (r >= 0) r = sd_bus_message_close_container(m);
  }
  return r < 0 ? r : sd_bus_message_close_container(m);
}

absl::StatusOr<Message> NewCall(const Bus& bus, const char* method) {
  sd_bus_message* raw = nullptr;
  int r = sd_bus_message_new_method_call(bus.get(), &raw, kService, kPath, kManager, method);
  if (r < 0) return Failed(method, r);
  return Message(raw);
}

uint64_t MicrosecondsUntil(Clock::time_point when) {
  const auto left = std::chrono::ceil<std::chrono::microseconds>(when - Clock::now()).count();
  return left > 0 ? static_cast<uint64_t>(left) : 1;  // 0 would mean sd-bus' default
}

absl::Status Error(const BusError& error, int r, const std::string& what) {
  const std::string text =
      absl::StrCat("systemd: ", what, ": ", error.error.message != nullptr ? error.error.message : strerrordesc_np(-r));
  if (error.Is("org.freedesktop.systemd1.NoSuchUnit")) return absl::NotFoundError(text);
  if (error.Is("org.freedesktop.systemd1.UnitExists")) return absl::AlreadyExistsError(text);
  if (error.Is(SD_BUS_ERROR_INVALID_ARGS) || error.Is(SD_BUS_ERROR_PROPERTY_READ_ONLY))
    return absl::InvalidArgumentError(text);
  if (r == -ETIMEDOUT || error.Is(SD_BUS_ERROR_NO_REPLY)) return absl::DeadlineExceededError(text);
  return absl::UnavailableError(text);
}

// What JobRemoved says: "done", or why not.
struct Jobs {
  std::vector<std::pair<std::string, std::string>> ended;

  static int Heard(sd_bus_message* m, void* self, sd_bus_error*) {
    uint32_t id = 0;
    const char *path = nullptr, *unit = nullptr, *result = nullptr;
    if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0)
      static_cast<Jobs*>(self)->ended.emplace_back(path, result);
    return 0;
  }
  const std::string* ResultOf(const std::string& job) const {
    for (const auto& [path, result] : ended)
      if (path == job) return &result;
    return nullptr;
  }
};

absl::Status AwaitJob(const Bus& bus, const Jobs& jobs, const std::string& job, const std::string& what,
                      Clock::time_point deadline) {
  while (true) {
    if (const std::string* result = jobs.ResultOf(job)) {
      if (*result == "done") return absl::OkStatus();
      return absl::InternalError(absl::StrCat("systemd: ", what, ": its job ended as \"", *result, "\""));
    }
    int r = sd_bus_process(bus.get(), nullptr);
    if (r < 0) return absl::UnavailableError(absl::StrCat("systemd: ", what, ": ", strerrordesc_np(-r)));
    if (r > 0) continue;
    if (Clock::now() > deadline)
      return absl::DeadlineExceededError(absl::StrCat("systemd: ", what, ": its job has not ended in 30 s"));
    r = sd_bus_wait(bus.get(), MicrosecondsUntil(deadline));
    if (r < 0 && r != -EINTR) return Failed(what, r);
  }
}

// Calls a method that answers with a job, and waits for the job.
absl::Status RunJob(const char* method, const std::string& unit, const std::function<int(sd_bus_message*)>& append) {
  const Clock::time_point deadline = Clock::now() + kTimeout;
  const std::string what = absl::StrCat(method, " \"", unit, "\"");
  ASSIGN_OR_RETURN(Bus bus, Connect());
  Jobs jobs;
  int r = sd_bus_match_signal(bus.get(), nullptr, nullptr, kPath, kManager, "JobRemoved", &Jobs::Heard, &jobs);
  if (r < 0) return Failed("match JobRemoved", r);
  ASSIGN_OR_RETURN(Message call, NewCall(bus, method));
  if (r = append(call.get()); r < 0) return Failed(what, r);
  BusError error;
  sd_bus_message* raw = nullptr;
  r = sd_bus_call(bus.get(), call.get(), MicrosecondsUntil(deadline), &error.error, &raw);
  WHERRY_CRASH_POINT("unit.queued");
  Message reply(raw);
  if (r < 0) return Error(error, r, what);
  const char* job = nullptr;
  if (r = sd_bus_message_read(raw, "o", &job); r < 0) return Failed(what, r);
  return AwaitJob(bus, jobs, job, what, deadline);
}

}  // namespace

absl::Status StartUnit(const std::string& unit, const std::vector<UnitProperty>& properties) {
  WHERRY_FAIL_POINT("unit.start");
  absl::Status status = RunJob("StartTransientUnit", unit, [&](sd_bus_message* m) {
    int r = sd_bus_message_append(m, "ss", unit.c_str(), "replace");
    if (r >= 0) r = AppendProperties(m, properties);
    return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
  });
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

absl::Status SetUnitProperties(const std::string& unit, const std::vector<UnitProperty>& properties) {
  WHERRY_FAIL_POINT("unit.set");
  const std::string what = absl::StrCat("SetUnitProperties \"", unit, "\"");
  ASSIGN_OR_RETURN(Bus bus, Connect());
  ASSIGN_OR_RETURN(Message call, NewCall(bus, "SetUnitProperties"));
  int r = sd_bus_message_append(call.get(), "sb", unit.c_str(), 1);
  if (r >= 0) r = AppendProperties(call.get(), properties);
  if (r < 0) return Failed(what, r);
  BusError error;
  r = sd_bus_call(bus.get(), call.get(), MicrosecondsUntil(Clock::now() + kTimeout), &error.error, nullptr);
  if (r < 0) return Error(error, r, what);
  // systemd answers before it writes the files, but it writes them before it takes the next message.
  r = sd_bus_call_method(bus.get(), kService, kPath, kManager, "GetUnit", &error.error, nullptr, "s", unit.c_str());
  return r < 0 ? Error(error, r, what) : absl::OkStatus();
}

absl::Status StopUnit(const std::string& unit) {
  WHERRY_FAIL_POINT("unit.stop");
  absl::Status status = RunJob(
      "StopUnit", unit, [&](sd_bus_message* m) { return sd_bus_message_append(m, "ss", unit.c_str(), "replace"); });
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace wherry::cgroup

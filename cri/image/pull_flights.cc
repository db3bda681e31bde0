#include "cri/image/pull_flights.h"

#include <sys/socket.h>

#include <chrono>

namespace wherry::image {
namespace {

// gRPC's synchronous server has no event for a caller that goes away, only a question.
constexpr std::chrono::milliseconds kAskEvery{50};

}  // namespace

absl::Status PullFlights::Flight::SetControl(int control) {
  std::lock_guard<std::mutex> lock(mutex_);
  control_ = control;
  return cancelled_ && control >= 0 ? absl::CancelledError("the pull was cancelled") : absl::OkStatus();
}

void PullFlights::Flight::SetProgress(std::vector<LayerProgress> layers) {
  std::lock_guard<std::mutex> lock(mutex_);
  progress_ = std::move(layers);
  ++told_;
  changed_.notify_all();
}

// wherry-pull ends when its socket does, and whoever reads our end of it sees that at once.
void PullFlights::Flight::Cancel() {
  std::lock_guard<std::mutex> lock(mutex_);
  cancelled_ = true;
  if (control_ >= 0) ::shutdown(control_, SHUT_RDWR);
  changed_.notify_all();
}

PullFlights::~PullFlights() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (const auto& [key, flight] : flights_) flight->Cancel();
  changed_.notify_all();
  changed_.wait(lock, [this] { return threads_ == 0; });
}

std::shared_ptr<PullFlights::Flight> PullFlights::Board(const std::string& key, const Work& work) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<Flight>& slot = flights_[key];
  if (slot != nullptr) {
    std::lock_guard<std::mutex> flight_lock(slot->mutex_);
    if (!slot->cancelled_) {
      ++slot->waiting_;
      return slot;
    }
  }
  auto flight = slot = std::make_shared<Flight>();
  flight->waiting_ = 1;
  ++threads_;
  std::thread([this, key, flight, work] { Run(key, flight, work); }).detach();
  return flight;
}

// False when it was cancelled before its turn came.
bool PullFlights::Admit(Flight& flight) {
  std::unique_lock<std::mutex> lock(mutex_);
  auto cancelled = [&] {
    std::lock_guard<std::mutex> flight_lock(flight.mutex_);
    return flight.cancelled_;
  };
  while (free_ == 0 && !cancelled()) changed_.wait(lock);
  if (cancelled()) return false;
  --free_;
  return true;
}

void PullFlights::Run(const std::string& key, const std::shared_ptr<Flight>& flight, const Work& work) {
  Result result = absl::CancelledError("the pull was cancelled");
  const bool admitted = Admit(*flight);
  if (admitted) result = work(*flight);
  std::lock_guard<std::mutex> lock(mutex_);
  if (auto it = flights_.find(key); it != flights_.end() && it->second == flight) flights_.erase(it);
  {
    std::lock_guard<std::mutex> flight_lock(flight->mutex_);
    flight->done_ = true;
    flight->result_ = flight->cancelled_ ? absl::CancelledError("the pull was cancelled") : std::move(result);
    flight->changed_.notify_all();
  }
  if (admitted) ++free_;
  --threads_;
  changed_.notify_all();
}

PullFlights::Result PullFlights::Join(const std::string& key, const Passenger& passenger, const Work& work) {
  const std::shared_ptr<Flight> flight = Board(key, work);
  bool gone = false;
  uint64_t seen = 0;
  {
    std::unique_lock<std::mutex> lock(flight->mutex_);
    while (!flight->done_) {
      flight->changed_.wait_for(lock, kAskEvery);
      if (passenger.watch && flight->told_ != seen) {
        seen = flight->told_;
        const std::vector<LayerProgress> layers = flight->progress_;
        lock.unlock();  // who is told may be slow
        passenger.watch(layers);
        lock.lock();
      }
      if (flight->done_ || !passenger.cancelled || !passenger.cancelled()) continue;
      gone = true;
      break;
    }
    if (!gone) return flight->result_;
    if (--flight->waiting_ > 0) return absl::CancelledError("the caller has gone");
  }
  flight->Cancel();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_all();  // it may be waiting for its turn
  }
  std::unique_lock<std::mutex> lock(flight->mutex_);
  flight->changed_.wait(lock, [&] { return flight->done_; });
  return absl::CancelledError("the caller has gone");
}

}  // namespace wherry::image

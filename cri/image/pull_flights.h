#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/store.h"

// The pulls under way. Each is done once, in a thread of its own, for all who ask for it; when the last of them has gone away, it is
// broken off. At most so many run at a time, in the order of their arrival as good as mutexes keep it.
namespace wherry::image {

class PullFlights {
 public:
  using Result = absl::StatusOr<std::shared_ptr<const Image>>;

  // The running work's handle to its own end.
  class Flight {
   public:
    // The socket to wherry-pull: shut down when the pull is to end. -1 before it goes away. Cancelled when that is so already.
    absl::Status SetControl(int control);
    void SetProgress(std::vector<LayerProgress> layers);

   private:
    friend class PullFlights;
    void Cancel();
    std::mutex mutex_;
    std::condition_variable changed_;
    int control_ = -1;
    int waiting_ = 0;
    bool cancelled_ = false;
    bool done_ = false;
    std::vector<LayerProgress> progress_;
    uint64_t told_ = 0;  // counts changes of progress_
    Result result_ = absl::CancelledError("the pull was cancelled");
  };
  using Work = std::function<Result(Flight&)>;

  explicit PullFlights(size_t max_running) : free_(max_running) {}
  ~PullFlights();  // breaks all off and waits for their ends
  PullFlights(const PullFlights&) = delete;
  PullFlights& operator=(const PullFlights&) = delete;

  struct Passenger {
    std::function<bool()> cancelled;  // null: stays to the end
    ImageStore::Watch watch;          // null: sleeps
  };
  // The result of the flight `key`, which `work` becomes if there is none. Cancelled as soon as `passenger.cancelled()` is true.
  Result Join(const std::string& key, const Passenger& passenger, const Work& work);

 private:
  std::shared_ptr<Flight> Board(const std::string& key, const Work& work);
  void Run(const std::string& key, const std::shared_ptr<Flight>& flight, const Work& work);
  bool Admit(Flight& flight);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
  size_t free_;
  int threads_ = 0;
};

}  // namespace wherry::image

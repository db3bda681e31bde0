#pragma once

namespace wherry::crash {

// Names a file that holds what the preloaded clock adds to CLOCK_REALTIME: nanoseconds, as the processor has an int64_t.
inline constexpr char kShiftVariable[] = "WHERRY_TEST_CLOCK_SHIFT";

}  // namespace wherry::crash

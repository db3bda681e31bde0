// A time stamp without the C library's: gmtime_r and strftime pull in time zones and locales, and cost more than the
// copy of the line they stamp. The civil date comes from the day number by the usual era arithmetic (400 years are
// 146097 days; years counted from March, so that the leap day is the last).
#include "runtime/shim/log_format.h"

#include <time.h>

#include <algorithm>
#include <cstring>

namespace wherry::shim {
namespace {

void Digits(uint64_t value, size_t count, char* out) {
  for (size_t i = count; i-- > 0; value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

void FormatDate(int64_t days, char* out) {
  const int64_t z = days + 719468;
  const int64_t era = z / 146097;
  const int64_t day_of_era = z - era * 146097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  Digits(static_cast<uint64_t>(year), 4, out);
  Digits(static_cast<uint64_t>(month), 2, out + 5);
  Digits(static_cast<uint64_t>(day), 2, out + 8);
}

}  // namespace

void FormatPrefix(int64_t realtime_ns, StreamName stream, char tag, char* out) {
  memcpy(out, "0000-00-00T00:00:00.000000000Z stdout F ", kLogPrefix);
  if (realtime_ns < 0) realtime_ns = 0;
  const int64_t seconds = realtime_ns / 1000000000;
  const int64_t of_day = seconds % 86400;
  FormatDate(seconds / 86400, out);
  Digits(static_cast<uint64_t>(of_day / 3600), 2, out + 11);
  Digits(static_cast<uint64_t>(of_day / 60 % 60), 2, out + 14);
  Digits(static_cast<uint64_t>(of_day % 60), 2, out + 17);
  Digits(static_cast<uint64_t>(realtime_ns % 1000000000), 9, out + 20);
  if (stream == StreamName::kStderr) std::copy_n("stderr", 6, out + 31);
  out[38] = tag;
}

int64_t RealtimeNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000000000 + now.tv_nsec;
}

}  // namespace wherry::shim

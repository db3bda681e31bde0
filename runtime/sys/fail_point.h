#pragma once

// Fail points: names for the places beside a side effect where a test lets a program die, fail or wait (test/crash). The programs
// that are installed have none: without WHERRY_FAIL_POINTS, which only test/crash sets for its own copies, they are nothing.
//
//   WHERRY_FAIL_POINT("dir.make");     before the act, in a function that returns a Status or StatusOr: may return an error
//   WHERRY_CRASH_POINT("dir.made");    after the act, or where no error can be returned: may only die or wait
//
// A name says whose step it is and which; the same one may be reached many times, and tests take each time for itself.
#ifdef WHERRY_FAIL_POINTS

#include "runtime/sys/status.h"

namespace wherry::sys {

// May not return, or wait. An error only where one may be given back.
absl::Status ReachFailPoint(const char* name, bool may_fail);

}  // namespace wherry::sys

#define WHERRY_FAIL_POINT(name) RETURN_IF_ERROR(::wherry::sys::ReachFailPoint(name, true))
#define WHERRY_CRASH_POINT(name) ::wherry::sys::ReachFailPoint(name, false).IgnoreError()

#else

#define WHERRY_FAIL_POINT(name) static_cast<void>(0)
#define WHERRY_CRASH_POINT(name) static_cast<void>(0)

#endif

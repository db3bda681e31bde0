#pragma once

#include <cerrno>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// Errors name the call, the object and the errno once, where they happened: sys::Errno("openat2 \"/x\""). A caller
// adds only what it alone knows: sys::Annotate(status, "container abc"). Both read as one line, outermost first.
namespace wherry::sys {

// A status from `err` (default: errno) with the text "WHAT: strerror". The code follows absl::ErrnoToStatusCode.
absl::Status Errno(absl::string_view what, int err = errno);

// The same code with "CONTEXT: " before the message; OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// True when the status was made by Errno() with this errno value. Callers use it to tell ENOENT from other causes
// without comparing texts.
bool IsErrno(const absl::Status& status, int err);

}  // namespace wherry::sys

#define WHERRY_CONCAT_INNER(a, b) a##b
#define WHERRY_CONCAT(a, b) WHERRY_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expr`, a Status, is not OK.
#define RETURN_IF_ERROR(expr)                   \
  do {                                          \
    if (absl::Status st_ = (expr); !st_.ok()) { \
      return st_;                               \
    }                                           \
  } while (false)

// The same with context added to the message.
#define RETURN_IF_ERROR_CTX(expr, context)            \
  do {                                                \
    if (absl::Status st_ = (expr); !st_.ok()) {       \
      return ::wherry::sys::Annotate(st_, (context)); \
    }                                                 \
  } while (false)

#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                          \
  if (!tmp.ok()) return tmp.status();         \
  lhs = std::move(tmp).value()

// Declares or assigns `lhs` from a StatusOr, or returns its status.
#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_IMPL(WHERRY_CONCAT(statusor_, __LINE__), lhs, expr)

#define ASSIGN_OR_RETURN_CTX_IMPL(tmp, lhs, expr, context)                \
  auto tmp = (expr);                                                      \
  if (!tmp.ok()) return ::wherry::sys::Annotate(tmp.status(), (context)); \
  lhs = std::move(tmp).value()

#define ASSIGN_OR_RETURN_CTX(lhs, expr, context) \
  ASSIGN_OR_RETURN_CTX_IMPL(WHERRY_CONCAT(statusor_, __LINE__), lhs, expr, context)

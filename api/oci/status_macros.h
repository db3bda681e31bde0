#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

// The project's usual macros under names of their own: api/ uses nothing, not even runtime/sys.
namespace wherry::oci {

// The same code with "CONTEXT: " before the message.
inline absl::Status Within(absl::string_view context, const absl::Status& status) {
  return status.ok() ? status : absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

}  // namespace wherry::oci

#define OCI_RETURN_IF_ERROR(expr)               \
  do {                                          \
    if (absl::Status st_ = (expr); !st_.ok()) { \
      return st_;                               \
    }                                           \
  } while (false)

#define OCI_CONCAT_INNER(a, b) a##b
#define OCI_CONCAT(a, b) OCI_CONCAT_INNER(a, b)
#define OCI_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr, wrap) \
  auto tmp = (expr);                                    \
  if (!tmp.ok()) return wrap;                           \
  lhs = std::move(tmp).value()
#define OCI_ASSIGN_OR_RETURN_TMP(tmp, lhs, expr) OCI_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr, tmp.status())
#define OCI_ASSIGN_OR_RETURN_CTX_TMP(tmp, lhs, expr, context) \
  OCI_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr, ::wherry::oci::Within(context, tmp.status()))

// Declares or assigns `lhs` from a StatusOr, or returns its status; with context added.
#define OCI_ASSIGN_OR_RETURN(lhs, expr) OCI_ASSIGN_OR_RETURN_TMP(OCI_CONCAT(statusor_, __LINE__), lhs, expr)
#define OCI_ASSIGN_OR_RETURN_CTX(lhs, expr, context) \
  OCI_ASSIGN_OR_RETURN_CTX_TMP(OCI_CONCAT(statusor_, __LINE__), lhs, expr, context)

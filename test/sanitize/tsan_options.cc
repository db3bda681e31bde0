// What ThreadSanitizer is told, in each program itself: a variable of the environment would not reach those that wherryd starts with an
// environment of their own.
// Source: sanitizer/common_interface_defs.h and the runtime's flags (ThreadSanitizer's wiki, "Flags" and "Suppressions").

extern "C" {

// Of libraries without instrumentation only the locks are seen, which absl_mutex.cc tells of.
const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }

// HttpServer: what a test's answers are made of is written before the test has another process ask for them, which cannot be seen.
// Unref: the counts of a status' holders are kept in Abseil, which is not instrumented.
const char* __tsan_default_suppressions() {
  return "race:wherry::image::test::HttpServer::Serve\n"
         "race:absl::*::Status::Unref\n";
}

}  // extern "C"

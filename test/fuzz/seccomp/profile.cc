// Seccomp profiles are JSON files that a pod names. What can be read can be compiled, or is refused with a reason.
#include "runtime/seccomp/profile.h"

#include <cstdlib>

#include "runtime/seccomp/compile.h"
#include "test/fuzz/target.h"

std::vector<std::string> wherry::fuzz::Seeds() {
  return {R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"architectures":["SCMP_ARCH_X86_64"],"syscalls":[)"
          R"({"names":["read","clone"],"action":"SCMP_ACT_ALLOW",)"
          R"("args":[{"index":0,"value":1,"op":"SCMP_CMP_MASKED_EQ","valueTwo":2}]}]})"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto profile = wherry::seccomp::Parse({reinterpret_cast<const char*>(data), size});
  if (!profile.ok()) return 0;
  auto program = wherry::seccomp::Compile(*profile, 0);
  if (!program.ok() && program.status().message().empty()) std::abort();
  return 0;
}

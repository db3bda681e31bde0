#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// What each fuzz target defines. With the preset `fuzz` libFuzzer calls the first function with inputs of its own; in ordinary
// builds driver.cc calls it with the seeds and fixed mutations of them, so that each target is also a unit test.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace wherry::fuzz {

// Well-formed inputs to start from.
std::vector<std::string> Seeds();

}  // namespace wherry::fuzz

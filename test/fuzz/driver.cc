// Runs a fuzz target without libFuzzer:
//   TARGET                    the seeds, each cut short and with single bytes changed
//   TARGET FILE…              these inputs, for instance a crash that libFuzzer has found
//   TARGET --write-seeds DIR  the seeds as files: a corpus for libFuzzer
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "test/fuzz/target.h"

// Of targets whose inputs have a structure.
extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                                                unsigned int seed);

namespace {

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

constexpr size_t kRounds = 300;

// A few changes on top of each other, and from the seed again: what is far from it is refused for more than one reason.
void RunStructured(const std::string& seed) {
  constexpr size_t kMax = 1 << 20;
  constexpr unsigned int kChanges = 8;
  std::string input;
  for (unsigned int i = 0; i < 40 * kRounds; ++i) {
    if (i % kChanges == 0) input = seed;
    const size_t size = input.size();
    input.resize(kMax);
    input.resize(LLVMFuzzerCustomMutator(reinterpret_cast<uint8_t*>(input.data()), size, kMax, i));
    Run(input);
  }
}

void RunMutations(const std::string& seed) {
  Run(seed);
  const size_t step = std::max<size_t>(1, seed.size() / kRounds);
  for (size_t n = 0; n < seed.size(); n += step) Run(seed.substr(0, n));
  std::mt19937 random(1);
  for (size_t i = 0; i < kRounds && !seed.empty(); ++i) {
    std::string changed = seed;
    for (size_t k = 0; k <= i % 4; ++k) changed[random() % changed.size()] = static_cast<char>(random());
    Run(changed);
  }
  if (LLVMFuzzerCustomMutator != nullptr) RunStructured(seed);
}

int WriteSeeds(const std::filesystem::path& dir) {
  std::filesystem::create_directories(dir);
  int n = 0;
  for (const std::string& seed : wherry::fuzz::Seeds())
    std::ofstream(dir / ("seed" + std::to_string(n++)), std::ios::binary) << seed;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--write-seeds") == 0) return WriteSeeds(argv[2]);
  for (int i = 1; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    Run(std::string(std::istreambuf_iterator<char>(in), {}));
  }
  if (argc > 1) return 0;
  for (const std::string& seed : wherry::fuzz::Seeds()) RunMutations(seed);
  return std::puts("no crash, no broken promise") < 0;
}

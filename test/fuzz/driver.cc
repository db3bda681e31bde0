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

namespace {

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

void RunMutations(const std::string& seed) {
  constexpr size_t kRounds = 300;
  Run(seed);
  const size_t step = std::max<size_t>(1, seed.size() / kRounds);
  for (size_t n = 0; n < seed.size(); n += step) Run(seed.substr(0, n));
  std::mt19937 random(1);
  for (size_t i = 0; i < kRounds && !seed.empty(); ++i) {
    std::string changed = seed;
    for (size_t k = 0; k <= i % 4; ++k) changed[random() % changed.size()] = static_cast<char>(random());
    Run(changed);
  }
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

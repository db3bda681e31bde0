#include "test/e2e/machine.h"

int main(int argc, char** argv) {
  return wherry::e2e::RunInMachine(argc, argv, [] {});
}

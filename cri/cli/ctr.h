#pragma once

namespace wherry::cli {

// The part of containerd's `ctr` with which kind and similar tools put images into a node. Returns the exit code.
int CtrMain(int argc, char** argv);

}  // namespace wherry::cli

#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "test/crash/kubelet.h"

namespace wherry::crash {

// Something that a client asks for, or that happens, and what is there before.
struct Operation {
  using Step = std::function<grpc::Status(Kubelet&)>;

  std::string name;
  std::vector<Step> prepare;  // each has to succeed
  Step act;                   // may fail where it is made to
  std::vector<Step> again;    // what a client asks for next, beside a pod that runs; each has to succeed
  // For what happens when wherryd starts: where the last one died in act, and which time; act is then part of what is there before.
  std::string dies_at = "";
  int dies_time = 1;
  bool start = false;
  Kubelet::Edit edit = nullptr;  // of the pod's configuration
  bool v2 = false;               // on a host whose cgroups are of version 2 alone, without controllers
};

void PrintTo(const Operation& operation, std::ostream* out);

// Images come from the kubelet's registry, which is to know any name, and from the archive. Not `whole`: without those of which most
// points are reached by others.
std::vector<Operation> AllOperations(bool whole);
// Those that are about one pod or image.
std::vector<Operation> OperationsToHold(bool whole);

inline constexpr char kArchive[] = "/mnt/extra.tar";
inline constexpr char kArchiveName[] = "docker.io/library/extra:latest";

}  // namespace wherry::crash

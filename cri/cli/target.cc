// Names are what people type and ids are what is unique, so both are taken. Names may be shared (every pod has its "app", a
// restarted container keeps its name), so an answer is given only where one candidate is meant without doubt: acting
// on the wrong container is worse than asking again.

#include "cri/cli/target.h"

#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/format.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

using Matches = std::vector<const Candidate*>;

Matches Select(const std::vector<Candidate>& from, const std::function<bool(const Candidate&)>& is) {
  Matches out;
  for (const Candidate& candidate : from) {
    if (is(candidate)) out.push_back(&candidate);
  }
  return out;
}

const char* KindName(const Candidate& c) { return c.kind == Candidate::Kind::kPod ? "pod" : "container"; }

std::string Describe(const Candidate& c) {
  return absl::StrCat(KindName(c), " ", ShortId(c.id), " (", c.full_name, ")");
}

// The only pod among `found`, if all others are containers of it: `wherry run --name web` makes a container web in a pod web, and
// who then stops or removes web means both.
const Candidate* PodOfAll(const Matches& found) {
  const Candidate* pod = nullptr;
  for (const Candidate* c : found) {
    if (c->kind != Candidate::Kind::kPod) continue;
    if (pod != nullptr) return nullptr;
    pod = c;
  }
  if (pod == nullptr) return nullptr;
  for (const Candidate* c : found) {
    if (c != pod && !absl::StartsWith(c->full_name, absl::StrCat(pod->name, "/"))) return nullptr;
  }
  return pod;
}

}  // namespace

absl::StatusOr<Candidate> Choose(const std::vector<Candidate>& candidates, absl::string_view word) {
  if (word.empty()) return absl::InvalidArgumentError("an empty name names nothing");
  Matches found = Select(candidates, [&](const Candidate& c) { return c.id == word; });
  if (found.empty())
    found = Select(candidates, [&](const Candidate& c) { return c.name == word || c.full_name == word; });
  if (found.empty()) found = Select(candidates, [&](const Candidate& c) { return absl::StartsWith(c.id, word); });
  if (found.empty()) return absl::NotFoundError(absl::StrCat("nothing has the name or id \"", word, "\""));
  if (found.size() > 1) {
    Matches running;
    for (const Candidate* c : found) {
      if (c->running) running.push_back(c);
    }
    if (running.size() == 1) found = running;
  }
  if (found.size() == 1) return *found.front();
  if (const Candidate* pod = PodOfAll(found)) return *pod;
  return absl::FailedPreconditionError(absl::StrCat(
      "\"", word, "\" may be ",
      absl::StrJoin(found, " or ", [](std::string* out, const Candidate* c) { out->append(Describe(*c)); })));
}

absl::StatusOr<std::vector<Candidate>> ListCandidates(Client& client, bool pods) {
  ASSIGN_OR_RETURN(auto sandboxes, client.Get<cri::ListPodSandboxResponse>(cri::ListPodSandboxRequest()));
  ASSIGN_OR_RETURN(auto containers, client.Get<cri::ListContainersResponse>(cri::ListContainersRequest()));
  std::map<std::string, std::string> pod_names;
  std::vector<Candidate> out;
  for (const auto& pod : sandboxes.items()) {
    pod_names[pod.id()] = pod.metadata().name();
    if (pods)
      out.push_back({Candidate::Kind::kPod, pod.id(), pod.metadata().name(),
                     absl::StrCat(pod.metadata().namespace_(), "/", pod.metadata().name()),
                     pod.state() == cri::SANDBOX_READY});
  }
  for (const auto& c : containers.containers()) {
    out.push_back({Candidate::Kind::kContainer, c.id(), c.metadata().name(),
                   absl::StrCat(pod_names[c.pod_sandbox_id()], "/", c.metadata().name()),
                   c.state() == cri::CONTAINER_RUNNING});
  }
  return out;
}

absl::StatusOr<Candidate> FindContainer(Client& client, absl::string_view word) {
  ASSIGN_OR_RETURN(std::vector<Candidate> candidates, ListCandidates(client, false));
  return Choose(candidates, word);
}

}  // namespace wherry::cli

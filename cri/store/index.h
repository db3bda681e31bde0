#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace wherry::store {

// The published records of one kind, by id and by age. Records are immutable: an update swaps the pointer, and a reader
// keeps the one it has. Not synchronised; the store holds its lock for the moment of a look-up or swap.
template <class Record>
class Index {
 public:
  using Pointer = std::shared_ptr<const Record>;

  // `kind` is what error texts call a record: "pod", "container".
  explicit Index(const char* kind) : kind_(kind) {}

  // Returns what it replaces; null when there was none.
  Pointer Put(Pointer record) {
    Pointer before = Erase(record->id());
    by_age_[{record->created_at_ns(), record->id()}] = record;
    by_id_[record->id()] = std::move(record);
    return before;
  }

  Pointer Erase(const std::string& id) {
    auto found = by_id_.find(id);
    if (found == by_id_.end()) return nullptr;
    Pointer before = std::move(found->second);
    by_age_.erase({before->created_at_ns(), id});
    by_id_.erase(found);
    return before;
  }

  // By id or by a prefix that only one id has.
  absl::StatusOr<Pointer> Find(const std::string& id) const {
    if (id.empty()) return absl::InvalidArgumentError(absl::StrCat("empty ", kind_, " id"));
    auto found = by_id_.lower_bound(id);
    if (found == by_id_.end() || !absl::StartsWith(found->first, id))
      return absl::NotFoundError(absl::StrCat("no ", kind_, " \"", id, "\""));
    auto next = std::next(found);
    if (found->first != id && next != by_id_.end() && absl::StartsWith(next->first, id))
      return absl::InvalidArgumentError(
          absl::StrCat(kind_, " id \"", id, "\" is ambiguous: ", found->first, ", ", next->first));
    return found->second;
  }

  std::vector<Pointer> ByAge() const {
    std::vector<Pointer> out;
    out.reserve(by_age_.size());
    for (const auto& entry : by_age_) out.push_back(entry.second);
    return out;
  }

 private:
  const char* kind_;
  std::map<std::string, Pointer> by_id_;
  std::map<std::pair<int64_t, std::string>, Pointer> by_age_;
};

}  // namespace wherry::store

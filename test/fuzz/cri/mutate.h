#pragma once

#include <google/protobuf/message.h>

#include <random>

namespace wherry::fuzz {

// Changes a message at one place of its tree by what its descriptor says can be there: a field gets another value of its type, comes or
// goes, an element is added, doubled or removed. Changed bytes would hardly ever be a message, let alone one that gets past the first
// check; what is made here always is one.
void Mutate(google::protobuf::Message& message, std::mt19937& random);

}  // namespace wherry::fuzz

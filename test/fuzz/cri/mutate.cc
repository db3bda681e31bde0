#include "test/fuzz/cri/mutate.h"

#include <array>
#include <string>
#include <vector>

namespace wherry::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kMaxDepth = 8;
constexpr int kMaxElements = 24;

// What requests are made of, and what has gone wrong elsewhere.
constexpr std::array kTexts = {"",
                               "/",
                               "/proc",
                               "/proc/self/fd/7",
                               "/etc/../../etc",
                               "..",
                               "a/../b",
                               "//a//b/",
                               "/dev/null",
                               "/dev/zero",
                               "/sys",
                               "/var/log/pods/p",
                               "0.log",
                               "ALL",
                               "NET_RAW",
                               "SYS_ADMIN",
                               "CAP_CHOWN",
                               "runtime/default",
                               "unconfined",
                               "localhost/",
                               "localhost/x",
                               "0",
                               "-1",
                               "4294967296",
                               "root",
                               "1000:0",
                               "a=b",
                               "K=v;X=y",
                               "a\nb",
                               "\x7f",
                               "PATH",
                               "/kubepods/burstable",
                               "a-b.slice",
                               "a.slice",
                               "/a.slice/b",
                               "pids.max",
                               "memory.high",
                               "2MB",
                               "0-3",
                               "sh",
                               "kernel.core_pattern"};
constexpr std::array<int64_t, 20> kNumbers = {0,         1,         2,          -1,        1000,      1024,  65535,
                                              65536,     100000,    262144,     1000001,   -1000,     -1001, 4096,
                                              INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN, 3};

template <typename Choices>
const auto& Pick(const Choices& choices, std::mt19937& random) {
  return choices[random() % choices.size()];
}

int64_t Number(int64_t old, std::mt19937& random) {
  switch (random() % 4) {
    case 0:
      return static_cast<int64_t>(static_cast<uint64_t>(old) + 1);
    case 1:
      return static_cast<int64_t>(static_cast<uint64_t>(old) - 1);
    case 2:
      return static_cast<int64_t>(static_cast<uint64_t>(old) ^ (uint64_t{1} << (random() % 64)));
    default:
      return Pick(kNumbers, random);
  }
}

// Strings of protobuf are UTF-8, which ASCII is.
std::string Text(std::string old, std::mt19937& random) {
  switch (random() % 6) {
    case 0:
      return old + Pick(kTexts, random);
    case 1:
      return std::string(1 + random() % 5000, 'a');
    case 2:
      if (old.empty()) return "\1";
      old[random() % old.size()] = static_cast<char>(random() % 128);
      return old;
    case 3:
      return old.substr(0, old.empty() ? 0 : random() % old.size());
    default:
      return Pick(kTexts, random);
  }
}

// Sets, or adds where the field is repeated, a value like `at` (-1: none yet).
void SetScalar(Message& m, const FieldDescriptor* f, int at, std::mt19937& random) {
  const Reflection& r = *m.GetReflection();
  const auto set = [&](auto get, auto get_at, auto put, auto put_at, auto add, auto change) {
    if (!f->is_repeated()) return put(change(get()));
    if (at >= 0) return put_at(change(get_at()));
    add(change({}));
  };
#define WHERRY_CASE(kind, Name, type, change)                                                                        \
  case FieldDescriptor::kind:                                                                                        \
    return set([&]() -> type { return r.Get##Name(m, f); }, [&]() -> type { return r.GetRepeated##Name(m, f, at); }, \
               [&](const type& v) { r.Set##Name(&m, f, v); },                                                        \
               [&](const type& v) { r.SetRepeated##Name(&m, f, at, v); },                                            \
               [&](const type& v) { r.Add##Name(&m, f, v); }, change)
  const auto number = [&](auto old) { return static_cast<decltype(old)>(Number(static_cast<int64_t>(old), random)); };
  switch (f->cpp_type()) {
    WHERRY_CASE(CPPTYPE_INT32, Int32, int32_t, [&](int32_t old) { return number(old); });
    WHERRY_CASE(CPPTYPE_INT64, Int64, int64_t, [&](int64_t old) { return number(old); });
    WHERRY_CASE(CPPTYPE_UINT32, UInt32, uint32_t, [&](uint32_t old) { return number(old); });
    WHERRY_CASE(CPPTYPE_UINT64, UInt64, uint64_t, [&](uint64_t old) { return number(old); });
    WHERRY_CASE(CPPTYPE_BOOL, Bool, bool, [](bool old) { return !old; });
    WHERRY_CASE(CPPTYPE_ENUM, EnumValue, int, [&](int) { return static_cast<int>(random() % 8) - 1; });
    WHERRY_CASE(CPPTYPE_STRING, String, std::string, [&](std::string old) { return Text(std::move(old), random); });
    default:
      return;  // CRI has no others
  }
#undef WHERRY_CASE
}

void MutateRepeated(Message& m, const FieldDescriptor* f, std::mt19937& random) {
  const Reflection& r = *m.GetReflection();
  const int size = r.FieldSize(m, f);
  const bool is_message = f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  switch (size == 0 ? 0 : random() % 5) {
    case 0:
      if (size >= kMaxElements) return;
      if (!is_message) return SetScalar(m, f, -1, random);
      // Filled a little: an empty element gets nowhere.
      for (int i = 0, added = (r.AddMessage(&m, f), 0); i < 4; ++i)
        Mutate(*r.MutableRepeatedMessage(&m, f, size + added), random);
      return;
    case 1:
      return r.RemoveLast(&m, f);
    case 2:
      return r.SwapElements(&m, f, 0, static_cast<int>(random() % size));
    case 3:
      if (is_message && size < kMaxElements)
        r.AddMessage(&m, f)->CopyFrom(r.GetRepeatedMessage(m, f, static_cast<int>(random() % size)));
      return;
    default:
      if (!is_message) SetScalar(m, f, static_cast<int>(random() % size), random);
  }
}

void MutateField(Message& m, const FieldDescriptor* f, std::mt19937& random) {
  const Reflection& r = *m.GetReflection();
  if (f->is_repeated()) return MutateRepeated(m, f, random);
  if (random() % 8 == 0) return r.ClearField(&m, f);
  if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return (void)r.MutableMessage(&m, f);
  SetScalar(m, f, -1, random);
}

// All messages of the tree.
void Collect(Message& m, int depth, std::vector<Message*>& out) {
  out.push_back(&m);
  if (depth == kMaxDepth) return;
  const Reflection& r = *m.GetReflection();
  std::vector<const FieldDescriptor*> set;
  r.ListFields(m, &set);
  for (const FieldDescriptor* f : set) {
    if (f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!f->is_repeated()) {
      Collect(*r.MutableMessage(&m, f), depth + 1, out);
      continue;
    }
    for (int i = 0; i < r.FieldSize(m, f); ++i) Collect(*r.MutableRepeatedMessage(&m, f, i), depth + 1, out);
  }
}

}  // namespace

void Mutate(Message& message, std::mt19937& random) {
  std::vector<Message*> all;
  Collect(message, 0, all);
  Message& chosen = *Pick(all, random);
  const auto& descriptor = *chosen.GetDescriptor();
  if (descriptor.field_count() == 0) return;
  MutateField(chosen, descriptor.field(static_cast<int>(random() % descriptor.field_count())), random);
}

}  // namespace wherry::fuzz

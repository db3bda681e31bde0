// Compares the compiled CRI v1 contract with cri-v1.txt, the list of everything that is on the wire: services, methods
// with their streaming, messages, fields with number, type, label and deprecation, enum values. Both ways, so that a
// field which we lack fails as much as one that only we have: the kubelet speaks to us with a descriptor of its own, and
// a wrong number or type is silent on the wire. The descriptor is printed in the list's own form; there is no second
// parser that could agree with a mistake of the first.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/cri/v1/api.pb.h"

namespace wherry {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;

// "message Mount" → its lines; methods are entries without lines.
using Entries = std::map<std::string, std::multiset<std::string>>;

std::string WithoutPackage(const std::string& full_name) {
  return std::string(absl::StripPrefix(full_name, "runtime.v1."));
}

std::string TypeName(const FieldDescriptor& field) {
  if (field.is_map()) {
    const Descriptor& entry = *field.message_type();
    return absl::StrCat("map<", TypeName(*entry.map_key()), ",", TypeName(*entry.map_value()), ">");
  }
  if (field.message_type() != nullptr) return WithoutPackage(field.message_type()->full_name());
  if (field.enum_type() != nullptr) return WithoutPackage(field.enum_type()->full_name());
  return field.type_name();
}

std::string FieldLine(const FieldDescriptor& field) {
  std::string line = absl::StrCat(field.number(), " ", field.name(), " ");
  if (field.is_repeated() && !field.is_map()) line += "repeated ";
  line += TypeName(field);
  if (field.options().deprecated()) line += " deprecated";
  // Presence changes what an absent field means; CRI has none of either.
  if (field.containing_oneof() != nullptr) absl::StrAppend(&line, " in oneof ", field.containing_oneof()->name());
  return line;
}

std::string MethodLine(const MethodDescriptor& method) {
  return absl::StrCat("rpc ", WithoutPackage(method.full_name()), " ", method.client_streaming() ? "stream " : "",
                      WithoutPackage(method.input_type()->full_name()), " -> ",
                      method.server_streaming() ? "stream " : "", WithoutPackage(method.output_type()->full_name()));
}

void Add(const EnumDescriptor& type, Entries& entries) {
  auto& lines = entries[absl::StrCat("enum ", WithoutPackage(type.full_name()))];
  for (int i = 0; i < type.value_count(); ++i) {
    lines.insert(absl::StrCat(type.value(i)->number(), " ", type.value(i)->name()));
  }
}

void Add(const Descriptor& type, Entries& entries) {
  if (type.options().map_entry()) return;
  auto& lines = entries[absl::StrCat("message ", WithoutPackage(type.full_name()))];
  for (int i = 0; i < type.field_count(); ++i) lines.insert(FieldLine(*type.field(i)));
  for (int i = 0; i < type.enum_type_count(); ++i) Add(*type.enum_type(i), entries);
  for (int i = 0; i < type.nested_type_count(); ++i) Add(*type.nested_type(i), entries);
}

Entries FromDescriptor(const FileDescriptor& file) {
  Entries entries;
  for (int i = 0; i < file.service_count(); ++i) {
    for (int j = 0; j < file.service(i)->method_count(); ++j) entries[MethodLine(*file.service(i)->method(j))];
  }
  for (int i = 0; i < file.enum_type_count(); ++i) Add(*file.enum_type(i), entries);
  for (int i = 0; i < file.message_type_count(); ++i) Add(*file.message_type(i), entries);
  return entries;
}

Entries FromList(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.is_open()) << path;
  Entries entries;
  std::string line, entry;
  while (std::getline(in, line)) {
    if (line.empty()) continue;
    if (absl::StartsWith(line, "  ")) {
      entries[entry].insert(line.substr(2));
    } else {
      entry = line;
      EXPECT_FALSE(entries.contains(entry)) << "the list names it twice: " << entry;
      entries[entry];
    }
  }
  return entries;
}

// The lines of `a` that `b` lacks.
std::string Lacking(const Entries& a, const Entries& b) {
  std::string text;
  for (const auto& [entry, lines] : a) {
    auto other = b.find(entry);
    if (other == b.end()) {
      absl::StrAppend(&text, "  ", entry, "\n");
      continue;
    }
    for (const std::string& line : lines) {
      if (other->second.count(line) < lines.count(line)) absl::StrAppend(&text, "  ", entry, ": ", line, "\n");
    }
  }
  return text;
}

const FileDescriptor& CriFile() { return *runtime::v1::VersionRequest::descriptor()->file(); }

TEST(CriDescriptor, PackageAndSyntaxAreWhatIsOnTheWire) {
  EXPECT_EQ(CriFile().package(), "runtime.v1");
  EXPECT_EQ(CriFile().syntax(), FileDescriptor::SYNTAX_PROTO3);
  EXPECT_EQ(CriFile().dependency_count(), 0);
}

TEST(CriDescriptor, HasAllThatTheListHas) {
  EXPECT_EQ(Lacking(FromList(CRI_LIST), FromDescriptor(CriFile())), "") << "missing in, or different in, api.proto";
}

TEST(CriDescriptor, HasNothingElse) {
  EXPECT_EQ(Lacking(FromDescriptor(CriFile()), FromList(CRI_LIST)), "") << "only in api.proto";
}

TEST(CriDescriptor, HasAllMethodsOfBothServices) {
  ASSERT_EQ(CriFile().service_count(), 2);
  EXPECT_EQ(CriFile().service(0)->method_count() + CriFile().service(1)->method_count(), 41);
}

}  // namespace
}  // namespace wherry

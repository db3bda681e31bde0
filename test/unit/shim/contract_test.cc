// A shim outlives the wherryd that started it, for months: what was once on the wire keeps its number, its type and its meaning. The
// contract of each version of the protocol is kept here as it was; each has to be contained in the present one.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace wherry::shim {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

class Contract {
 public:
  explicit Contract(const std::string& path) {
    std::ifstream in(path);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    google::protobuf::FileDescriptorSet set;
    EXPECT_TRUE(set.ParseFromString(bytes) && set.file_size() == 1) << path;
    if (set.file_size() == 1) file = pool_.BuildFile(set.file(0));
    EXPECT_NE(file, nullptr) << path;
  }
  const google::protobuf::FileDescriptor* file = nullptr;

 private:
  DescriptorPool pool_;
};

void ExpectField(const FieldDescriptor& old, const Descriptor* now) {
  const FieldDescriptor* field = now->FindFieldByNumber(old.number());
  ASSERT_NE(field, nullptr) << old.full_name() << " is gone";
  EXPECT_EQ(field->name(), old.name());
  EXPECT_EQ(field->type(), old.type()) << old.full_name();
  EXPECT_EQ(field->label(), old.label()) << old.full_name();
  EXPECT_EQ(field->has_presence(), old.has_presence()) << old.full_name();
  if (old.message_type() != nullptr) {
    EXPECT_EQ(field->message_type()->full_name(), old.message_type()->full_name());
  }
}

void ExpectContained(const Contract& old, const Contract& now) {
  ASSERT_TRUE(old.file != nullptr && now.file != nullptr);
  for (int i = 0; i < old.file->message_type_count(); ++i) {
    const Descriptor& message = *old.file->message_type(i);
    const Descriptor* same = now.file->FindMessageTypeByName(message.name());
    ASSERT_NE(same, nullptr) << message.name() << " is gone";
    for (int j = 0; j < message.field_count(); ++j) ExpectField(*message.field(j), same);
  }
  for (int i = 0; i < old.file->enum_type_count(); ++i) {
    const EnumDescriptor& values = *old.file->enum_type(i);
    const EnumDescriptor* same = now.file->FindEnumTypeByName(values.name());
    ASSERT_NE(same, nullptr) << values.name() << " is gone";
    for (int j = 0; j < values.value_count(); ++j) {
      const auto* value = same->FindValueByNumber(values.value(j)->number());
      ASSERT_NE(value, nullptr) << values.value(j)->full_name() << " is gone";
      EXPECT_EQ(value->name(), values.value(j)->name());
    }
  }
}

TEST(ContractTest, TheFirstVersionIsContained) {
  ExpectContained(Contract(SHIM_CONTRACTS "/shim-v1.pb"), Contract(SHIM_CONTRACTS "/shim.pb"));
}

TEST(ContractTest, TheSecondVersionIsContained) {
  ExpectContained(Contract(SHIM_CONTRACTS "/shim-v2.pb"), Contract(SHIM_CONTRACTS "/shim.pb"));
}

}  // namespace
}  // namespace wherry::shim

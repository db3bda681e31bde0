#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "runtime/selinux/layers.h"
#include "runtime/selinux/selinux.h"

namespace wherry::selinux {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(SelinuxContext, ALevelHasColonsOfItsOwn) {
  auto context = Parse("system_u:system_r:container_t:s0-s0:c0.c1023");
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ(context->user, "system_u");
  EXPECT_EQ(context->role, "system_r");
  EXPECT_EQ(context->type, "container_t");
  EXPECT_EQ(context->level, "s0-s0:c0.c1023");
  EXPECT_EQ(Text(*context), "system_u:system_r:container_t:s0-s0:c0.c1023");
  EXPECT_EQ(Text(*Parse("u:r:t")), "u:r:t");
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("u:r").status()));
}

TEST(SelinuxContext, AFileOfContextsHasCommentsQuotesAndSpace) {
  auto contexts = ParseContexts(
      "# process = \"wrong\"\n"
      "; file = wrong\n"
      "\n"
      "process = \"system_u:system_r:container_t:s0\"\n"
      "\tfile=system_u:object_r:container_file_t:s0  \r\n"
      "no assignment\n"
      "ro_file =\"a\"");
  EXPECT_EQ(contexts.size(), 3U);
  EXPECT_EQ(contexts["process"], "system_u:system_r:container_t:s0");
  EXPECT_EQ(contexts["file"], "system_u:object_r:container_file_t:s0");
  EXPECT_EQ(contexts["ro_file"], "a");
}

class DefaultLabelsTest : public testing::Test {
 protected:
  DefaultLabelsTest() { root_ = fs::path(testing::TempDir()) / "selinux-root", fs::remove_all(root_); }
  ~DefaultLabelsTest() override { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  fs::path root_;
};

TEST_F(DefaultLabelsTest, AreThoseOfThePolicyInUse) {
  Write("etc/selinux/config", "# SELINUXTYPE=targeted\nSELINUX=enforcing\nSELINUXTYPE=mls\n");
  Write("etc/selinux/mls/contexts/lxc_contexts", "process = \"u:r:mls_t:s0\"\nfile = \"u:o:mls_file_t:s0\"\n");
  Write("etc/selinux/targeted/contexts/lxc_contexts", "process = \"u:r:t:s0\"\nfile = \"u:o:f:s0\"\n");
  auto labels = DefaultLabels(root_);
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_EQ(labels->process, "u:r:mls_t:s0");
  EXPECT_EQ(labels->file, "u:o:mls_file_t:s0");
  EXPECT_EQ(*LayerLabel(root_), "u:o:mls_file_t:s0");
}

TEST_F(DefaultLabelsTest, ContainerSelinuxsOwnFileComesFirst) {
  Write("etc/selinux/targeted/contexts/lxc_contexts", "process = \"u:r:t:s0\"\nfile = \"u:o:f:s0\"\n");
  EXPECT_EQ(DefaultLabels(root_)->process, "u:r:t:s0");
  Write("usr/share/containers/selinux/contexts",
        "process = \"u:r:newer_t:s0\"\nfile = \"u:o:f:s0\"\nro_file = \"u:o:ro:s0\"\n");
  EXPECT_EQ(DefaultLabels(root_)->process, "u:r:newer_t:s0");
  EXPECT_EQ(*LayerLabel(root_), "u:o:ro:s0");
}

TEST_F(DefaultLabelsTest, WhatIsMissingIsNamed) {
  auto none = DefaultLabels(root_);
  EXPECT_TRUE(absl::IsFailedPrecondition(none.status())) << none.status();
  EXPECT_THAT(none.status().message(), HasSubstr("etc/selinux/targeted/contexts/lxc_contexts"));
  Write("etc/selinux/targeted/contexts/lxc_contexts", "process = \"u:r:t:s0\"\n");
  EXPECT_THAT(DefaultLabels(root_).status().message(), HasSubstr("key \"file\""));
}

}  // namespace
}  // namespace wherry::selinux

#include "api/cdi/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace wherry::cdi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kYaml[] = R"(
cdiVersion: "0.6.0"
kind: vendor.com/gpu
annotations: {made-by: "a tool"}
devices:
  - name: "0"
    containerEdits:
      deviceNodes:
        - path: /dev/gpu0
          hostPath: /dev/card0
          type: c
          major: 195
          minor: 0
          fileMode: 0660
          uid: 0
          gid: 44
          permissions: rw
  - name: all
    containerEdits:
      additionalGids: [0, 44]
containerEdits:
  env: [GPUS=void]
  mounts:
    - hostPath: /usr/lib/libgpu.so
      containerPath: /usr/lib/libgpu.so
      options: [ro, nosuid, nodev, bind]
  hooks:
    - hookName: createContainer
      path: /usr/bin/hook
      args: [hook, update-ldcache]
      env: [A=b]
      timeout: 5
)";

TEST(CdiSpec, AYamlFileIsReadWhole) {
  auto spec = ParseYaml(kYaml);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->kind, "vendor.com/gpu");
  ASSERT_EQ(spec->devices.size(), 2U);
  const DeviceNode& node = spec->devices[0].edits.device_nodes.at(0);
  EXPECT_EQ(node.path, "/dev/gpu0");
  EXPECT_EQ(node.host_path, "/dev/card0");
  EXPECT_EQ(node.type, 'c');
  EXPECT_EQ(node.major, 195);
  EXPECT_EQ(node.mode, 0660U);
  EXPECT_EQ(node.gid, 44U);
  EXPECT_EQ(node.permissions, "rw");
  EXPECT_THAT(spec->devices[1].edits.additional_gids, ElementsAre(44));
  EXPECT_THAT(spec->edits.env, ElementsAre("GPUS=void"));
  EXPECT_THAT(spec->edits.mounts.at(0).options, ElementsAre("ro", "nosuid", "nodev", "bind"));
  const Hook& hook = spec->edits.hooks.at(0);
  EXPECT_EQ(hook.name, "createContainer");
  EXPECT_THAT(hook.args, ElementsAre("hook", "update-ldcache"));
  EXPECT_THAT(hook.env, ElementsAre("A=b"));
  EXPECT_EQ(hook.timeout_s, 5u);
}

std::string WithDevice(const std::string& members) {
  return absl::StrCat(R"({"cdiVersion": "1.0.0", "kind": "v.com/c", "devices": [{"name": "d", )", members, "}]}");
}

TEST(CdiSpec, WhatIsWrongIsNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"cdiVersion": "9.0.0", "kind": "v.com/c", "devices": [{"name": "d"}]})", "cdiVersion"},
      {R"({"cdiVersion": "1.0.0", "kind": "vendor", "devices": [{"name": "d"}]})", "kind"},
      {R"({"cdiVersion": "1.0.0", "kind": "v.com/c", "devices": []})", "devices"},
      {R"({"cdiVersion": "1.0.0", "kind": "v.com/c", "devices": [{"name": "d"}, {"name": "d"}]})", "twice"},
      {R"({"cdiVersion": "1.0.0", "kind": "v.com/c", "devices": [{"name": "-"}]})", "name"},
      {WithDevice(R"("containerEdits": {"env": ["=x"]})"), "NAME=value"},
      {WithDevice(R"("containerEdits": {"deviceNodes": [{"hostPath": "/dev/null"}]})"), "path: missing"},
      {WithDevice(R"("containerEdits": {"deviceNodes": [{"path": "/d", "permissions": "rx"}]})"), "permissions"},
      {WithDevice(R"("containerEdits": {"deviceNodes": [{"path": "/d", "major": -1}]})"), "major"},
      {WithDevice(R"("containerEdits": {"mounts": [{"hostPath": "/d"}]})"), "containerPath: missing"},
      {WithDevice(R"("containerEdits": {"hooks": [{"hookName": "evil", "path": "/x"}]})"), "hookName"},
      {WithDevice(R"("containerEdits": {"hooks": [{"hookName": "poststart", "path": "x"}]})"), "not absolute"},
      {WithDevice(R"("containerEdits": {"hooks": [{"hookName": "poststart", "path": "/x", "timeout": 0}]})"),
       "timeout"},
      {WithDevice(R"("containerEdits": {"securityOff": true})"), "securityOff: unknown"},
  };
  for (const auto& [text, what] : cases) {
    auto spec = ParseJson(text);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(spec.status().message()), HasSubstr(what)) << text;
    EXPECT_EQ(ParseYaml(text).status(), spec.status());
  }
}

TEST(CdiSpec, AliasesOfAliasesAreBounded) {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string last = absl::StrCat("*", std::string(1, static_cast<char>(c - 1)));
    absl::StrAppend(&text, std::string(1, c), ": &", std::string(1, c), " [");
    for (int i = 0; i < 10; ++i) absl::StrAppend(&text, i == 0 ? "" : ", ", last);
    absl::StrAppend(&text, "]\n");
  }
  EXPECT_THAT(std::string(ParseYaml(text).status().message()), HasSubstr("too many values"));
  EXPECT_FALSE(ParseYaml(std::string(100000, '[')).ok());
}

TEST(CdiSpec, QualifiedNames) {
  auto name = ParseQualifiedName("vendor.com/gpu=0:1");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->kind, "vendor.com/gpu");
  EXPECT_EQ(name->device, "0:1");
  for (const char* wrong :
       {"", "gpu=0", "vendor.com/gpu", "vendor.com/gpu=", "vendor.com/=0", "/gpu=0", "a/b/c=0", "a/b=.."})
    EXPECT_FALSE(ParseQualifiedName(wrong).ok()) << wrong;
}

}  // namespace
}  // namespace wherry::cdi

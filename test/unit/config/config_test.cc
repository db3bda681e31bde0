#include "cri/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace wherry::config {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  absl::StatusOr<Config> Parse(const std::string& text) {
    std::ofstream(path_) << text;
    return Load(path_);
  }
  // The refusal's text, or "" when the file was taken.
  std::string Refusal(const std::string& text) {
    auto config = Parse(text);
    if (config.ok()) return "";
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(config.status().message());
  }
  ~ConfigTest() override { std::filesystem::remove(path_); }

  std::string path_ = testing::TempDir() + "/config-" + std::to_string(getpid()) + ".toml";
};

void ExpectEqual(const Config& a, const Config& b) {
  EXPECT_EQ(a.root, b.root);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.socket, b.socket);
  EXPECT_EQ(a.cgroup_driver, b.cgroup_driver);
  EXPECT_EQ(a.cgroup_parent, b.cgroup_parent);
  EXPECT_EQ(a.libexec_dir, b.libexec_dir);
  EXPECT_EQ(a.cni.conf_dir, b.cni.conf_dir);
  EXPECT_EQ(a.cni.bin_dirs, b.cni.bin_dirs);
  EXPECT_EQ(a.cni.cache_dir, b.cni.cache_dir);
  EXPECT_EQ(a.cni.timeout_seconds, b.cni.timeout_seconds);
  EXPECT_EQ(a.registry.config_path, b.registry.config_path);
  EXPECT_EQ(a.registry.max_parallel_pulls, b.registry.max_parallel_pulls);
  EXPECT_EQ(a.registry.max_parallel_layers, b.registry.max_parallel_layers);
  EXPECT_EQ(a.registry.progress_timeout_seconds, b.registry.progress_timeout_seconds);
  EXPECT_EQ(a.images.pinned, b.images.pinned);
  EXPECT_EQ(a.image_verifier.bin_dir, b.image_verifier.bin_dir);
  EXPECT_EQ(a.image_verifier.max_verifiers, b.image_verifier.max_verifiers);
  EXPECT_EQ(a.image_verifier.per_verifier_timeout_seconds, b.image_verifier.per_verifier_timeout_seconds);
  EXPECT_EQ(a.streaming.address, b.streaming.address);
  EXPECT_EQ(a.streaming.port, b.streaming.port);
  EXPECT_EQ(a.streaming.tls_cert_file, b.streaming.tls_cert_file);
  EXPECT_EQ(a.streaming.tls_key_file, b.streaming.tls_key_file);
  EXPECT_EQ(a.cdi.spec_dirs, b.cdi.spec_dirs);
  EXPECT_EQ(a.selinux.enabled, b.selinux.enabled);
  EXPECT_EQ(a.selinux.category_range, b.selinux.category_range);
  EXPECT_EQ(a.handlers.size(), b.handlers.size());
  EXPECT_EQ(a.log.level, b.log.level);
}

TEST_F(ConfigTest, AnEmptyFileAndTheDefaultDocumentAreTheDefaults) {
  auto empty = Parse("");
  ASSERT_TRUE(empty.ok()) << empty.status();
  ExpectEqual(*empty, Config{});
  auto written = Parse(DefaultToml());
  ASSERT_TRUE(written.ok()) << written.status();
  ExpectEqual(*written, Config{});
}

TEST_F(ConfigTest, ReadsEveryKey) {
  auto config = Parse(R"(
root = "/a"
state = "/b"
socket = "/b/c.sock"
cgroup_driver = "systemd"
cgroup_parent = "/d"
libexec_dir = "/e"
[cni]
conf_dir = "/f"
bin_dirs = ["/g", "/h"]
cache_dir = "/i"
timeout_seconds = 7
[registry]
config_path = "/j"
max_parallel_pulls = 2
max_parallel_layers = 3
progress_timeout_seconds = 5
[images]
pinned = ["l", "m/*"]
[image_verifier]
bin_dir = "/k"
max_verifiers = -1
per_verifier_timeout_seconds = 3
[streaming]
address = "::1"
port = 10010
tls_cert_file = "/n"
tls_key_file = "/o"
[selinux]
enabled = false
category_range = 500
[log]
level = "debug"
)");
  ASSERT_TRUE(config.ok()) << config.status();
  Config want;
  want.root = "/a";
  want.state = "/b";
  want.socket = "/b/c.sock";
  want.cgroup_driver = CgroupDriver::kSystemd;
  want.cgroup_parent = "/d";
  want.libexec_dir = "/e";
  want.cni.conf_dir = "/f";
  want.cni.bin_dirs = {"/g", "/h"};
  want.cni.cache_dir = "/i";
  want.cni.timeout_seconds = 7;
  want.registry.config_path = "/j";
  want.registry.max_parallel_pulls = 2;
  want.registry.max_parallel_layers = 3;
  want.registry.progress_timeout_seconds = 5;
  want.images.pinned = {"l", "m/*"};
  want.image_verifier.bin_dir = "/k";
  want.image_verifier.max_verifiers = -1;
  want.image_verifier.per_verifier_timeout_seconds = 3;
  want.streaming.address = "::1";
  want.streaming.port = 10010;
  want.streaming.tls_cert_file = "/n";
  want.streaming.tls_key_file = "/o";
  want.selinux.enabled = false;
  want.selinux.category_range = 500;
  want.log.level = "debug";
  ExpectEqual(*config, want);
}

TEST_F(ConfigTest, RefusesUnknownKeysWithFileAndLine) {
  EXPECT_THAT(Refusal("root = \"/a\"\nrot = \"/b\"\n"), AllOf(HasSubstr(path_ + ":2:"), HasSubstr("\"rot\"")));
  EXPECT_THAT(Refusal("[cni]\n\nconf_dirs = \"/b\"\n"), AllOf(HasSubstr(":3:"), HasSubstr("\"cni.conf_dirs\"")));
  EXPECT_THAT(Refusal("[extra]\n"), HasSubstr("\"extra\""));
}

TEST_F(ConfigTest, RefusesWrongValuesNamingTheKey) {
  EXPECT_THAT(Refusal("root = 1"), HasSubstr("\"root\" must be a string"));
  EXPECT_THAT(Refusal("root = \"relative\""), HasSubstr("absolute"));
  EXPECT_THAT(Refusal("state = \"/run/../etc\""), HasSubstr("\"state\""));
  EXPECT_THAT(Refusal("cgroup_driver = \"runc\""), HasSubstr("auto, systemd, cgroupfs"));
  EXPECT_THAT(Refusal("cni = 3"), HasSubstr("\"cni\" must be a table"));
  EXPECT_THAT(Refusal("[cni]\nbin_dirs = []"), HasSubstr("cni.bin_dirs"));
  EXPECT_THAT(Refusal("[cni]\nbin_dirs = [\"/a\", 3]"), HasSubstr("cni.bin_dirs"));
  EXPECT_THAT(Refusal("[cni]\ntimeout_seconds = 0"), HasSubstr("from 1 to 3600"));
  EXPECT_THAT(Refusal("[streaming]\naddress = \"localhost\""),
              HasSubstr("\"streaming.address\" must be an IP address"));
  EXPECT_THAT(Refusal("[streaming]\nport = 70000"), HasSubstr("streaming.port"));
  EXPECT_THAT(Refusal("[streaming]\ntls_key_file = \"key.pem\""),
              HasSubstr("\"streaming.tls_key_file\" must be an abs"));
  EXPECT_THAT(Refusal("[streaming]\ntls_key_file = \"/k\""), AllOf(HasSubstr("[streaming]"), HasSubstr("set both")));
  EXPECT_THAT(Refusal("[streaming]\ntls_cert_file = \"/c\""), HasSubstr("set both"));
  EXPECT_THAT(Refusal("[selinux]\ncategory_range = 1"), HasSubstr("from 2 to 1024"));
  EXPECT_THAT(Refusal("[log]\nlevel = \"loud\""), HasSubstr("log.level"));
  EXPECT_THAT(Refusal("socket = \"/" + std::string(120, 'x') + "\""), HasSubstr("107 bytes"));
}

TEST_F(ConfigTest, RefusesWhatIsNoToml) {
  EXPECT_THAT(Refusal("root = \"/a\"\nstate = \n"), HasSubstr(path_ + ":2:"));
  EXPECT_THAT(Refusal("root = \"/a\"\nroot = \"/b\"\n"), HasSubstr(":2:"));
}

TEST_F(ConfigTest, AMissingFileIsNotFound) {
  EXPECT_EQ(Load("/nonexistent/config.toml").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace wherry::config

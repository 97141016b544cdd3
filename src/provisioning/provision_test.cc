#include "provisioning/provision.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>

#include "agent/config/config.h"
#include "pki/test_certificates.h"
#include "sys/faults.h"
#include "sys/testing/temp_directory.h"
#include "trust/testing/test_world.h"

namespace fleetseal::provisioning {
namespace {

using codec::Json;
using trust::testing::Must;
using trust::testing::TestWorld;

Bundle MakeBundle() {
  static const TestWorld world;
  static const std::string package = world.SignPackage(world.package);
  static const std::string ca = pki::test::MakeCa().certificate.ToPem();
  Bundle bundle;
  bundle.device = world.device;
  bundle.build_time = world.now - limits::kDaySeconds;
  bundle.package = package;
  bundle.server = "https://updates.example:8443";
  bundle.server_ca_pem = ca;
  bundle.code = "abcdefghijklmnopqrstuvwxyz";
  bundle.agent.check_in_seconds = 60;
  return bundle;
}

// A folder that becomes a device, all of it this user's.
class Machine {
 public:
  sys::TempDirectory directory;
  Layout layout = MakeLayout(directory.path());

  static Layout MakeLayout(const std::string& path) {
    Layout made = LayoutBelow(path);
    made.users.reset();
    return made;
  }
  Status Provision(const Bundle& bundle, bool is_replacing = false) {
    return provisioning::Provision(bundle, layout, is_replacing);
  }
  bool IsProvisioned() const { return sys::FileExists(layout.agent_config); }
  // What the programs do when they start.
  void ExpectStarts(const Bundle& bundle) const {
    const auto installer = installer::LoadConfig(layout.installer_config);
    ASSERT_TRUE(installer) << installer.error().ToString();
    const auto provisioning = installer::LoadProvisioning(installer->provisioning_directory);
    ASSERT_TRUE(provisioning) << provisioning.error().ToString();
    EXPECT_EQ(provisioning->device.device_id, bundle.device.device_id);
    EXPECT_EQ(provisioning->device.generation, bundle.device.generation);
    EXPECT_EQ(provisioning->packages, std::vector<std::string>{bundle.package});
    EXPECT_EQ(Must(installer::LoadEnrolmentCode(installer->provisioning_directory)), bundle.code);
    const auto agent = agent::LoadConfig(layout.agent_config);
    ASSERT_TRUE(agent) << agent.error().ToString();
    EXPECT_EQ(agent->server, bundle.server);
    EXPECT_EQ(agent->installer_socket, installer->socket);
    EXPECT_EQ(Must(sys::ReadTextFile(agent->server_ca, 65536)), bundle.server_ca_pem);
  }
  void PutState() {
    ASSERT_TRUE(sys::MakeDirectories(layout.state_directory, 0700));
    ASSERT_TRUE(sys::WriteFileDurably(layout.state_directory + "/state.json", AsBytes("state"), 0600));
  }
};

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

TEST(Bundle, ReadsWhatItWrites) {
  Bundle bundle = MakeBundle();
  bundle.source = InstallerSource::kBundle;
  bundle.installer = Must(codec::ParseJson(R"({"filePrefix":"/srv/files","health":{"command":["/bin/true"]}})"));
  bundle.agent.proxy = "http://proxy:3128";
  bundle.device.components = {"main", "modem"};
  const Bundle read = Must(Bundle::Parse(bundle.Serialize()));
  EXPECT_EQ(read.Serialize(), bundle.Serialize());
  EXPECT_EQ(read.device.properties, bundle.device.properties);
  EXPECT_EQ(read.device.components, bundle.device.components);
}

TEST(Bundle, RefusesWhatIsNotWhole) {
  const std::string text = MakeBundle().Serialize();
  for (const size_t size : {size_t{0}, size_t{1}, text.size() / 2, text.size() - 3})
    EXPECT_FALSE(Bundle::Parse(std::string_view(text).substr(0, size))) << size;
  const auto trailing = Bundle::Parse(text + "{}");
  ASSERT_FALSE(trailing);
  const auto large = Bundle::Parse(text + std::string(kBundleBytesMax, ' '));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kDocumentTooLarge);
}

ErrorCode CodeWith(const std::function<void(Json&)>& change) {
  Json json = Must(codec::ParseJson(MakeBundle().Serialize()));
  change(json);
  const auto bundle = Bundle::Parse(json.Serialize());
  return bundle ? ErrorCode::kInternal : bundle.error().code;
}

Json& Member(Json& json, std::string_view name) {
  for (auto& [key, value] : json.as_object())
    if (key == name) return value;
  CHECK(false);
}

TEST(Bundle, RefusesWhatADeviceCouldNotUse) {
  EXPECT_EQ(CodeWith([](Json& json) { Member(json, "format") = "fleetseal-device-bundle:2"; }),
            ErrorCode::kFormatVersionUnknown);
  EXPECT_EQ(CodeWith([](Json& json) { json.Set("extra", 1); }), ErrorCode::kMemberUnknown);
  EXPECT_EQ(CodeWith([](Json& json) { Member(json, "device").Set("extra", 1); }), ErrorCode::kMemberUnknown);
  EXPECT_EQ(CodeWith([](Json& json) { Member(json, "agent").Set("extra", 1); }), ErrorCode::kMemberUnknown);
  EXPECT_EQ(CodeWith([](Json& json) { Member(Member(json, "device"), "generation") = 0; }),
            ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeWith([](Json& json) { Member(json, "code") = "short"; }), ErrorCode::kIdInvalid);
  EXPECT_EQ(CodeWith([](Json& json) { Member(json, "installer") = "other"; }), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeWith([](Json& json) { Member(json, "serverCa") = "no PEM"; }), ErrorCode::kPemInvalid);
}

TEST(Bundle, RefusesAPackageThatIsNoFirstTrust) {
  const TestWorld world;
  Bundle bundle = MakeBundle();
  bundle.package = world.SignPackage(world.package, {0});
  const auto parsed = Bundle::Parse(bundle.Serialize());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::kPackageStepInvalid);
}

TEST(Bundle, RefusesAServerCertificateInPlaceOfItsCa) {
  const auto ca = pki::test::MakeCa();
  const auto key = pki::test::MakeSigner();
  Bundle bundle = MakeBundle();
  bundle.server_ca_pem = Must(pki::Issue(ca.certificate, ca.key, pki::test::DeviceOptions(key.public_key()))).ToPem();
  const auto parsed = Bundle::Parse(bundle.Serialize());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::kCertificateInvalid);
}

TEST(Bundle, MayNotSayWhereTheDeviceKeepsItsTrust) {
  for (const char* own : {"socket", "agentUid", "provisioningDirectory", "stateDirectory"}) {
    Json members = Must(codec::ParseJson(R"({"filePrefix":"/srv/files","health":{"command":["/bin/true"]}})"));
    members.Set(own, "x");
    const Status status = CheckInstallerMembers(members);
    ASSERT_FALSE(status) << own;
    EXPECT_EQ(status.error().code, ErrorCode::kMemberUnknown) << own;
  }
}

TEST(Provision, GivesProgramsWhatTheyStartWith) {
  Machine machine;
  const Bundle bundle = MakeBundle();
  ASSERT_TRUE(machine.Provision(bundle));
  machine.ExpectStarts(bundle);
  EXPECT_EQ(ModeOf(machine.layout.provisioning_directory), 0500u);
  EXPECT_EQ(ModeOf(machine.layout.provisioning_directory + "/enrolment-code"), 0400u);
  EXPECT_EQ(ModeOf(machine.layout.provisioning_directory + "/package.json"), 0400u);
}

TEST(Provision, RefusesAnAddressThatIsNotHttps) {
  Machine machine;
  for (const char* server : {"http://updates.example", "https://u\"\nrate_max = 1\n#", "https://"}) {
    Bundle bundle = MakeBundle();
    bundle.server = server;
    const Status status = machine.Provision(bundle);
    ASSERT_FALSE(status) << server;
    EXPECT_EQ(status.error().code, ErrorCode::kConfigInvalid) << server;
    EXPECT_FALSE(sys::FileExists(machine.layout.provisioning_directory)) << "a refusal changes nothing";
  }
}

TEST(Provision, WritesOverADeviceOnlyWhenAsked) {
  Machine machine;
  ASSERT_TRUE(machine.Provision(MakeBundle()));
  machine.PutState();
  Bundle next = MakeBundle();
  next.device.generation += 1;
  next.server = "https://other.example";
  const Status refused = machine.Provision(next);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kAlreadyExists);
  machine.ExpectStarts(MakeBundle());
  ASSERT_TRUE(machine.Provision(next, true));
  machine.ExpectStarts(next);
  EXPECT_EQ(Must(sys::ReadTextFile(machine.layout.state_directory + "/state.json", 64)), "state");
}

TEST(Provision, NeverGivesATrustStateToAnotherDevice) {
  Machine machine;
  ASSERT_TRUE(machine.Provision(MakeBundle()));
  machine.PutState();
  Bundle other = MakeBundle();
  other.device.device_id = Must(DeviceId::Parse("device-2"));
  Bundle older = MakeBundle();
  older.device.generation -= 1;
  for (const Bundle& bundle : {other, older}) {
    const Status status = machine.Provision(bundle, true);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kConflict);
  }
  machine.ExpectStarts(MakeBundle());
}

TEST(Provision, TakesOverNoFolderThatHoldsOtherThings) {
  for (const char* name : {"installer", "agent", "run", "files"}) {
    Machine machine;
    const std::string folder = sys::JoinPath(machine.directory.path(), name);
    ASSERT_TRUE(sys::MakeDirectories(folder, 0750));
    const std::string file = sys::JoinPath(folder, "letter.txt");
    ASSERT_TRUE(sys::WriteFileDurably(file, AsBytes("mine"), 0640));
    for (const bool is_replacing : {false, true}) {
      const Status status = machine.Provision(MakeBundle(), is_replacing);
      ASSERT_FALSE(status) << name;
      EXPECT_EQ(status.error().code, ErrorCode::kConflict) << name;
    }
    struct stat info {};
    ASSERT_EQ(stat(folder.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0750U) << name;
    EXPECT_EQ(Must(sys::ListDirectory(machine.directory.path())), std::vector<std::string>{name}) << "nothing is made";
    // An empty one is free.
    ASSERT_TRUE(sys::RemoveFile(file));
    ASSERT_TRUE(machine.Provision(MakeBundle())) << name;
    machine.ExpectStarts(MakeBundle());
  }
}

TEST(Provision, KeepsTheInstallerConfigurationOfAnImage) {
  Machine machine;
  Bundle bundle = MakeBundle();
  bundle.source = InstallerSource::kImage;
  const Status missing = machine.Provision(bundle);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(sys::MakeDirectories(machine.layout.installer_data, 0700));
  const std::string own = R"({"socket":"own.sock","provisioningDirectory":"own","stateDirectory":"own-state",)"
                          R"("filePrefix":"files","health":{"command":["/bin/true"]}})";
  ASSERT_TRUE(sys::WriteFileDurably(machine.layout.installer_config, AsBytes(own), 0600));
  ASSERT_TRUE(machine.Provision(bundle));
  machine.ExpectStarts(bundle);
  EXPECT_EQ(Must(sys::ReadTextFile(machine.layout.installer_config, 4096)), own);
}

// Cut off at every durable step: not provisioned, and the same bundle again makes it whole; nothing half-written stays.
void CrashMatrix(bool is_performed) {
  for (int fail_at = 1;; ++fail_at) {
    Machine machine;
    const Bundle bundle = MakeBundle();
    sys::FaultPlan plan{.fail_at = fail_at, .is_performed = is_performed};
    Status first;
    {
      const sys::ScopedFaults faults(plan);
      first = machine.Provision(bundle);
    }
    if (plan.steps < fail_at) break;
    ASSERT_FALSE(first) << fail_at;
    // The last step makes a name durable that is there already.
    if (!machine.IsProvisioned()) {
      ASSERT_TRUE(machine.Provision(bundle)) << fail_at;
    }
    machine.ExpectStarts(bundle);
    for (const std::string& name : Must(sys::ListDirectory(machine.layout.provisioning_directory)))
      EXPECT_EQ(name.find(".tmp-"), std::string::npos) << fail_at << " " << name;
  }
}
TEST(Provision, IsResumedAfterAKillAtEveryDurableStep) { CrashMatrix(false); }
TEST(Provision, IsResumedAfterAKillJustAfterEveryDurableStep) { CrashMatrix(true); }

}  // namespace
}  // namespace fleetseal::provisioning

// A CA of devices or people is replaced by the quorum's decision alone, with or without the old key; whoever is
// registered stays in, and a thief of the old key gets nothing (ADR 0015).
#include "signer/ca_replacement.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/client_cas.h"
#include "codec/base64.h"
#include "manifest/log_leaf.h"
#include "pki/chain.h"
#include "pki/issue.h"
#include "signer/client_cas.h"
#include "signer/recovery.h"
#include "signer/store/device_store.h"
#include "signer/store/recovery_store.h"
#include "signer/testing/key_world.h"
#include "translog/log_reader.h"

namespace fleetseal::signer::testing {
namespace {

using manifest::ClientCaKind;

constexpr int64_t kDay = limits::kDaySeconds;

class CaReplacementTest : public ::testing::Test {
 protected:
  KeyWorld world;

  pki::Certificate Ca(ClientCaKind kind) { return world.core().cas().AllOf(PurposeOf(kind)).front(); }
  manifest::ReplaceCa Decision(ClientCaKind kind, bool is_old_dropped = false) {
    return {kind, Ca(kind).fingerprint(), is_old_dropped};
  }
  // What the stopped signer is given.
  std::string FileOf(const std::vector<std::string>& jws) const {
    Json list = Json::MakeArray();
    for (const auto& one : jws) list.Push(Json(one));
    const std::string path = world.folder.File("decision.json");
    CHECK(sys::WriteFileDurably(path, AsBytes(Json::MakeObject().Set("jws", std::move(list)).Serialize()), 0600)
              .has_value());
    return path;
  }
  std::vector<std::string> last_jws;
  std::string last_id;
  Result<Json> Give(const std::vector<std::string>& jws) {
    world.service.reset();
    return ReplaceCaFromFile(world.config, FileOf(jws), world.clock);
  }
  Result<Json> Decide(const manifest::ReplaceCa& decision, size_t signatures = 2) {
    const auto change = world.MakeChange({decision});
    last_id = change.change_id.text();
    last_jws = world.BySecurity(change, signatures);
    auto made = Give(last_jws);
    if (made) world.change_sequence = change.sequence;
    return made;
  }
  // The change is carried out, and the signer runs again.
  Json Replaced(ClientCaKind kind, bool is_old_dropped = false) {
    const Json made = Must(Decide(Decision(kind, is_old_dropped)));
    world.Open();
    return made;
  }
  std::string KeyFile(ClientCaKind kind) {
    return world.config.data + "/keys/ca/" + KidOf(PurposeOf(kind), Ca(kind).public_key()) + ".json";
  }
  std::string LeafAt(int64_t index) const {
    const auto reader = translog::LogReader::OfDirectory(world.config.log);
    const auto from = static_cast<uint64_t>(index);
    return std::string(AsText(Must(reader.ReadEntries(from, from + 1, world.service->log().checkpoint())).front()));
  }
  static Status IsOf(const pki::Certificate& ca, ByteView leaf, UnixSeconds now) {
    const std::vector<pki::Certificate> cas = {ca};
    return pki::VerifyChain(Must(pki::Certificate::FromDer(leaf)), cas, pki::Purpose::kClient, now);
  }
  Result<api::signing::EnrolAnswer> Renew(const WorldDevice& device) {
    return Reenrol(world.core(), device.id, world.csr_of(device), device.certificate);
  }
  // How the doctor complains about that.
  std::string Complaint(const std::string& where) const {
    const Json json = CheckSigner(world.config, world.clock).ToJson();
    std::string text;
    for (const auto& finding : json.Find("findings")->as_array())
      if (finding.Find("where")->as_string() == where) text += finding.Find("what")->as_string();
    return text;
  }
  std::vector<std::string> KeyFiles() const { return Must(sys::ListDirectory(world.config.data + "/keys/ca")); }
  // Refused with that code by the stopped signer: no key was made, and not one row nor the log has changed when it is
  // opened again.
  void Refuses(const std::vector<std::string>& jws, ErrorCode code) {
    world.Open();
    const std::string before = world.Dump();
    const auto files = KeyFiles();
    const auto outcome = Give(jws);
    ASSERT_FALSE(outcome.has_value()) << "was carried out";
    EXPECT_EQ(ErrorCodeName(outcome.error().code), ErrorCodeName(code)) << outcome.error().ToString();
    world.Open();
    EXPECT_EQ(world.Dump(), before);
    EXPECT_EQ(KeyFiles(), files);
  }
  void Refuses(const manifest::ReplaceCa& decision, ErrorCode code, size_t signatures = 2) {
    Refuses(world.BySecurity(world.MakeChange({decision}), signatures), code);
  }
};

TEST_F(CaReplacementTest, WithoutTheQuorumNothingIsReplaced) {
  const auto decision = Decision(ClientCaKind::kDevice);
  Refuses(decision, ErrorCode::kQuorumNotReached, 1);
  const auto change = world.MakeChange({decision});
  const auto by = [&](const char* id) { return world.SignAs(id, manifest::kTypRegisterChange, change.Build()); };
  Refuses({by("tina"), by("olga")}, ErrorCode::kQuorumNotReached);
  Refuses({by("tina"), by("tina")}, ErrorCode::kQuorumNotReached);
  Refuses({by("tina"), by("sam")}, ErrorCode::kQuorumNotReached);  // the role alone does not count
}

TEST_F(CaReplacementTest, TheServerCannotBringTheDecision) {
  const auto change = world.MakeChange({Decision(ClientCaKind::kDevice)});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change)), kConflict);
}

TEST_F(CaReplacementTest, ADecisionFitsOneCaOfOneKindOnce) {
  auto decision = Decision(ClientCaKind::kDevice);
  decision.kind = ClientCaKind::kPeople;
  Refuses(decision, ErrorCode::kConflict);
  auto other = Decision(ClientCaKind::kDevice);
  other.previous_sha256 = crypto::HashSha256("of another organisation");
  Refuses(other, ErrorCode::kConflict);
  auto late = world.MakeChange({Decision(ClientCaKind::kDevice)});
  late.sequence += 1;
  Refuses(world.BySecurity(late), ErrorCode::kConflict);
  const auto old = world.MakeChange({Decision(ClientCaKind::kDevice)});
  world.clock.Advance(31 * kDay);
  Refuses(world.BySecurity(old), ErrorCode::kApprovalExpired);
  Refuses(world.BySecurity(world.MakeChange({manifest::RevokePerson{Must(PersonId::Parse("bob"))}})),
          ErrorCode::kInvalidArgument);
}

TEST_F(CaReplacementTest, ADecisionThatWasCarriedOutIsAnsweredAndNothingElse) {
  const auto made = Must(Decide(Decision(ClientCaKind::kDevice)));
  const auto first = last_jws;
  world.Open();
  const std::string before = world.Dump();
  EXPECT_EQ(Must(Give(first)), made);
  world.Open();
  EXPECT_EQ(world.Dump(), before);
  (void)Replaced(ClientCaKind::kDevice);
  Refuses(first, ErrorCode::kConflict);
}

TEST_F(CaReplacementTest, AHaltedSignerAndARunningOneReplaceNothing) {
  const auto jws = world.BySecurity(world.MakeChange({Decision(ClientCaKind::kDevice)}));
  EXPECT_REFUSED_UNCHANGED(world, ReplaceCaFromFile(world.config, FileOf(jws), world.clock), kBusy);
  EXPECT_EQ(ShowCas(world.config, world.clock).error().code, ErrorCode::kBusy);
  CHECK(StoreHalt(world.service->database(), "a test", world.now()).has_value());
  Refuses(jws, ErrorCode::kSignerHalted);
  world.service.reset();
  EXPECT_TRUE(Must(ShowCas(world.config, world.clock)).Find("isHalted")->as_bool());
}

TEST_F(CaReplacementTest, ALogThatCannotBeWrittenChangesNothing) {
  const auto decision = Decision(ClientCaKind::kDevice);
  const auto jws = world.BySecurity(world.MakeChange({decision}));
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceCa(world.core(), jws), kLogNotWritable);
  world.is_log_failing = false;
  world.Open();
  EXPECT_EQ(Ca(ClientCaKind::kDevice).fingerprint(), decision.previous_sha256);
  (void)world.Enrolled("gw-1");
  EXPECT_EQ(Must(Give(jws)).Find("number")->as_integer(), 2) << "the decision was not spent";
}

TEST_F(CaReplacementTest, DecisionAndCaAreOnTheLogAndTheOldKeyIsGone) {
  const auto old = Ca(ClientCaKind::kDevice);
  const std::string old_key = KeyFile(ClientCaKind::kDevice);
  ASSERT_TRUE(sys::FileExists(old_key));
  const int64_t size = world.core().LogSize();
  const Json made = Replaced(ClientCaKind::kDevice);
  const auto next = Ca(ClientCaKind::kDevice);
  EXPECT_NE(next.public_key(), old.public_key());
  EXPECT_EQ(next.subject_common_name(), "acme device-ca 2");
  EXPECT_EQ(next.not_after(), world.now() + kCaLifetime);
  EXPECT_EQ(next.path_length(), 0);
  EXPECT_FALSE(sys::FileExists(old_key));
  EXPECT_TRUE(sys::FileExists(KeyFile(ClientCaKind::kDevice)));
  ASSERT_EQ(world.core().LogSize(), size + 2);
  EXPECT_EQ(LeafAt(size),
            (manifest::PersonDocumentLeaf{"register-change", world.now(), crypto::HashSha256(last_jws.front()), last_id}
                 .Build()));
  EXPECT_EQ(LeafAt(size + 1), (manifest::CertificateLeaf{world.now(), next.fingerprint(), "device-ca"}.Build()));
  EXPECT_EQ(made.Find("logIndex")->as_integer(), size);
  EXPECT_EQ(made.Find("certificateSha256")->as_string(), Text(next.fingerprint()));
  EXPECT_EQ(made.Find("certificates")->as_string(), next.ToPem() + old.ToPem());
  EXPECT_EQ(Must(Hello(world.core())).device_ca, next.ToPem() + old.ToPem());
  EXPECT_EQ(Ca(ClientCaKind::kPeople).subject_common_name(), "acme people-ca") << "the other kind stays";
}

TEST_F(CaReplacementTest, DevicesOfTheOldCaRenewUnderTheNewOne) {
  const auto old = Ca(ClientCaKind::kDevice);
  const auto device = world.Enrolled("gw-1");
  ASSERT_TRUE(IsOf(old, device.certificate, world.now()));
  (void)Replaced(ClientCaKind::kDevice);
  const auto next = Ca(ClientCaKind::kDevice);
  EXPECT_TRUE(IsOf(next, Must(Renew(device)).certificate, world.now()));
  EXPECT_TRUE(IsOf(next, world.Enrolled("gw-2").certificate, world.now()));
  // One that was parked until its certificate had ended.
  world.clock.Advance(95 * kDay);
  EXPECT_TRUE(IsOf(next, Must(Renew(device)).certificate, world.now()));
}

TEST_F(CaReplacementTest, PeopleGetCertificatesOfTheNewCa) {
  const auto old = Ca(ClientCaKind::kPeople);
  (void)Replaced(ClientCaKind::kPeople);
  const auto next = Ca(ClientCaKind::kPeople);
  EXPECT_NE(next, old);
  const Bytes csr = Must(pki::BuildCertificateRequest(*world.people.at("olga").key.signer, "olga", {}));
  const auto certificate = Must(pki::Certificate::FromPem(Must(PersonCertificate(world.core(), csr)).certificate));
  EXPECT_TRUE(IsOf(next, certificate.der(), world.now()));
  EXPECT_EQ(Must(Hello(world.core())).people_ca, next.ToPem() + old.ToPem());
}

TEST_F(CaReplacementTest, TheOldCasWordForAnotherKeyRenewsNothing) {
  const auto device = world.Enrolled("gw-1");
  // By the old CA's own key, as a thief would: for the thief's key and the device's name, and for the device's key.
  const WorldKey mine = WorldKey::Make("");
  const auto stolen = Must(world.core().cas().IssueDevice(device.id, mine.key(), world.now()));
  const auto unrecorded = Must(world.core().cas().IssueDevice(device.id, device.identity.key(), world.now()));
  (void)Replaced(ClientCaKind::kDevice);
  const Bytes csr = Must(pki::BuildCertificateRequest(*mine.signer, "gw-1", {}));
  EXPECT_REFUSED_UNCHANGED(world, Reenrol(world.core(), device.id, csr, stolen.der()), kCertificateInvalid);
  EXPECT_REFUSED_UNCHANGED(world, Reenrol(world.core(), device.id, world.csr_of(device), unrecorded.der()),
                           kCertificateInvalid);
  EXPECT_TRUE(Renew(device));
}

TEST_F(CaReplacementTest, ADroppedCasCertificatesCountNoMore) {
  const auto device = world.Enrolled("gw-1");
  (void)Replaced(ClientCaKind::kDevice);
  WorldDevice renewed = world.Enrolled("gw-2");
  const Json made = Replaced(ClientCaKind::kDevice, true);
  EXPECT_EQ(made.Find("certificates")->as_string(), Ca(ClientCaKind::kDevice).ToPem());
  EXPECT_EQ(made.Find("number")->as_integer(), 3);
  EXPECT_EQ(world.core().cas().AllOf(Purpose::kDeviceCa).size(), 1U) << "all earlier ones are dropped";
  EXPECT_REFUSED_UNCHANGED(world, Renew(device), kCertificateInvalid);
  EXPECT_REFUSED_UNCHANGED(world, Renew(renewed), kCertificateInvalid);
  auto again = world.MakeDevice("gw-1");  // what is left to it: the next generation
  again.generation = 2;
  world.Allow(again);
  EXPECT_TRUE(IsOf(Ca(ClientCaKind::kDevice), Must(Enrol(world.core(), world.Input(again))).certificate, world.now()));
}

TEST_F(CaReplacementTest, LostKeysStopTheSignerAndNotTheDecision) {
  const auto decision = Decision(ClientCaKind::kDevice);
  const auto device = world.Enrolled("gw-1");
  for (const auto kind : {ClientCaKind::kDevice, ClientCaKind::kPeople}) std::filesystem::remove(KeyFile(kind));
  const auto people = Decision(ClientCaKind::kPeople);
  world.service.reset();
  const auto refused = SignerService::Open(world.config, world.clock);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  EXPECT_NE(refused.error().detail.find("lost-client-ca.md"), std::string::npos) << refused.error().ToString();
  const Json shown = Must(ShowCas(world.config, world.clock));
  EXPECT_FALSE(shown.Find("cas")->Find("device")->Find("hasKey")->as_bool());
  EXPECT_TRUE(Decide(decision));
  EXPECT_TRUE(Must(ShowCas(world.config, world.clock)).Find("cas")->Find("device")->Find("hasKey")->as_bool());
  EXPECT_EQ(SignerService::Open(world.config, world.clock).error().code, ErrorCode::kNotFound) << "the other is lost";
  EXPECT_TRUE(Decide(people));
  world.Open();
  EXPECT_TRUE(IsOf(Ca(ClientCaKind::kDevice), Must(Renew(device)).certificate, world.now()));
}

TEST_F(CaReplacementTest, AKeyThatCannotBeReadIsLost) {
  const auto decision = Decision(ClientCaKind::kDevice);
  const std::string file = KeyFile(ClientCaKind::kDevice);
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  CHECK(sys::WriteFileDurably(file, AsBytes("{\"version\":1"), 0400).has_value());
  world.service.reset();
  EXPECT_FALSE(SignerService::Open(world.config, world.clock).has_value());
  EXPECT_TRUE(Decide(decision));
  world.Open();
  EXPECT_FALSE(sys::FileExists(file));
  EXPECT_EQ(Ca(ClientCaKind::kDevice).subject_common_name(), "acme device-ca 2");
}

TEST_F(CaReplacementTest, AKeyThatNobodyDecidedOnIssuesNothing) {
  const auto old = Ca(ClientCaKind::kDevice);
  // As a stop between the key and its record leaves it.
  (void)Must(CaKeys::MakeNext(world.core().keystore(), world.config.organisation, Purpose::kDeviceCa, 2, world.now()));
  world.Open();
  EXPECT_EQ(Ca(ClientCaKind::kDevice), old);
  EXPECT_EQ(world.core().cas().AllOf(Purpose::kDeviceCa).size(), 1U);
  (void)Replaced(ClientCaKind::kDevice);
}

TEST_F(CaReplacementTest, ACertificateThatIsNotOnRecordStopsTheSigner) {
  const auto old = Ca(ClientCaKind::kDevice);
  (void)Replaced(ClientCaKind::kDevice);
  const std::string accepted = world.config.data + "/keys/ca/" + KidOf(Purpose::kDeviceCa, old.public_key()) + ".crt";
  CHECK(sys::WriteFileDurably(accepted, AsBytes(Ca(ClientCaKind::kPeople).ToPem()), 0644).has_value());
  world.service.reset();
  EXPECT_EQ(SignerService::Open(world.config, world.clock).error().code, ErrorCode::kCorrupt);
}

TEST_F(CaReplacementTest, RowsThatNameNoCaStopTheSigner) {
  (void)Replaced(ClientCaKind::kDevice);
  CHECK(world.service->database()
            .WithTransaction([](storage::Session& session) -> Status {
              TRY_ASSIGN(auto rows, store::ListCas(session));
              rows.back().state = "dropped";
              return store::PutCa(session, rows.back());
            })
            .has_value());
  world.service.reset();
  EXPECT_EQ(SignerService::Open(world.config, world.clock).error().code, ErrorCode::kCorrupt)
      << "else the first CA would issue again";
}

TEST_F(CaReplacementTest, AHaltEndsWithoutTheKeysAndThenTheyAreReplaced) {
  const auto decision = Decision(ClientCaKind::kDevice);
  CHECK(StoreHalt(world.service->database(), "a test", world.now()).has_value());
  std::filesystem::remove(KeyFile(ClientCaKind::kDevice));
  world.service.reset();
  const Json state = Must(ShowRecovery(world.config, world.clock));
  manifest::ContinueAfterRestore go_on;
  go_on.halt_id = Must(codec::DecodeBase64Url(state.Find("haltId")->as_string()));
  go_on.log_size = state.Find("logSize")->as_integer();
  go_on.sequence_floor = world.clock.NowMs();
  const auto change = world.MakeChange({go_on});
  (void)Must(ContinueAfterHalt(world.config, FileOf(world.BySecurity(change)), world.clock));
  world.change_sequence = change.sequence;
  EXPECT_TRUE(Decide(decision));
  world.Open();
}

TEST_F(CaReplacementTest, ALostKeyIssuesNothing) {
  const auto device = world.Enrolled("gw-1");
  const Bytes csr = Must(pki::BuildCertificateRequest(*world.people.at("olga").key.signer, "olga", {}));
  for (const auto kind : {ClientCaKind::kDevice, ClientCaKind::kPeople}) std::filesystem::remove(KeyFile(kind));
  world.service = nullptr;
  world.service = Must(SignerService::OpenToDecide(world.config, world.clock));
  EXPECT_REFUSED_UNCHANGED(world, Renew(device), kKeyInvalid);
  EXPECT_REFUSED_UNCHANGED(world, PersonCertificate(world.core(), csr), kKeyInvalid);
}

TEST_F(CaReplacementTest, TheKeyOfAReplacedCaIsListedForNothing) {
  const auto old = Ca(ClientCaKind::kDevice);
  (void)Replaced(ClientCaKind::kDevice, true);
  manifest::SigningKeyListing listing;
  listing.kid = Must(KeyId::Parse("thief"));
  listing.thumbprint = old.public_key().thumbprint();
  listing.alg = crypto::SignatureAlgorithm::kEs256;
  listing.role = manifest::KeyRole::kDirector;
  listing.not_before = world.now();
  listing.not_after = world.now() + 30 * kDay;
  auto next = world.package;
  next.version = 2;
  next.signing_keys.push_back(listing);
  EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), world.SignPackage(next)), kKeyPurposeWrong);
}

TEST_F(CaReplacementTest, TheDoctorNamesAllCasThatCountAndKeysThatAreLost) {
  (void)Replaced(ClientCaKind::kDevice);
  const auto ends_of = [&] {
    const Json json = CheckSigner(world.config, world.clock).ToJson();
    std::map<std::string, int64_t> ends;
    for (const auto& one : json.Find("expiries")->as_array())
      ends[one.Find("what")->as_string()] = one.Find("ends")->as_integer();
    return ends;
  };
  const auto all = world.core().cas().AllOf(Purpose::kDeviceCa);
  EXPECT_EQ(ends_of().at("device CA"), all.at(0).not_after().value);
  EXPECT_EQ(ends_of().at("device CA before it (acme device-ca)"), all.at(1).not_after().value);
  EXPECT_EQ(ends_of().at("people CA"), Ca(ClientCaKind::kPeople).not_after().value);
  std::filesystem::remove(KeyFile(ClientCaKind::kDevice));
  const Json json = CheckSigner(world.config, world.clock).ToJson();
  bool is_told = false;
  for (const auto& finding : json.Find("findings")->as_array()) {
    if (finding.Find("where")->as_string() != "device CA") continue;
    is_told = true;
    EXPECT_EQ(finding.Find("level")->as_string(), "problem");
    EXPECT_NE(finding.Find("advice")->as_string().find("fleetseal ca replace"), std::string::npos);
  }
  EXPECT_TRUE(is_told);
}

TEST_F(CaReplacementTest, NoMoreCasAreMadeThanServersTake) {
  for (size_t count = 1; count < limits::kClientCasMax; ++count) (void)Replaced(ClientCaKind::kPeople);
  Refuses(Decision(ClientCaKind::kPeople), ErrorCode::kLimitExceeded);
  const Json made = Replaced(ClientCaKind::kPeople, true);
  EXPECT_EQ(made.Find("number")->as_integer(), 17);
}

TEST_F(CaReplacementTest, ALostFileOfAnAcceptedCaStopsTheSignerAndNotItsDrop) {
  const std::string first = KeyFile(ClientCaKind::kDevice);
  (void)Replaced(ClientCaKind::kDevice);
  const std::string file = first.substr(0, first.size() - 5) + ".crt";
  const std::string pem = Must(sys::ReadTextFile(file, 1 << 16));
  const auto keep = world.MakeChange({Decision(ClientCaKind::kDevice)});
  const auto drop = world.MakeChange({Decision(ClientCaKind::kDevice, true)});
  std::filesystem::remove(file);
  world.service.reset();
  EXPECT_EQ(SignerService::Open(world.config, world.clock).error().code, ErrorCode::kNotFound);
  const Json shown = Must(ShowCas(world.config, world.clock));
  ASSERT_EQ(shown.Find("cas")->Find("device")->Find("lost")->as_array().size(), 1U);
  EXPECT_EQ(shown.Find("cas")->Find("people")->Find("lost")->as_array().size(), 0U);
  EXPECT_NE(Complaint("device CA").find(file.substr(file.rfind('/') + 1)), std::string::npos);
  const auto refused = Give(world.BySecurity(keep));
  ASSERT_FALSE(refused.has_value()) << "it would be lost for the server too";
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  // As bad as none: another certificate under its name.
  CHECK(sys::WriteFileDurably(file, AsBytes(pem + pem), 0644).has_value());
  EXPECT_EQ(Give(world.BySecurity(keep)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Must(Give(world.BySecurity(drop))).Find("number")->as_integer(), 3);
  world.change_sequence = drop.sequence;
  world.Open();
}

TEST_F(CaReplacementTest, AForeignCertificateIsNoLostKey) {
  const WorldKey thief = WorldKey::Make("");
  pki::CaOptions options;
  options.common_name = "acme device-ca";
  options.not_before = world.now() - 60;
  options.not_after = world.now() + kDay;
  const auto foreign = Must(pki::CreateCa(*thief.signer, options));
  const std::string key = KeyFile(ClientCaKind::kDevice);
  const manifest::ReplaceCa decision{ClientCaKind::kDevice, foreign.fingerprint(), false};
  const auto change = world.MakeChange({decision});
  const std::string file = world.config.data + "/keys/ca/device-ca.crt";
  CHECK(sys::WriteFileDurably(file, AsBytes(foreign.ToPem()), 0644).has_value());
  world.service.reset();
  EXPECT_EQ(ShowCas(world.config, world.clock).error().code, ErrorCode::kCorrupt) << "the key that is here is another";
  EXPECT_EQ(Give(world.BySecurity(change)).error().code, ErrorCode::kCorrupt);
  // With the key gone as well, the roots' list is what tells.
  std::filesystem::remove(key);
  EXPECT_TRUE(ShowCas(world.config, world.clock));
  EXPECT_EQ(Give(world.BySecurity(change)).error().code, ErrorCode::kCorrupt) << "the package lists another";
}

TEST_F(CaReplacementTest, AKeyThatWasMadeToFollowIsNoSignOfAForeignCertificate) {
  const auto decision = Decision(ClientCaKind::kDevice);
  (void)Must(CaKeys::MakeNext(world.core().keystore(), world.config.organisation, Purpose::kDeviceCa, 2, world.now()));
  std::filesystem::remove(KeyFile(ClientCaKind::kDevice));
  EXPECT_TRUE(Decide(decision));
  world.Open();
}

TEST_F(CaReplacementTest, TheDoctorTellsThatTheSignerIsOlderThanTheLog) {
  const std::string place = "device-ca";
  (void)Replaced(ClientCaKind::kDevice);
  EXPECT_EQ(Complaint(place), "");
  // What a backup's signer finds on the log: a record of a CA that it never had.
  const auto lost = crypto::HashSha256("made after the backup");
  (void)Must(world.core().Record(manifest::CertificateLeaf{world.now(), lost, place}.Build()));
  EXPECT_NE(Complaint(place).find(Text(lost)), std::string::npos);
  EXPECT_EQ(Complaint("people-ca"), "");
  (void)Replaced(ClientCaKind::kDevice, true);
  EXPECT_EQ(Complaint(place), "");
}

TEST_F(CaReplacementTest, TheDoctorTakesALostTableForNoOlderVersion) {
  (void)Replaced(ClientCaKind::kDevice);
  world.service.reset();
  const auto execute = [&](const std::string& statement) {
    const auto database = Must(storage::Database::Open({.url = world.config.database, .sessions = 1}));
    CHECK(database->WithTransaction([&](storage::Session& session) { return session.Execute(statement); }).has_value());
  };
  const auto first_only = [&] {
    const Json json = CheckSigner(world.config, world.clock).ToJson();
    const Json* told = json.Find("facts")->Find("device CA certificates");
    return told != nullptr && told->as_array().size() == 1;
  };
  execute("DROP TABLE client_cas");
  EXPECT_FALSE(first_only());
  EXPECT_NE(Complaint("signer"), "");
  execute("DELETE FROM schema_migrations WHERE module = 'signer-cas'");
  EXPECT_TRUE(first_only()) << "the first CA's file is the one of before";
}

TEST_F(CaReplacementTest, ACaThatHasEndedRenewsNothing) {
  const auto device = world.Enrolled("gw-1");
  world.clock.Advance(30 * kDay);
  (void)Replaced(ClientCaKind::kDevice);
  const auto old = world.core().cas().AllOf(Purpose::kDeviceCa).back();
  const auto at = [&](UnixSeconds when) {
    world.clock.Set(when);
    world.package.expires = when + 10 * kDay;
    world.Publish();
  };
  at(old.not_after() - 1);
  EXPECT_TRUE(Renew(device));
  world.clock.Set(old.not_after());
  EXPECT_REFUSED_UNCHANGED(world, Renew(device), kCertificateInvalid);
}

TEST_F(CaReplacementTest, WithoutTheKeyTheOwnerOfTheMachineSaysTheDate) {
  (void)Must(world.core().Record(
      manifest::CertificateLeaf{world.now() + 400 * kDay, crypto::HashSha256("ahead"), "person"}.Build()));
  std::filesystem::remove(KeyFile(ClientCaKind::kPeople));
  world.service.reset();
  const std::string today = manifest::BuildDateTime(world.now()).substr(0, 10);
  EXPECT_TRUE(AcceptClock(world.config, today, world.clock));
}

TEST(CaReplacement, TheFirstRegisterChangeReplacesNone) {
  OrganisationWorld world(false);
  auto change = world.MakeChange({manifest::ReplaceCa{ClientCaKind::kDevice, crypto::HashSha256("any"), false}});
  change.sequence = 1;
  Json jws = Json::MakeArray();
  for (const auto& one : world.BySecurity(change)) jws.Push(Json(one));
  const std::string file = sys::JoinPath(world.AdoptFolder(), "register-change.json");
  ASSERT_TRUE(sys::WriteFileDurably(file, AsBytes(Json::MakeObject().Set("jws", std::move(jws)).Serialize()), 0600));
  EXPECT_REFUSED(AdoptOrganisation(world.config, world.AdoptFolder(), world.clock), kInvalidArgument);
}

}  // namespace
}  // namespace fleetseal::signer::testing

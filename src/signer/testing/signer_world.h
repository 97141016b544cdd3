// A whole signer for tests: real directory, SQLite, log and sealer, made by --create and --adopt, with people and two devices.
//
// Header only, so it is compiled into tests and nothing else. Time stands still unless a test moves it. Thread rule: one thread.
#pragma once

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/random.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "jose/sjwk.h"
#include "manifest/enrolment.h"
#include "manifest/receipt.h"
#include "manifest/typ.h"
#include "pki/csr.h"
#include "sealer/seal_client.h"
#include "sealer/service.h"
#include "signer/ceremony.h"
#include "signer/service.h"
#include "signer/verbs.h"
#include "sys/testing/temp_directory.h"
#include "trust/testing/world_parts.h"

namespace fleetseal::signer::testing {

using codec::Json;
using trust::testing::Must;
using trust::testing::WorldKey;

// Refuses to write while a test says so.
class FaultLog final : public translog::LogWriter {
 public:
  FaultLog(std::unique_ptr<translog::LogWriter> inner, const bool& is_failing) : inner_(std::move(inner)), is_failing_(is_failing) {}
  void Append(Bytes leaf, Done done) override {
    if (is_failing_) return done(Fail(ErrorCode::kLogNotWritable, "the test's log is full"));
    inner_->Append(std::move(leaf), std::move(done));
  }
  merkle::Checkpoint checkpoint() const override { return inner_->checkpoint(); }
  std::string checkpoint_note() const override { return inner_->checkpoint_note(); }
  bool is_writable() const override { return inner_->is_writable(); }

 private:
  std::unique_ptr<translog::LogWriter> inner_;
  const bool& is_failing_;
};

struct WorldPerson {
  std::string id;
  WorldKey key;
};

// The device's side of one enrolment.
struct WorldDevice {
  DeviceId id;
  int64_t generation = 1;
  std::string code;
  WorldKey identity = WorldKey::Make("");
  WorldKey receipt_key = WorldKey::Make("");
  crypto::PrivateKey encryption = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  Bytes certificate;
  int64_t receipt_number = 0;
  Sha256 receipt_previous;

  Bytes Csr() const { return Must(pki::BuildCertificateRequest(*identity.signer, id.text(), {})); }
};

class SignerWorld {
 public:
  sys::TempDirectory folder;
  sys::FakeClock clock{UnixSeconds{1'800'000'000}};
  ProductName product = Must(ProductName::Parse("acme/gateway"));
  Environment environment = Must(Environment::Parse("production"));
  std::vector<WorldKey> roots{WorldKey::Make("root-1"), WorldKey::Make("root-2"), WorldKey::Make("root-3")};
  std::vector<WorldKey> security{WorldKey::Make(""), WorldKey::Make("")};
  std::map<std::string, WorldPerson> people;
  manifest::RootPackage package;
  Config config;
  bool is_log_failing = false;
  std::unique_ptr<sealer::UpdateStore> sealer_store;
  std::unique_ptr<sealer::SealerService> sealer_service;
  std::unique_ptr<SignerService> service;
  int64_t next_number = 1;
  int64_t change_sequence = 0;

  SignerWorld() {
    MakeConfig();
    const Json created = Must(CreateOrganisation(config, {{product}, crypto::SignatureAlgorithm::kEs256}, clock));
    for (const char* id : {"alice", "bob", "carol", "paul", "olga", "sam"}) people[id] = {id, WorldKey::Make("")};
    WriteAdoption(created);
    adopted = Must(AdoptOrganisation(config, AdoptFolder(), clock));
    StartSealer();
    Open();
  }
  Json adopted;

  Core& core() { return service->core(); }
  UnixSeconds now() const { return clock.Now(); }
  void Open() {
    service.reset();
    service = Must(SignerService::Open(config, clock, [this](std::unique_ptr<translog::LogWriter> writer) {
      return std::make_unique<FaultLog>(std::move(writer), is_log_failing);
    }));
  }
  std::string AdoptFolder() const { return folder.File("adopt"); }

  // Every row of every table and the size of the log: what a refusal may not change.
  std::string Dump() {
    const auto read = [](storage::Session& session) -> Result<std::string> {
      std::string text;
      TRY_ASSIGN(const auto tables, session.Query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"));
      for (const auto& table : tables) {
        TRY_ASSIGN(const auto columns, session.Query("SELECT name FROM pragma_table_info(:t)", {table.Text(0)}));
        std::string all;
        for (const auto& column : columns) all += (all.empty() ? "quote(" : " || '|' || quote(") + column.Text(0) + ")";
        TRY_ASSIGN(const auto rows, session.Query("SELECT " + all + " FROM " + table.Text(0) + " ORDER BY 1"));
        text += "== " + table.Text(0) + "\n";
        for (const auto& row : rows) text += row.Text(0) + "\n";
      }
      return text;
    };
    return Must(service->database().WithSnapshot(read)) + "log " + std::to_string(service->log().checkpoint().size);
  }

  // --- documents of people
  Bytes Nonce() { return crypto::RandomBytes(manifest::kNonceBytes); }
  std::string Number(const std::string& prefix) { return prefix + "-" + std::to_string(next_number++); }
  std::string SignAs(const WorldKey& key, std::string_view typ, const std::string& payload) const {
    return Must(jose::SignCompact(*key.signer, {key.alg(), std::string(typ), key.key().key_id(), std::nullopt}, AsBytes(payload)));
  }
  std::string SignAs(const std::string& id, std::string_view typ, const std::string& payload) const {
    return SignAs(people.at(id).key, typ, payload);
  }

  // --- register
  manifest::RegisterChange MakeChange(std::vector<manifest::Change> changes) {
    manifest::RegisterChange change;
    change.change_id = Must(ChangeId::Parse(Number("change")));
    change.changes = std::move(changes);
    change.nonce = Nonce();
    change.issued = now();
    change.sequence = change.is_devices_only() ? 0 : change_sequence + 1;
    return change;
  }
  std::vector<std::string> BySecurity(const manifest::RegisterChange& change, size_t count = 2) const {
    std::vector<std::string> jws;
    for (size_t i = 0; i < count; ++i) jws.push_back(SignAs(security[i], manifest::kTypRegisterChange, change.Build()));
    return jws;
  }
  void Change(manifest::Change one) {
    const auto change = MakeChange({std::move(one)});
    (void)Must(RegisterChange(core(), BySecurity(change)));
    change_sequence = change.sequence;
  }
  manifest::AddPerson Add(const std::string& id, std::vector<manifest::PersonRole> roles) const {
    return {Must(PersonId::Parse(id)), std::move(roles), {true, {}}, people.at(id).key.key()};
  }
  manifest::Policy MakePolicy(int64_t approvals) const {
    manifest::Policy policy;
    policy.policy_id = Must(KeyId::Parse("policy-1"));
    policy.product = product;
    policy.approvals = approvals;
    policy.environments = {environment};
    policy.review_by = now() + 1'000'000;
    return policy;
  }
  manifest::AllowDevice MakeAllow(const WorldDevice& device) const {
    const auto key = Must(manifest::DeriveEnrolmentKey(device.code, device.id));
    return {device.id, product, environment, {{"manufacturer", "acme"}, {"model", "gateway"}}, device.generation, key.public_key(), false,
            now() + 86'400};
  }

  // --- devices
  WorldDevice MakeDevice(const std::string& id) {
    WorldDevice device{.id = Must(DeviceId::Parse(id)), .generation = 1, .code = "abcdefghijklmnopqrstuvwxyz", .certificate = {},
                       .receipt_number = 0, .receipt_previous = {}};
    return device;
  }
  void Allow(const WorldDevice& device) {
    const auto change = MakeChange({MakeAllow(device)});
    (void)Must(RegisterChange(core(), {SignAs("olga", manifest::kTypRegisterChange, change.Build())}));
  }
  std::string Proof(const WorldDevice& device) const {
    manifest::DeviceKeys keys{device.id, device.generation, crypto::HashSha256(csr_of(device)), device.receipt_key.key(),
                              device.encryption.public_key(), now()};
    return ProofOf(device, keys);
  }
  std::string ProofOf(const WorldDevice& device, const manifest::DeviceKeys& keys) const {
    const manifest::Enrolment enrolment{device.id, SignAs(device.receipt_key, manifest::kTypDeviceKeys, keys.Build()), now()};
    const WorldKey code_key{"", std::make_shared<const crypto::SoftwareSigner>(Must(manifest::DeriveEnrolmentKey(device.code, device.id)))};
    return SignAs(code_key, manifest::kTypEnrolment, enrolment.Build());
  }
  // ECDSA is not deterministic: one request a device.
  const Bytes& csr_of(const WorldDevice& device) const {
    auto& csr = csrs_[device.identity.key().key_id()];
    if (csr.empty()) csr = device.Csr();
    return csr;
  }
  EnrolInput Input(const WorldDevice& device) const { return {device.id, csr_of(device), Proof(device), std::nullopt, "192.0.2.1"}; }
  WorldDevice Enrolled(const std::string& id) {
    WorldDevice device = MakeDevice(id);
    Allow(device);
    device.certificate = Must(Enrol(core(), Input(device))).certificate;
    return device;
  }
  std::string MakeReceipt(WorldDevice& device, bool is_kept = true) {
    manifest::Receipt receipt;
    receipt.device_id = device.id;
    receipt.generation = device.generation;
    receipt.number = device.receipt_number + 1;
    receipt.previous = device.receipt_previous;
    receipt.epoch = 1;
    receipt.sequence = 1;
    receipt.outcome = manifest::Outcome::kRefused;
    receipt.code = "NotCompatible";
    receipt.issued = now();
    const std::string compact = SignAs(device.receipt_key, manifest::kTypReceipt, receipt.Build());
    if (is_kept) {
      device.receipt_number = receipt.number;
      device.receipt_previous = crypto::HashSha256(compact);
    }
    return compact;
  }

  // --- updates
  std::string content = std::string(100'000, 'x') + "firmware";
  std::string MakeManifest(const std::string& version) const {
    manifest::UpdateManifest made;
    made.product = product;
    made.version = Must(manifest::UpdateVersion::Parse(version));
    made.compatibility = {{{"manufacturer", "acme"}, {"model", "gateway"}}};
    const Sha256 hash = crypto::HashSha256(content);
    const FileId id = manifest::MakeFileId("firmware.img", hash);
    made.files = {{id, "firmware.img", {content.size()}, hash, {}, {}}};
    made.steps = {{std::string(manifest::kHandlerSlot), {id}, {}}};
    made.created = {1'799'000'000};
    return made.Build();
  }
  manifest::SignRequest MakeRequest(const std::string& manifest, const std::string& requester = "alice") {
    manifest::SignRequest request;
    request.request_id = Must(RequestId::Parse(Number("request")));
    request.product = product;
    request.manifest_sha256 = crypto::HashSha256(manifest);
    request.audience = manifest::AudienceOf(config.organisation);
    request.requester = Must(PersonId::Parse(requester));
    request.nonce = Nonce();
    request.issued = now();
    request.expires = now() + 86'400;
    return request;
  }
  Result<api::signing::SubmitAnswer> Submit(const manifest::SignRequest& request, const std::string& manifest) {
    return SubmitRequest(core(), SignAs(request.requester.text(), manifest::kTypRequest, request.Build()), AsBytes(manifest));
  }
  api::signing::SubmitAnswer Submitted(const std::string& version, const std::string& requester = "alice") {
    const std::string manifest = MakeManifest(version);
    return Must(Submit(MakeRequest(manifest, requester), manifest));
  }
  manifest::Approval MakeApproval(const api::signing::SubmitAnswer& submitted, const std::string& approver) {
    manifest::Approval approval;
    approval.request_id = submitted.request_id;
    approval.typ = manifest::kTypManifest;
    approval.payload_sha256 = submitted.payload_sha256;
    approval.key_thumbprint = submitted.key_thumbprint;
    approval.policy_sha256 = submitted.policy_sha256;
    approval.approver = Must(PersonId::Parse(approver));
    approval.nonce = Nonce();
    approval.issued = now();
    approval.expires = now() + 3600;
    return approval;
  }
  std::string Signed(const manifest::Approval& approval) const {
    return SignAs(approval.approver.text(), manifest::kTypApproval, approval.Build());
  }
  Result<api::signing::ApproveAnswer> ApproveBy(const api::signing::SubmitAnswer& submitted, const std::string& approver) {
    return Approve(core(), Signed(MakeApproval(submitted, approver)));
  }
  // A signed update of that version; its manifest's hash.
  Sha256 SignedUpdate(const std::string& version) {
    const auto submitted = Submitted(version);
    (void)Must(ApproveBy(submitted, "bob"));
    CHECK(Must(ApproveBy(submitted, "carol")).state == api::signing::RequestState::kSigned);
    return crypto::HashSha256(MakeManifest(version));
  }
  Sha256 DeployableUpdate(const std::string& version) {
    const Sha256 manifest = SignedUpdate(version);
    const auto files = Must(PrepareImport(core(), manifest)).files;
    auto seal = Must(sealer::SealClient::Start(SealSocket(), {manifest, files.front().file_id, files.front().size}));
    Bytes sealed;
    CHECK(seal->Update(AsBytes(content), sealed).has_value());
    (void)Must(seal->Finish(sealed));
    (void)Must(CompleteImport(core(), manifest));
    return manifest;
  }
  manifest::Plan MakePlan(const Sha256& manifest) {
    manifest::Plan plan;
    plan.plan_id = Must(PlanId::Parse(Number("plan")));
    plan.product = product;
    plan.environment = environment;
    plan.manifest_sha256 = manifest;
    plan.count_max = 10;
    plan.operator_id = Must(PersonId::Parse("olga"));
    plan.nonce = Nonce();
    plan.issued = now();
    plan.expires = now() + 7 * 86'400;
    return plan;
  }
  std::string Signed(const manifest::Plan& plan) const { return SignAs(plan.operator_id.text(), manifest::kTypPlan, plan.Build()); }
  manifest::Revocation MakeRevocation(manifest::RevocationKind kind, manifest::RevocationAction action, const std::string& subject,
                                      const std::string& person) {
    manifest::Revocation revocation;
    revocation.revocation_id = Must(RequestId::Parse(Number("revocation")));
    revocation.kind = kind;
    revocation.action = action;
    revocation.subject = subject;
    revocation.reason = "a test";
    revocation.person = Must(PersonId::Parse(person));
    revocation.nonce = Nonce();
    revocation.issued = now();
    return revocation;
  }
  std::string Signed(const manifest::Revocation& revocation) const {
    return SignAs(revocation.person.text(), manifest::kTypRevocation, revocation.Build());
  }
  std::string SignPackage(const manifest::RootPackage& model, const std::vector<size_t>& by = {0, 1, 2}) const {
    const std::string text = manifest::BuildProtected(model);
    std::vector<manifest::PackageSignature> signatures;
    for (const size_t i : by) {
      signatures.push_back({Must(KeyId::Parse(roots[i].kid)), roots[i].alg(), Must(roots[i].signer->Sign(roots[i].alg(), AsBytes(text)))});
    }
    return manifest::AssemblePackage(text, {}, signatures);
  }
  std::string SealSocket() const { return folder.File("seal.sock"); }

 private:
  void MakeConfig() {
    config.organisation = Must(Organisation::Parse("acme"));
    config.data = folder.File("signer");
    config.database = "sqlite:" + folder.File("signer/signer.db");
    config.passphrase = folder.File("passphrase");
    config.log = folder.File("log");
    config.log_origin = "log.acme";
    config.socket = folder.File("signer.sock");
    config.wrap_socket = folder.File("wrap.sock");
    config.server_uid = geteuid();
    CHECK(sys::WriteFileDurably(config.passphrase, AsBytes("correct horse\n"), 0600).has_value());
  }
  void Write(const std::string& name, std::string_view text) const {
    CHECK(sys::WriteFileDurably(sys::JoinPath(AdoptFolder(), name), AsBytes(text), 0600).has_value());
  }
  void AddListing(const Json& key) {
    manifest::SigningKeyListing listing;
    const auto jwk = Must(jose::ParseJwk(*key.Find("jwk")));
    listing.kid = Must(KeyId::Parse(key.Find("kid")->as_string()));
    listing.thumbprint = jwk.key.thumbprint();
    listing.alg = *jwk.alg;
    const bool is_director = key.Find("role")->as_string() == "director";
    listing.role = is_director ? manifest::KeyRole::kDirector : manifest::KeyRole::kPublisher;
    if (!is_director) listing.products = {product};
    listing.not_before = now() - 3600;
    listing.not_after = now() + 30 * 86'400;
    package.signing_keys.push_back(listing);
    const std::string sjwk = Must(jose::SignSjwk(*roots[0].signer, {roots[0].kid, roots[0].alg(), jose::ModulusForm::kBase64Url},
                                                 {jwk.key, listing.kid.text(), listing.alg}));
    Write("sjwk/" + listing.kid.text() + ".jws", sjwk + "\n");
  }
  void WriteAdoption(const Json& created) {
    CHECK(sys::MakeDirectories(sys::JoinPath(AdoptFolder(), "sjwk"), 0700).has_value());
    CHECK(sys::MakeDirectories(sys::JoinPath(AdoptFolder(), "csr"), 0700).has_value());
    package.published = now() - 3600;
    package.expires = now() + 100 * 86'400;
    package.director_epoch = 1;
    package.threshold = 2;
    for (const auto& root : roots) package.root_keys_ext.push_back({Must(KeyId::Parse(root.kid)), root.key()});
    for (const Json& key : created.Find("keys")->as_array()) AddListing(key);
    manifest::PackageLog log;
    log.origin = created.Find("log")->Find("origin")->as_string();
    log.vkeys = {Must(manifest::VkeyToPackage(created.Find("log")->Find("vkey")->as_string()))};
    package.logs = {log};
    const auto der = [&](const char* name) { return Must(pki::Certificate::FromPem(created.Find("cas")->Find(name)->as_string())).der(); };
    package.server_cas = {der("server")};
    package.device_cas = {der("device")};
    Write("package.json", SignPackage(package));
    Json keys = Json::MakeArray();
    for (const auto& key : security) keys.Push(jose::BuildJwk({.key = key.key(), .kid = {}, .alg = {}}));
    Write("security.json", Json::MakeObject().Set("quorum", 2).Set("keys", std::move(keys)).Serialize());
    using enum manifest::PersonRole;
    const auto change = MakeChange({Add("alice", {kPublisher}), Add("bob", {kApprover}), Add("carol", {kApprover}),
                                    Add("paul", {kPublisher, kApprover}), Add("olga", {kOperator}), Add("sam", {kSecurity}),
                                    manifest::SetPolicy{MakePolicy(2)}});
    change_sequence = change.sequence;
    Json jws = Json::MakeArray();
    for (const auto& one : BySecurity(change)) jws.Push(Json(one));
    Write("register-change.json", Json::MakeObject().Set("jws", std::move(jws)).Serialize());
    const WorldKey server = WorldKey::Make("");
    Write("csr/server.der", AsText(Must(pki::BuildCertificateRequest(*server.signer, "server", {}))));
    Write("csr/person-olga.der", AsText(Must(pki::BuildCertificateRequest(*people.at("olga").key.signer, "olga", {}))));
    Write("server-names.json", R"({"dns":["fleet.example"],"ips":["127.0.0.1"]})");
  }
  void StartSealer() {
    CHECK(sealer::UpdateStore::Create(folder.File("sealer")).has_value());
    sealer_store = Must(sealer::UpdateStore::Open(folder.File("sealer")));
    sealer::Config options;
    options.seal_socket = SealSocket();
    options.wrap_socket = config.wrap_socket;
    options.server_uid = geteuid();
    options.signer_uid = geteuid();
    sealer_service = Must(sealer::SealerService::Start(options, *sealer_store));
  }

  mutable std::map<std::string, Bytes> csrs_;
};

// The verb refuses with that code, and not one row nor the log has changed.
#define EXPECT_REFUSED_UNCHANGED(world, expression, expected_code)                           \
  do {                                                                                       \
    const std::string before_ = (world).Dump();                                              \
    const auto outcome_ = (expression);                                                      \
    ASSERT_FALSE(outcome_.has_value()) << "was accepted";                                    \
    EXPECT_EQ(ErrorCodeName(outcome_.error().code), ErrorCodeName(ErrorCode::expected_code)) \
        << outcome_.error().ToString();                                                      \
    EXPECT_EQ(before_, (world).Dump());                                                      \
  } while (false)

}  // namespace fleetseal::signer::testing

// A whole signer and sealer for tests: real directory, SQLite and log, made by --create and --adopt.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "jose/jwk.h"
#include "jose/sjwk.h"
#include "pki/csr.h"
#include "sealer/service.h"
#include "signer/ceremony.h"
#include "signer/service.h"
#include "signer/store/testing/dump_tables.h"
#include "signer/testing/people_world.h"
#include "signer/verbs.h"

namespace fleetseal::signer::testing {

// Refuses to write, or writes and says that it could not, while a test says so.
class FaultLog final : public translog::LogWriter {
 public:
  FaultLog(std::unique_ptr<translog::LogWriter> inner, const bool& is_failing, const bool& is_answer_lost)
      : inner_(std::move(inner)), is_failing_(is_failing), is_answer_lost_(is_answer_lost) {}
  void Append(translog::LogEntry entry, Done done) override {
    if (is_failing_) return done(Fail(ErrorCode::kLogNotWritable, "the test's log is full"));
    if (!is_answer_lost_) return inner_->Append(std::move(entry), std::move(done));
    inner_->Append(std::move(entry), [done = std::move(done)](const Result<translog::Appended>&) {
      done(Fail(ErrorCode::kLogNotWritable, "the test's log cannot say what it wrote"));
    });
  }
  merkle::Checkpoint checkpoint() const override { return inner_->checkpoint(); }
  std::string checkpoint_note() const override { return inner_->checkpoint_note(); }
  bool is_writable() const override { return inner_->is_writable(); }

 private:
  std::unique_ptr<translog::LogWriter> inner_;
  const bool& is_failing_;
  const bool& is_answer_lost_;
};

class OrganisationWorld : public PeopleWorld {
 public:
  bool is_log_failing = false;
  bool is_log_answer_lost = false;
  std::unique_ptr<sealer::UpdateStore> sealer_store;
  std::unique_ptr<sealer::SealerService> sealer_service;
  std::unique_ptr<SignerService> service;
  Json adopted;

  // `is_adopted` false: created, and what is to be adopted lies in AdoptFolder().
  explicit OrganisationWorld(bool is_adopted = true) {
    MakeConfig();
    const Json created = Must(CreateOrganisation(config, {{product}, crypto::SignatureAlgorithm::kEs256}, clock));
    for (const char* id : {"alice", "bob", "carol", "paul", "olga", "sam"}) people[id] = {id, WorldKey::Make("")};
    people["tina"] = {"tina", security[0]};
    people["ugo"] = {"ugo", security[1]};
    WriteAdoption(created);
    if (!is_adopted) return;
    adopted = Must(AdoptOrganisation(config, AdoptFolder(), clock));
    StartSealer();
    Open();
  }

  Core& core() { return service->core(); }
  void Open() {
    service.reset();
    service = Must(SignerService::Open(config, clock, [this](std::unique_ptr<translog::LogWriter> writer) {
      return std::make_unique<FaultLog>(std::move(writer), is_log_failing, is_log_answer_lost);
    }));
  }
  // Every row of every table and the size of the log: what a refusal may not change.
  std::string Dump() {
    return Must(store::DumpTables(service->database())) + "log " + std::to_string(service->log().checkpoint().size);
  }
  // Three of whom two decide, and the first is revoked: her key is world.security[0].
  void RevokeTina() {
    manifest::SetSecurity team{{}, 2};
    for (const char* name : {"sam", "tina", "ugo"}) team.people.push_back(Must(PersonId::Parse(name)));
    Change(team);
    Change(manifest::RevokePerson{Must(PersonId::Parse("tina"))});
  }
  void Change(manifest::Change one) {
    const auto change = MakeChange({std::move(one)});
    (void)Must(RegisterChange(core(), BySecurity(change)));
    change_sequence = change.sequence;
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
    config.keystore_cost.n = 16;
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
    const std::string sjwk =
        Must(jose::SignSjwk(*roots[0].signer, {roots[0].kid, roots[0].alg(), jose::ModulusForm::kBase64Url},
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
    const auto der = [&](const char* name) {
      return Must(pki::Certificate::FromPem(created.Find("cas")->Find(name)->as_string())).der();
    };
    package.server_cas = {der("server")};
    package.device_cas = {der("device")};
    Write("package.json", SignPackage(package));
    Json keys = Json::MakeArray();
    for (const auto& key : security) keys.Push(jose::BuildJwk({.key = key.key(), .kid = {}, .alg = {}}));
    Write("security.json", Json::MakeObject().Set("quorum", 2).Set("keys", std::move(keys)).Serialize());
    using enum manifest::PersonRole;
    const auto change =
        MakeChange({Add("alice", {kPublisher}), Add("bob", {kApprover}), Add("carol", {kApprover}),
                    Add("paul", {kPublisher, kApprover}), Add("olga", {kOperator}), Add("sam", {kSecurity}),
                    Add("tina", {kSecurity}), Add("ugo", {kSecurity}), manifest::SetPolicy{MakePolicy(2)}});
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
};

}  // namespace fleetseal::signer::testing

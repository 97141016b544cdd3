// LabOrganisation: an organisation's CAs, identities, signed documents of people and log files, for tests of the
// server.
//
// Header only. `world` makes packages, manifests, orders. Nobody but the (scripted) signer verifies the signatures of
// people here. Thread rule: one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/signing/messages.h"
#include "manifest/person_documents.h"
#include "manifest/receipt.h"
#include "pki/chain.h"
#include "pki/issue.h"
#include "sys/clock.h"
#include "sys/testing/temp_directory.h"
#include "translog/tree_builder.h"
#include "trust/testing/test_world.h"

namespace fleetseal::server::testing {

using trust::testing::Must;
using trust::testing::WorldKey;

struct LabIdentity {
  std::string certificate_pem;
  std::string key_pem;
  Sha256 certificate_sha256;
  Sha256 key_sha256;
  std::string key_id;
};

class LabOrganisation {
 public:
  // --- identities
  LabIdentity Issue(const pki::Certificate& ca, const WorldKey& ca_key, pki::IdentityKind kind, const std::string& id,
                    int64_t ends_in_seconds = 3600) {
    const auto key = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
    pki::IssueOptions options{key.public_key(),
                              id,
                              {pki::IdentityUri(world.organisation, {kind, id})},
                              {},
                              {},
                              pki::Purpose::kClient,
                              Now() - 7200,
                              Now() + ends_in_seconds};
    const auto certificate = Must(pki::Issue(ca, *ca_key.signer, options));
    return {certificate.ToPem(), key.ToPem(), certificate.fingerprint(), key.public_key().thumbprint(),
            key.public_key().key_id()};
  }
  LabIdentity& AddPerson(const std::string& id, std::vector<manifest::PersonRole> roles) {
    LabIdentity identity = Issue(people_ca_, people_key_, pki::IdentityKind::kPerson, id);
    manifest::ProductScope scope;
    scope.products = {world.product};
    people.people.push_back({Must(PersonId::Parse(id)), std::move(roles), scope, identity.key_id, false});
    return persons[id] = identity;
  }
  LabIdentity& AddDevice(const std::string& id, api::signing::DeviceState state = api::signing::DeviceState::kActive,
                         int64_t ends_in_seconds = 3600) {
    LabIdentity identity = Issue(device_ca_, device_key_, pki::IdentityKind::kDevice, id, ends_in_seconds);
    api::signing::DeviceRow row;
    row.id = Must(DeviceId::Parse(id));
    row.state = state;
    row.generation = 2;
    row.product = world.product;
    row.environment = Must(Environment::Parse("production"));
    row.certificate_sha256 = identity.certificate_sha256;
    row.identity_key = identity.key_sha256;
    row.has_keys = true;
    devices.devices.push_back(row);
    return fleet[id] = identity;
  }

  // --- documents of people: nobody verifies their signatures here but the (scripted) signer
  std::string SignAsPerson(std::string_view typ, const std::string& payload) const {
    const jose::JwsHeader header{crypto::SignatureAlgorithm::kEs256, std::string(typ), "person-key", std::nullopt};
    return Must(jose::SignCompact(*world.publisher.signer, header, AsBytes(payload)));
  }
  std::string SignRequest(const trust::testing::Release& release, const std::string& id,
                          const std::string& requester) const {
    manifest::SignRequest request;
    request.request_id = Must(RequestId::Parse(id));
    request.product = world.product;
    request.manifest_sha256 = release.sha256();
    request.audience = manifest::AudienceOf(world.organisation);
    request.requester = Must(PersonId::Parse(requester));
    request.nonce = Bytes(manifest::kNonceBytes);
    request.issued = world.now;
    request.expires = world.now + 3600;
    return SignAsPerson(manifest::kTypRequest, request.Build());
  }
  manifest::Plan MakePlan(const trust::testing::Release& release, const std::string& id) const {
    manifest::Plan plan;
    plan.plan_id = Must(PlanId::Parse(id));
    plan.product = world.product;
    plan.environment = Must(Environment::Parse("production"));
    plan.manifest_sha256 = release.sha256();
    plan.count_max = 10;
    plan.operator_id = Must(PersonId::Parse("olga"));
    plan.nonce = Bytes(manifest::kNonceBytes);
    plan.issued = world.now;
    plan.expires = world.now + 3600;
    return plan;
  }

  void WriteLog() {
    translog::TreeBuilder tree;
    std::vector<translog::TileFile> files;
    for (uint64_t i = 0; i < world.log.size(); ++i) tree.Append(world.log.leaf(i), files);
    tree.AddPartialTiles(0, files);
    for (const auto& file : files) WriteLogFile(merkle::TilePath(file.id), AsText(file.bytes));
    WriteLogFile("checkpoint", world.CheckpointNote(world.log.size()));
  }

  trust::testing::TestWorld world;
  sys::TempDirectory directory;
  WorldKey server_key_ = WorldKey::Make("server-ca");
  WorldKey device_key_ = WorldKey::Make("device-ca");
  WorldKey people_key_ = WorldKey::Make("people-ca");
  pki::Certificate server_ca_ = MakeCa(server_key_, "server CA");
  pki::Certificate device_ca_ = MakeCa(device_key_, "acme device-ca");
  pki::Certificate people_ca_ = MakeCa(people_key_, "acme people-ca");
  api::signing::PeopleAnswer people;
  api::signing::DevicesAnswer devices;
  std::map<std::string, LabIdentity> persons;
  std::map<std::string, LabIdentity> fleet;

 protected:
  static UnixSeconds Now() { return sys::SystemClock().Now(); }
  void WriteLogFile(const std::string& name, std::string_view text) {
    const std::string path = sys::JoinPath(directory.File("log"), name);
    CHECK(sys::MakeDirectories(sys::ParentDirectory(path), 0755).has_value());
    CHECK(sys::WriteFileDurably(path, AsBytes(text), 0644).has_value());
  }
  static pki::Certificate MakeCa(const WorldKey& key, const std::string& name) {
    return Must(pki::CreateCa(*key.signer, {name, Now() - 86'400, Now() + 86'400, 0}));
  }
  // Files that the server reads, before anything starts.
  std::string PrepareFiles() {
    const auto key = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
    pki::IssueOptions options{key.public_key(),      "server",     {},          {"localhost"}, {"127.0.0.1"},
                              pki::Purpose::kServer, Now() - 3600, Now() + 3600};
    const auto certificate = Must(pki::Issue(server_ca_, *server_key_.signer, options));
    const std::map<std::string, std::string> files = {{"server.crt", certificate.ToPem()},
                                                      {"server.key", key.ToPem()},
                                                      {"server-ca.crt", server_ca_.ToPem()},
                                                      {"device.crt", device_ca_.ToPem()},
                                                      {"people.crt", people_ca_.ToPem()}};
    for (const auto& [name, text] : files)
      CHECK(sys::WriteFileDurably(directory.File(name), AsBytes(text), 0600).has_value());
    world.log.Append(R"({"type":"state","time":1})");
    return directory.File("signer.sock");
  }
};

}  // namespace fleetseal::server::testing

// ServerLab: a whole server on loopback with real TLS, real sealer and real documents; only the signer is scripted.
//
// Header only. `world` makes packages, manifests, orders; the log directory holds its log. Thread rule: one thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "api/admin/fleet.h"
#include "api/admin/requests.h"
#include "api/device/messages.h"
#include "codec/hex.h"
#include "http/client.h"
#include "manifest/person_documents.h"
#include "codec/base64.h"
#include "manifest/receipt.h"
#include "pki/chain.h"
#include "storage/database.h"
#include "pki/issue.h"
#include "sealer/service.h"
#include "sealer/wrap_client.h"
#include "server/server.h"
#include "server/testing/fake_signer.h"
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

class ServerLab {
 public:
  explicit ServerLab(std::string database = "") : signer(Prepare()), clock(world.now) {
    sealer::Config sealing;
    sealing.data = directory.File("sealer");
    sealing.seal_socket = directory.File("seal.sock");
    sealing.wrap_socket = directory.File("wrap.sock");
    sealing.server_uid = sealing.signer_uid = geteuid();
    CHECK(sealer::UpdateStore::Create(sealing.data).has_value());
    sealer_store_ = Must(sealer::UpdateStore::Open(sealing.data));
    sealer_ = Must(sealer::SealerService::Start(sealing, *sealer_store_));
    config.organisation = world.organisation;
    config.data = directory.File("server");
    config.database_url = database.empty() ? "sqlite:" + directory.File("server/server.db") : database;
    config.content = directory.File("server/content");
    config.log_directory = directory.File("log");
    config.signer_socket = directory.File("signer.sock");
    config.seal_socket = sealing.seal_socket;
    config.device.address = config.admin.address = "127.0.0.1";
    config.device.client_ca = directory.File("device.crt");
    config.device.connections_max = 100;
    config.admin.client_ca = directory.File("people.crt");
    config.tls_certificate = directory.File("server.crt");
    config.tls_private_key = directory.File("server.key");
    config.server_ca = directory.File("server-ca.crt");
    Script();
  }

  void Start() {
    server.reset();
    WriteLog();
    server = Must(Server::Start(config, clock));
  }

  // --- identities
  LabIdentity Issue(const pki::Certificate& ca, const WorldKey& ca_key, pki::IdentityKind kind, const std::string& id,
                    int64_t ends_in_seconds = 3600) {
    const auto key = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
    pki::IssueOptions options{key.public_key(), id, {pki::IdentityUri(world.organisation, {kind, id})}, {}, {},
                              pki::Purpose::kClient, Now() - 7200, Now() + ends_in_seconds};
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

  // --- requests
  std::unique_ptr<http::Client> Client(uint16_t port, const LabIdentity* identity) {
    http::ClientOptions options;
    options.base_url = "https://127.0.0.1:" + std::to_string(port);
    options.server_ca_pem = server_ca_.ToPem();
    if (identity != nullptr) options.certificate_pem = identity->certificate_pem;
    if (identity != nullptr) options.private_key_pem = identity->key_pem;
    return Must(http::Client::Create(options));
  }
  std::unique_ptr<http::Client> Person(const std::string& id) { return Client(server->admin_port(), &persons.at(id)); }
  std::unique_ptr<http::Client> Device(const std::string& id) { return Client(server->device_port(), &fleet.at(id)); }
  static http::ClientResponse Post(http::Client& client, std::string_view path, std::string body) {
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.path = path;
    request.content_type = "application/json";
    request.body = std::move(body);
    return Must(client.Do(request));
  }
  static http::ClientResponse Get(http::Client& client, std::string_view path) {
    http::ClientRequest request;
    request.path = path;
    return Must(client.Do(request));
  }
  // The code of a problem, or "200" and the like.
  static std::string CodeOf(const http::ClientResponse& response) {
    if (response.status < 400) return std::to_string(response.status);
    const auto json = codec::ParseJson(response.body);
    return json && json->Find("code") != nullptr ? json->Find("code")->as_string() : response.body;
  }
  std::string Upload(http::Client& client, const trust::testing::Release& release, const std::string& contents,
                     std::optional<std::string> file_id = std::nullopt) {
    const auto manifest = Must(manifest::UpdateManifest::Parse(release.manifest));
    http::Client::UploadRequest request;
    request.path = "/admin/v1/updates/" + codec::EncodeHex(release.sha256()) + "/files/" +
                   file_id.value_or(manifest.files[0].id.text());
    request.size = contents.size();
    size_t sent = 0;
    const auto response = client.Upload(request, [&](std::span<uint8_t> buffer) -> Result<size_t> {
      const size_t count = std::min(buffer.size(), contents.size() - sent);
      std::copy_n(contents.begin() + static_cast<std::ptrdiff_t>(sent), count, buffer.begin());
      sent += count;
      return count;
    });
    return response ? CodeOf(*response) : std::string(ErrorCodeName(response.error().code));
  }
  api::device::CheckInRequest CheckInOf(const std::string& id) const {
    api::device::CheckInRequest request;
    request.device_id = Must(DeviceId::Parse(id));
    request.generation = 2;
    request.package_version = 1;
    request.phase = "idle";
    request.agent_version = "1";
    return request;
  }

  // --- documents of people: nobody verifies their signatures here but the (scripted) signer
  std::string SignAsPerson(std::string_view typ, const std::string& payload) const {
    const jose::JwsHeader header{crypto::SignatureAlgorithm::kEs256, std::string(typ), "person-key", std::nullopt};
    return Must(jose::SignCompact(*world.publisher.signer, header, AsBytes(payload)));
  }
  std::string SignRequest(const trust::testing::Release& release, const std::string& id, const std::string& requester) const {
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

  // Tables and files, to show that a refusal changed nothing.
  std::string Dump() const {
    std::string dump;
    const auto database = Must(storage::Database::Open({.url = config.database_url, .sessions = 1}));
    for (const std::string_view sql :
         {"SELECT manifest_sha256, state, request_id FROM updates ORDER BY number",
          "SELECT manifest_sha256, file_id, COALESCE(sealed_sha256, '') FROM update_files ORDER BY manifest_sha256, file_id",
          "SELECT plan_id, state, manifest_sha256 FROM rollouts ORDER BY number",
          "SELECT plan_id, device_id, state FROM rollout_devices ORDER BY plan_id, device_id",
          "SELECT device_id, event, COALESCE(code, '') FROM timeline ORDER BY device_id, number"}) {
      const auto rows = Must(database->WithSnapshot([&](storage::Session& session) { return session.Query(sql); }));
      for (const auto& row : rows) dump += row.Text(0) + "|" + row.Text(1) + "|" + row.Text(2) + "\n";
    }
    ListTree(config.content, dump);
    return dump;
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
  pki::Certificate device_ca_ = MakeCa(device_key_, "device CA");
  pki::Certificate people_ca_ = MakeCa(people_key_, "people CA");
  std::map<Sha256, manifest::UpdateManifest> manifests;  // what the scripted signer knows
  FakeSigner signer;
  sys::FakeClock clock;
  ServerConfig config;
  api::signing::PeopleAnswer people;
  api::signing::DevicesAnswer devices;
  std::map<std::string, LabIdentity> persons;
  std::map<std::string, LabIdentity> fleet;
  std::unique_ptr<Server> server;

 private:
  static UnixSeconds Now() { return sys::SystemClock().Now(); }
  static void ListTree(const std::string& path, std::string& dump) {
    const auto names = sys::ListDirectory(path);
    if (!names) return;
    for (const std::string& name : *names) {
      const std::string below = sys::JoinPath(path, name);
      dump += below + "\n";
      if (sys::DirectoryExists(below)) ListTree(below, dump);
    }
  }
  void WriteLogFile(const std::string& name, std::string_view text) {
    const std::string path = sys::JoinPath(directory.File("log"), name);
    CHECK(sys::MakeDirectories(sys::ParentDirectory(path), 0755).has_value());
    CHECK(sys::WriteFileDurably(path, AsBytes(text), 0644).has_value());
  }
  static pki::Certificate MakeCa(const WorldKey& key, const std::string& name) {
    return Must(pki::CreateCa(*key.signer, {name, Now() - 86'400, Now() + 86'400, 0}));
  }
  // Files that the server reads, before anything starts.
  std::string Prepare() {
    const auto key = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
    pki::IssueOptions options{key.public_key(), "server", {}, {"localhost"}, {"127.0.0.1"}, pki::Purpose::kServer,
                              Now() - 3600, Now() + 3600};
    const auto certificate = Must(pki::Issue(server_ca_, *server_key_.signer, options));
    const std::map<std::string, std::string> files = {{"server.crt", certificate.ToPem()}, {"server.key", key.ToPem()},
                                                      {"server-ca.crt", server_ca_.ToPem()}, {"device.crt", device_ca_.ToPem()},
                                                      {"people.crt", people_ca_.ToPem()}};
    for (const auto& [name, text] : files) CHECK(sys::WriteFileDurably(directory.File(name), AsBytes(text), 0600).has_value());
    world.log.Append(R"({"type":"state","time":1})");
    return directory.File("signer.sock");
  }
  void Script() {
    api::signing::HelloAnswer hello{world.organisation, "", "", "", "", "", 1, "1"};
    signer.On("hello", [hello](const codec::Json&) -> Result<codec::Json> { return hello.ToJson(); });
    signer.On("people", [this](const codec::Json&) -> Result<codec::Json> { return people.ToJson(); });
    signer.On("devices", [this](const codec::Json&) -> Result<codec::Json> { return devices.ToJson(); });
    signer.On("packages", [this](const codec::Json& request) -> Result<codec::Json> {
      codec::Json packages = codec::Json::MakeArray();
      if (request.Find("from")->as_integer() <= 1) packages.Push(world.SignPackage(world.package));
      codec::Json answer = codec::Json::MakeObject();
      answer.Set("packages", std::move(packages));
      return answer;
    });
    signer.On("status", [this](const codec::Json&) -> Result<codec::Json> {
      codec::Json answer = codec::Json::MakeObject();
      answer.Set("status", world.SignStatus(world.MakeStatus()));
      return answer;
    });
    signer.On("list-requests", [](const codec::Json&) -> Result<codec::Json> {
      codec::Json answer = codec::Json::MakeObject();
      answer.Set("requests", codec::Json::MakeArray());
      return answer;
    });
    signer.On("prepare-import", [this](const codec::Json& request) { return PrepareImport(request); });
    signer.On("complete-import", [this](const codec::Json& request) { return CompleteImport(request); });
  }
  Result<codec::Json> PrepareImport(const codec::Json& request) {
    const Sha256 id = *codec::DecodeBase64UrlSha256(request.Find("manifestSha256")->as_string());
    const auto& manifest = manifests.at(id);
    api::signing::PrepareImportAnswer answer;
    std::vector<sealer::ExpectedFile> expected;
    for (const auto& file : manifest.files) {
      answer.files.push_back({file.id, file.file_name, file.sha256, file.size});
      expected.push_back({file.id, file.sha256, file.size});
    }
    sealer::WrapClient client(directory.File("wrap.sock"));
    TRY(client.Expect(id, expected));
    return answer.ToJson();
  }
  Result<codec::Json> CompleteImport(const codec::Json& request) {
    const Sha256 id = *codec::DecodeBase64UrlSha256(request.Find("manifestSha256")->as_string());
    sealer::WrapClient client(directory.File("wrap.sock"));
    TRY_ASSIGN(const auto files, client.Contents(id));
    api::signing::CompleteImportAnswer answer;
    for (const auto& file : files) answer.contents.push_back({file.file_id, file.sealed_sha256, file.sealed_size});
    return answer.ToJson();
  }

  std::unique_ptr<sealer::UpdateStore> sealer_store_;
  std::unique_ptr<sealer::SealerService> sealer_;
};

}  // namespace fleetseal::server::testing

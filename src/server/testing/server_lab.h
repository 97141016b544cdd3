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
#include "codec/base64.h"
#include "codec/hex.h"
#include "http/client.h"
#include "sealer/service.h"
#include "sealer/wrap_client.h"
#include "server/server.h"
#include "server/testing/fake_signer.h"
#include "server/testing/lab_organisation.h"
#include "storage/database.h"

namespace fleetseal::server::testing {

class ServerLab : public LabOrganisation {
 public:
  explicit ServerLab(std::string database = "") : signer(PrepareFiles()), clock(world.now) {
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

  // Tables and files, to show that a refusal changed nothing.
  std::string Dump() const {
    std::string dump;
    const auto database = Must(storage::Database::Open({.url = config.database_url, .sessions = 1}));
    for (const std::string_view sql :
         {"SELECT manifest_sha256, state, request_id FROM updates ORDER BY number",
          "SELECT manifest_sha256, file_id, COALESCE(sealed_sha256, '') FROM update_files ORDER BY manifest_sha256, "
          "file_id",
          "SELECT plan_id, state, manifest_sha256 FROM rollouts ORDER BY number",
          "SELECT plan_id, device_id, state FROM rollout_devices ORDER BY plan_id, device_id",
          "SELECT device_id, event, COALESCE(code, '') FROM timeline ORDER BY device_id, number"}) {
      const auto rows = Must(database->WithSnapshot([&](storage::Session& session) { return session.Query(sql); }));
      for (const auto& row : rows) dump += row.Text(0) + "|" + row.Text(1) + "|" + row.Text(2) + "\n";
    }
    ListTree(config.content, dump);
    return dump;
  }
  Result<codec::Json> CompleteImport(const codec::Json& request) {
    const Sha256 id = *codec::DecodeBase64UrlSha256(request.Find("manifestSha256")->as_string());
    sealer::WrapClient client(directory.File("wrap.sock"));
    TRY_ASSIGN(const auto files, client.Contents(id));
    api::signing::CompleteImportAnswer answer;
    for (const auto& file : files) answer.contents.push_back({file.file_id, file.sealed_sha256, file.sealed_size});
    return answer.ToJson();
  }
  std::map<Sha256, manifest::UpdateManifest> manifests;  // what the scripted signer knows
  FakeSigner signer;
  sys::FakeClock clock;
  ServerConfig config;
  std::unique_ptr<Server> server;

 private:
  static void ListTree(const std::string& path, std::string& dump) {
    const auto names = sys::ListDirectory(path);
    if (!names) return;
    for (const std::string& name : *names) {
      const std::string below = sys::JoinPath(path, name);
      dump += below + "\n";
      if (sys::DirectoryExists(below)) ListTree(below, dump);
    }
  }
  void Script() {
    api::signing::HelloAnswer hello{world.organisation, "", "", "", "", world.package.logs.front().origin, 1, "1", ""};
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
    signer.On("plans", [](const codec::Json&) -> Result<codec::Json> { return api::signing::PlansAnswer().ToJson(); });
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

  std::unique_ptr<sealer::UpdateStore> sealer_store_;
  std::unique_ptr<sealer::SealerService> sealer_;
};

}  // namespace fleetseal::server::testing

// EST and the smaller admin calls over TLS: status codes, media types, strictness, pages.
#include <gtest/gtest.h>

#include "crypto/signer.h"
#include "pki/csr.h"
#include "pki/est.h"
#include "server/testing/server_lab.h"

namespace fleetseal::server::testing {
namespace {

using api::signing::DeviceState;
using manifest::PersonRole;

class EdgesTest : public ::testing::Test {
 protected:
  EdgesTest() {
    lab.AddPerson("olga", {PersonRole::kOperator});
    lab.AddPerson("anna", {PersonRole::kAuditor});
    lab.AddDevice("device-1");
    lab.AddDevice("ended", DeviceState::kActive, -60);
    lab.AddDevice("gone", DeviceState::kRevoked);
    fresh = lab.AddDevice("fresh", DeviceState::kAllowed);
    auto& row = lab.devices.devices.back();
    row.certificate_sha256.reset();
    row.identity_key.reset();
    row.has_keys = false;
    const crypto::SoftwareSigner key(Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256)));
    csr = Must(pki::BuildCertificateRequest(key, "fresh", {}));
    // The scripted signer hands out the certificate made above.
    const auto answer = [this](const codec::Json& request) -> Result<codec::Json> {
      last_request = request;
      const std::string id = request.Find("deviceId")->as_string();
      return api::signing::EnrolAnswer{Must(pki::Certificate::FromPem(lab.fleet.at(id).certificate_pem)).der(), 2}
          .ToJson();
    };
    lab.signer.On("enrol", answer);
    lab.signer.On("reenrol", answer);
    lab.Start();
  }

  http::ClientResponse Est(const LabIdentity* as, const std::string& operation, const std::string& body,
                           const std::string& basic = "", const std::string& type = "application/pkcs10") {
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.path = "/.well-known/est/" + operation;
    request.content_type = type;
    request.body = body;
    if (!basic.empty()) request.headers.emplace_back("Authorization", "Basic " + codec::EncodeBase64(AsBytes(basic)));
    return Must(lab.Client(lab.server->device_port(), as)->Do(request));
  }
  std::string Person(const std::string& id, const std::string& path) {
    return ServerLab::Get(*lab.Person(id), path).body;
  }

  LabIdentity fresh;
  Bytes csr;
  std::optional<codec::Json> last_request;
  ServerLab lab;
};

TEST_F(EdgesTest, S4_4_CacertsAreForEveryone) {
  const auto nobody = lab.Client(lab.server->device_port(), nullptr);
  for (const char* path : {"/.well-known/est/cacerts", "/.well-known/est/line-1/cacerts"}) {
    const auto response = ServerLab::Get(*nobody, path);
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(response.MediaType(), "application/pkcs7-mime");
    const auto der = Must(pki::DecodeEstBody(pki::EstBody::kCertificates, response.body));
    EXPECT_EQ(Must(pki::DecodeCertsOnly(der)).size(), 2u);
  }
}

TEST_F(EdgesTest, S4_4_SimpleenrollTakesAProofOrACode) {
  const std::string body = pki::EncodeEstBody(csr);
  auto response = Est(nullptr, "simpleenroll", body, "fresh:aaa.bbb.ccc");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(last_request->Find("proof")->as_string(), "aaa.bbb.ccc");
  EXPECT_EQ(last_request->Find("code"), nullptr);
  const auto der = Must(pki::DecodeEstBody(pki::EstBody::kCertificates, response.body));
  EXPECT_EQ(Must(pki::DecodeCertsOnly(der))[0].fingerprint(), fresh.certificate_sha256);
  // The device is known at once.
  EXPECT_EQ(ServerLab::Post(*lab.Device("fresh"), api::device::kCheckInPath, lab.CheckInOf("fresh").Build()).status,
            200);
  response = Est(nullptr, "line-1/simpleenroll", body, "fresh:abcdefghijklmnopqrstuvwxyz");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(last_request->Find("code")->as_string(), "abcdefghijklmnopqrstuvwxyz");
}

TEST_F(EdgesTest, S4_4_SimpleenrollRefusesWithTheRightStatus) {
  const std::string body = pki::EncodeEstBody(csr);
  const auto missing = Est(nullptr, "simpleenroll", body);
  EXPECT_EQ(missing.status, 401);
  EXPECT_NE(missing.headers.Find("www-authenticate"), nullptr);
  EXPECT_EQ(Est(nullptr, "simpleenroll", "bm90IGEgcmVxdWVzdA==", "fresh:code").status, 400);
  EXPECT_EQ(Est(nullptr, "simpleenroll", body, "fresh:code", "text/plain").status, 415);
  EXPECT_EQ(Est(nullptr, "simpleenroll", std::string(limits::kEstBodyBytesMax + 1, 'A'), "fresh:code").status, 413);
  EXPECT_EQ(Est(nullptr, "fullcmc", body, "fresh:code").status, 404);
  EXPECT_EQ(lab.signer.calls("enrol"), 0);
  lab.signer.Refuse("enrol", ErrorCode::kEnrolmentRefused);
  EXPECT_EQ(Est(nullptr, "simpleenroll", body, "fresh:code").status, 403);
  EXPECT_EQ(ServerLab::CodeOf(
                ServerLab::Post(*lab.Device("fresh"), api::device::kCheckInPath, lab.CheckInOf("fresh").Build())),
            "DeviceUnknown");
}

TEST_F(EdgesTest, SimplereenrollTakesAnEndedCertificateOfAnActiveDevice) {
  const std::string body = pki::EncodeEstBody(csr);
  EXPECT_EQ(Est(&lab.fleet.at("ended"), "simplereenroll", body).status, 200);
  EXPECT_EQ(last_request->Find("deviceId")->as_string(), "ended");
  EXPECT_EQ(ServerLab::CodeOf(Est(&lab.fleet.at("gone"), "simplereenroll", body)), "DeviceRevoked");
  EXPECT_EQ(ServerLab::CodeOf(Est(nullptr, "simplereenroll", body)), "NotAuthenticated");
  EXPECT_EQ(lab.signer.calls("reenrol"), 1);
}

TEST_F(EdgesTest, APersonThatTheRegisterDoesNotKnowIsRefused) {
  lab.AddPerson("mallory", {PersonRole::kSecurity});
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Get(*lab.Person("mallory"), "/admin/v1/whoami")), "PersonUnknown");
  lab.people.people[0].is_revoked = true;
  ASSERT_TRUE(lab.server->Refresh().has_value());
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Get(*lab.Person("olga"), "/admin/v1/whoami")), "PersonRevoked");
  lab.people.people[1].kid = "another-key";
  ASSERT_TRUE(lab.server->Refresh().has_value());
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Get(*lab.Person("anna"), "/admin/v1/whoami")), "CertificateInvalid");
}

TEST_F(EdgesTest, GroupsAreTheOperatorsAndUnknownMembersAreRefused) {
  const auto olga = lab.Person("olga");
  const auto anna = lab.Person("anna");
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Post(*anna, "/admin/v1/groups", R"({"name":"pilot"})")), "RoleMissing");
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Post(*olga, "/admin/v1/groups", R"({"name":"pilot","color":"red"})")),
            "MemberUnknown");
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Post(*olga, "/admin/v1/groups", R"({"name":"../x"})")), "IdInvalid");
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Post(*olga, "/admin/v1/groups", R"({"name":"pilot"})")), "200");
  http::ClientRequest put;
  put.method = http::Method::kPut;
  put.path = "/admin/v1/groups/pilot/members";
  put.content_type = "application/json";
  put.body = R"({"members":["device-1","nobody"]})";
  EXPECT_EQ(ServerLab::CodeOf(Must(olga->Do(put))), "DeviceUnknown");
  put.body = R"({"members":["device-1"]})";
  EXPECT_EQ(ServerLab::CodeOf(Must(olga->Do(put))), "200");
  const auto group = Must(api::admin::GroupRow::Parse(Person("anna", "/admin/v1/groups/pilot")));
  ASSERT_EQ(group.members.size(), 1u);
  // An operator of another product takes no device in, and none out.
  lab.AddPerson("otto", {PersonRole::kOperator});
  lab.people.people.back().products.products = {Must(ProductName::Parse("acme/other"))};
  ASSERT_TRUE(lab.server->Refresh().has_value());
  const auto otto = lab.Person("otto");
  EXPECT_EQ(ServerLab::CodeOf(Must(otto->Do(put))), "RoleMissing");
  put.body = R"({"members":[]})";
  EXPECT_EQ(ServerLab::CodeOf(Must(otto->Do(put))), "RoleMissing");
  EXPECT_EQ(Must(api::admin::GroupRow::Parse(Person("anna", "/admin/v1/groups/pilot"))).members.size(), 1u);
}

TEST_F(EdgesTest, DeviceListsArePagesAndProblemsNameTheRequest) {
  const auto anna = lab.Person("anna");
  http::ClientRequest request;
  request.path = "/admin/v1/devices";
  request.query = {{"limit", "3"}};
  const auto page = Must(api::admin::DeviceList::Parse(Must(anna->Do(request)).body));
  EXPECT_EQ(page.devices.size(), 3u);
  ASSERT_TRUE(page.cursor.has_value());
  request.query.emplace_back("cursor", *page.cursor);
  const auto rest = Must(api::admin::DeviceList::Parse(Must(anna->Do(request)).body));
  EXPECT_EQ(rest.devices.size(), 1u);
  EXPECT_FALSE(rest.cursor.has_value());
  request.query = {{"limit", "1001"}};
  const auto refused = Must(anna->Do(request));
  EXPECT_EQ(refused.MediaType(), "application/problem+json");
  const auto problem = Must(codec::ParseJson(refused.body));
  EXPECT_EQ(problem.Find("code")->as_string(), "ValueOutOfRange");
  EXPECT_FALSE(problem.Find("requestId")->as_string().empty());
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Get(*anna, "/admin/v1/devices/nobody")), "NotFound");
}

TEST_F(EdgesTest, LastSeenIsShownAtOnceAndWrittenAtTheEnd) {
  ASSERT_EQ(
      ServerLab::Post(*lab.Device("device-1"), api::device::kCheckInPath, lab.CheckInOf("device-1").Build()).status,
      200);
  const auto row = Must(api::admin::DeviceRow::Parse(Person("anna", "/admin/v1/devices/device-1")));
  EXPECT_EQ(row.last_seen->value, lab.world.now.value);
  lab.Start();
  EXPECT_TRUE(Must(api::admin::DeviceRow::Parse(Person("anna", "/admin/v1/devices/device-1"))).last_seen.has_value());
}

TEST_F(EdgesTest, ASignerThatIsAwayIsSaidSo) {
  lab.signer.Refuse("list-requests", ErrorCode::kLogNotWritable);
  const auto response = ServerLab::Get(*lab.Person("anna"), "/admin/v1/requests");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ServerLab::CodeOf(response), "LogNotWritable");
  EXPECT_EQ(response.body.find("as the test says"), std::string::npos);  // details of our own machine stay here
}

TEST_F(EdgesTest, MetricsCountRequests) {
  const std::string text = Person("anna", "/metrics");
  EXPECT_NE(text.find("fleetseal_devices 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("fleetseal_check_ins_total 0\n"), std::string::npos);
}

TEST(ConfigTest, ServerTomlIsStrictAndHasDefaults) {
  const sys::TempDirectory directory;
  const std::string path = directory.File("server.toml");
  const auto load = [&](const std::string& text) {
    CHECK(sys::WriteFileDurably(path, AsBytes(text), 0600).has_value());
    return LoadServerConfig(path);
  };
  const auto config = load("organisation = \"acme\"\n[device]\nlisten = \"127.0.0.1:0\"\n");
  ASSERT_TRUE(config.has_value()) << config.error().ToString();
  EXPECT_EQ(config->device.port, 0);
  EXPECT_EQ(config->admin.port, 9443);
  EXPECT_EQ(config->check_in_seconds, 300);
  EXPECT_NE(config->database_url.find("sqlite:" + directory.path()), std::string::npos) << config->database_url;
  EXPECT_NE(config->tls_certificate.find("tls/server.crt"), std::string::npos);
  for (const char* bad :
       {"", "organisation = \"acme\"\ninsecure = true\n", "organisation = \"acme\"\n[device]\nlisten = \"x\"\n",
        "organisation = \"acme\"\n[admin]\nlisten = \"127.0.0.1:65536\"\n",
        "organisation = \"acme\"\n[tls]\nmin = \"1.0\"\n"}) {
    EXPECT_REFUSED(load(bad), kConfigInvalid);
  }
}

}  // namespace
}  // namespace fleetseal::server::testing

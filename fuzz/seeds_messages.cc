// Seeds of messages: admin API, device API, installer, signer, sealer.
#include "api/device/messages.h"
#include "api/installer/messages.h"
#include "api/signing/device_messages.h"
#include "api/signing/evidence_messages.h"
#include "api/signing/key_messages.h"
#include "api/signing/messages.h"
#include "api/signing/package_record.h"
#include "api/signing/permit_messages.h"
#include "fuzz/seeds.h"
#include "sealer/update_record.h"

namespace fleetseal::fuzz {
namespace {

const std::string kHash = "LXEWQrcmsEQBYnyp--6wzi6Rs3dHX0VKaWtgpS4fzl0";  // NOLINT
const std::string kHex(64, 'a');                                          // NOLINT

template <typename T>
T Id(std::string_view text) {
  return T::Parse(text).value();
}

std::string Row() {
  return R"("requestId":"r1","product":"acme/gateway","version":"1.2","requester":"paula","state":"waiting","manifestSha256":")" +
         kHash + R"(","approved":["anna"],"needed":2,"issued":1,"expires":2,"reason":"no")";
}

void AdminRequestSeeds(const SeedWriter& out) {
  const auto seed = [&](std::string_view parser, const std::string& text) { out.Seed("admin", parser, text); };
  const std::string keys =
      R"(,"payloadSha256":")" + kHash + R"(","keyThumbprint":")" + kHash + R"(","policySha256":")" + kHash + "\"";
  seed("whoami", R"({"id":"paula","roles":["publisher"],"products":["*"]})");
  seed("submit-request", R"({"request":"a.b.c","manifest":"e30"})");
  seed("submit-answer", R"({"requestId":"r1","payload":"{}")" + keys +
                            R"(,"approvals":1,"state":"signed","manifestSignature":"a.b.c","logIndex":4})");
  seed("approve-request", R"({"approval":"a.b.c"})");
  seed("approve-answer",
       R"({"requestId":"r1","state":"signed","approved":1,"needed":1,"manifestSignature":"a.b.c","logIndex":4})");
  seed("request-list", R"({"requests":[{)" + Row() + "}]}");
  seed("request-detail", "{" + Row() + R"(,"request":"a.b.c","payload":"{}")" + keys +
                             R"(,"policy":"{}","manifest":"e30","approvals":["a.b.c"]})");
  seed("register-change-request", R"({"jws":["a.b.c"]})");
  seed("register-change-answer", R"({"sequence":1,"changes":2})");
  seed("person-certificate-request", R"({"csr":"AAAA"})");
  seed("person-certificate-answer", R"({"id":"paula","certificate":"PEM"})");
  seed(
      "people-answer",
      R"({"people":[{"id":"paula","roles":["publisher"],"products":["*"],"kid":"k","state":"active","securityKey":true}],"policies":[{"a":1}],"sequence":3,"securityQuorum":2,"cursor":"c"})");
  seed("revocation-request", R"({"revocation":"a.b.c"})");
  seed("revocation-answer", R"({"kind":"device","subject":"d","action":"revoke"})");
  seed("package-request", R"({"package":"{}"})");
  seed("package-answer", R"({"version":2})");
  seed("audit-answer", R"({"entries":[{"index":0,"leaf":"{}"}],"size":1})");
}

void AdminFleetSeeds(const SeedWriter& out) {
  const auto seed = [&](std::string_view parser, const std::string& text) { out.Seed("admin", parser, text); };
  const std::string update =
      R"({"id":")" + kHex +
      R"(","product":"acme/gateway","version":"1.2","releaseCounter":3,"state":"signed","files":[{"fileId":"f1","fileName":"a.img","size":5,"sealedSha256":")" +
      kHash + R"(","sealedSize":61}],"requestId":"r1","created":9})";
  const std::string rollout =
      R"({"planId":"p","update":")" + kHex +
      R"(","state":"running","counts":{"waiting":1,"offered":2,"installed":3,"refused":4,"failed":5,"cancelled":6},"devices":[{"id":"d","state":"failed","code":"NoSpace"}],"cursor":"d"})";
  const std::string device =
      R"({"id":"d","state":"active","generation":1,"product":"acme/gateway","environment":"production","properties":{"model":"g1"},"hasKeys":true,"lastSeen":4,"releaseCounter":2,"manifestSha256":")" +
      kHash + R"(","phase":"idle","agentVersion":"1"})";
  const std::string group = R"({"name":"pilot","description":"x","count":1,"members":["d"]})";
  seed("update-row", update);
  seed("update-list", R"({"updates":[)" + update + R"(],"cursor":"4"})");
  seed(
      "documents-answer",
      R"({"manifest":"e30","manifestSignature":"a.b.c","packages":["{}"],"logProof":"p","checkpoint":"c","status":"a.b.c","order":"a.b.c"})");
  seed("upload-answer", R"({"sealedSha256":")" + kHash + R"(","sealedSize":61})");
  seed("plan-request", R"({"plan":"a.b.c"})");
  seed("plan-answer", R"({"planId":"p","devices":2,"bytes":3})");
  seed("start-answer", R"({"planId":"p","orders":2,"failed":[{"deviceId":"d","code":"DeviceUnknown"}]})");
  seed("rollout-row", rollout);
  seed("rollout-list", R"({"rollouts":[)" + rollout + "]}");
  seed("device-row", device);
  seed("device-list", R"({"devices":[)" + device + R"(],"cursor":"d"})");
  seed("timeline-answer", R"({"events":[{"time":1,"event":"receipt","planId":"p","manifestSha256":")" + kHash +
                              R"(","outcome":"refused","code":"NoSpace"}],"cursor":"1"})");
  seed("group-request", R"({"name":"pilot","description":"x"})");
  seed("group-members-request", R"({"members":["d"]})");
  seed("group-row", group);
  seed("group-list", R"({"groups":[)" + group + "]}");
}

void InstallerSeeds(const SeedWriter& out) {
  using namespace api::installer;
  const auto request = [&](const InstallerRequest& value, std::string_view more) {
    out.Seed("api", "installer-request", BuildInstallerRequest(value), more);
  };
  request(StateRequest{.wait_ms = 5, .phase = InstallerPhase::kHealthCheck, .acknowledged = 7}, "state");
  request(IdentifyRequest{}, "identify");
  request(AbortRequest{}, "abort");
  request(OfferContentRequest{.file_id = Id<FileId>("f1"), .sealed_sha256 = {}}, "content");
  OfferDocumentsRequest offer;
  offer.packages = {"{\"a\":\"\\n\"}"};
  offer.status = "a.b.c";
  offer.order = "a.b.c";
  offer.manifest = Bytes{0, 1, 255};
  offer.manifest_signature = "a.b.c";
  offer.log_proof = "c2sp.org/tlog-proof@v1\n";
  offer.consistency = std::vector<Sha256>(2);
  request(offer, "offer");
  InstallerState state;
  state.device_id = Id<DeviceId>("d");
  state.organisation = Id<Organisation>("acme");
  state.status = EpochNumber{1, 2};
  state.order = EpochNumber{1, 2};
  state.checkpoint = CheckpointSize{"log", 3};
  state.installed = InstalledRelease{Id<ProductName>("a/b"), 4, Sha256{}};
  state.phase = InstallerPhase::kReceiving;
  state.wanted = {{Id<FileId>("f"), Sha256{}, {9}}};
  state.receipts = {"x.y.z"};
  state.last_code = "Withdrawn";
  state.now = UnixSeconds{5};
  state.status_nonce = Bytes(16, 1);
  out.Seed("api", "installer-state", BuildStateAnswer(state));
  const OfferOutcome outcome{.accepted = {"status"},
                             .refusal = OfferRefusal{"order", ErrorCode::kWithdrawn, "why"},
                             .phase = InstallerPhase::kIdle,
                             .wanted = state.wanted};
  out.Seed("api", "installer-offer-answer", BuildOfferAnswer(outcome));
  out.Seed("api", "installer-proof-answer", BuildIdentifyAnswer("a.b.c"));
  out.Seed("api", "installer-phase-answer", BuildPhaseAnswer(InstallerPhase::kAccepted));
  out.BadSeed("api", "installer-phase-answer", BuildErrorAnswer({ErrorCode::kBusy, "later", ""}), "error");
}

void DeviceSeeds(const SeedWriter& out) {
  using namespace api::device;
  CheckInRequest request;
  request.device_id = Id<DeviceId>("device-1");
  request.generation = 2;
  request.package_version = 3;
  request.status = Numbered{1, 17};
  request.order = Numbered{1, 1'700'000'000'000};
  request.checkpoint = KnownCheckpoint{"log.example", 12};
  request.installed = Installed{Id<ProductName>("acme/gateway"), 4, {}};
  request.phase = "health-check";
  request.agent_version = "0.1.0";
  out.Seed("api", "device-check-in", request.Build());
  CheckInAnswer answer;
  answer.packages = {"{}", "{ }"};
  answer.status = "a.b.c";
  answer.order = "d.e.f";
  answer.manifest = "{\"x\":\"\xc3\xbc\"}";
  answer.manifest_signature = "g.h.i";
  answer.log_proof = "c2sp.org/tlog-proof@v1\n";
  answer.consistency = std::vector<Sha256>(3);
  out.Seed("api", "device-check-in-answer", answer.Build());
  out.Seed("api", "device-packages-answer", PackagesAnswer{{"{}"}}.Build());
  out.Seed("api", "device-status-answer", StatusAnswer{"a.b.c"}.Build());
  out.Seed("api", "device-receipts", ReceiptsRequest{{"a.b.c"}}.Build());
  ReceiptsAnswer receipts;
  receipts.results.push_back({.is_accepted = true, .code = {}, .detail = {}});
  receipts.results.push_back({.is_accepted = false, .code = "ReceiptInvalid", .detail = "number"});
  out.Seed("api", "device-receipts-answer", receipts.Build());
}

void SigningSeeds(const SeedWriter& out) {
  using namespace api::signing;
  const auto seed = [&](std::string_view parser, const auto& value) {
    out.Seed("api", parser, value.ToJson().Serialize());
  };
  const auto id = Id<RequestId>("request-1");
  const auto product = Id<ProductName>("acme/gateway");
  const auto person = Id<PersonId>("alice");
  seed("signing-submit", SubmitAnswer{id, "{}", {}, {}, {}, 2, RequestState::kSigned, "a.b.c", 7});
  seed("signing-approve", ApproveAnswer{id, RequestState::kWaiting, 1, 2, {}, {}});
  const RequestRow row{id, product, "1.0.0", person, RequestState::kRejected, {}, {person}, 2, {5}, {6}, "no"};
  seed("signing-request-row", row);
  seed("signing-request-detail", RequestDetail{row, "r", "p", {}, {}, {}, "{}", {1, 2}, {"a"}, "s", 3});
  seed("signing-change", ChangeAnswer{3, 1});
  seed("signing-person-certificate", PersonCertificateAnswer{person, "PEM"});
  seed("signing-people",
       PeopleAnswer{{{person, {manifest::PersonRole::kAuditor}, {true, {}}, "kid", true, true}}, {}, 9, 2});
  seed("signing-enrol", EnrolAnswer{{1, 2, 3}, 2});
  const DeviceRow device{Id<DeviceId>("gw-1"),
                         DeviceState::kQuarantined,
                         2,
                         product,
                         Id<Environment>("production"),
                         {{"model", "x"}},
                         Sha256{},
                         Sha256{},
                         true};
  seed("signing-devices", DevicesAnswer{{device}, "gw-1"});
  seed("signing-prepare-import", PrepareImportAnswer{{{Id<FileId>("f1"), "a.img", {}, {5}}}});
  seed("signing-complete-import", CompleteImportAnswer{{{Id<FileId>("f1"), {}, {5}}}});
  seed("signing-orders",
       OrdersAnswer{{{device.id, "a.b.c", 5, {}}, {device.id, {}, {}, Refusal(ErrorCode::kDeviceUnknown, "x")}}});
  seed("signing-plans", PlansAnswer{{{Id<PlanId>("p1"), PlanState::kPaused}}, "p1"});
  ReceiptsAnswer receipts;
  receipts.results.push_back({.is_accepted = true, .code = {}, .detail = {}});
  receipts.results.push_back({.is_accepted = false, .code = ErrorCode::kReceiptInvalid, .detail = "x"});
  seed("signing-receipts", receipts);
  seed("signing-revoke", RevokeAnswer{});
  seed("signing-log-index", LogIndexAnswer{3, "a.b.c"});
  seed("signing-hello", HelloAnswer{Id<Organisation>("acme"), "s", "d", "p", "v", "o", 1, "0.1.0", {}});
  out.Seed("api", "signing-answer", BuildOk(codec::Json(5)));
  out.BadSeed("api", "signing-answer", BuildError(ErrorCode::kSelfApproval, "x"), "error");
  out.Seed("api", "sealer-answer", BuildOk(codec::Json(5)));
}

void KeyAndPermitSeeds(const SeedWriter& out) {
  using namespace api::signing;
  const auto seed = [&](std::string_view parser, const auto& value, std::string_view more = {}) {
    out.Seed("api", parser, value.ToJson().Serialize(), more);
  };
  const auto product = Id<ProductName>("acme/gateway");
  SigningKeyRow key;
  key.kid = "publisher-1";
  key.role = "publisher";
  key.state = "ready";
  key.products = {product};
  key.alg = "ES256";
  key.jwk = codec::Json::MakeObject();
  key.change_id = "c1";
  key.log_index = 3;
  key.not_before = UnixSeconds{1};
  key.not_after = UnixSeconds{2};
  seed("signing-keys", KeysAnswer{{key}, {"the package ends soon"}, 4, {5}});
  seed("signing-resign", ResignAnswer{Sha256{}, "publisher-2", "a.b.c", 7});
  PermitRow row;
  row.permit_id = Id<PermitId>("pe1");
  row.product = product;
  row.from = {6, Sha256{}};
  row.to = {5, Sha256{}};
  row.from_version = "1.1";
  row.to_version = "1.0";
  row.device_ids = std::vector{Id<DeviceId>("d1")};
  row.requester = Id<PersonId>("alice");
  row.approved = {Id<PersonId>("bob")};
  row.needed = 2;
  row.issued = {1};
  row.expires = {2};
  row.permit_expires = {3};
  seed("signing-permit-row", row);
  PermitDetail detail;
  row.device_ids.reset();
  row.plan_id = Id<PlanId>("p1");
  row.state = RequestState::kSigned;
  detail.row = row;
  detail.request = "a.b.c";
  detail.payload = "{}";
  detail.policy = "{}";
  detail.from_manifest = Bytes{1};
  detail.to_manifest = Bytes{2};
  detail.plan = "d.e.f";
  detail.approvals = {"a.b.c"};
  detail.permit = "g.h.i";
  detail.log_index = 9;
  seed("signing-permit-detail", detail);
  seed("signing-package-record", PackageRecord{4, {}});
  const ReceiptEvidence receipt{"j.k.l", "salt", 1, {Sha256{}, Sha256{}}, 5};
  seed("signing-receipt-evidence", receipt);
  seed("signing-evidence",
       EvidenceAnswer{Bytes{1}, "a.b.c", {"d.e.f"}, "g.h.i", 3, {{"m.n.o", "p.q.r"}}, {receipt}, 2, {"{}"}});
  seed("signing-package-record", PackageRecord{4, "{}\n"}, "transcript");
}

void RecordSeeds(const SeedWriter& out) {
  sealer::UpdateRecord record;
  record.files = {{Id<FileId>("f1"), Sha256{}, {5}}};
  record.nonce = Bytes(12, 1);
  record.wrapped_key = Bytes(48, 2);
  record.sealed = {{Id<FileId>("f1"), Sha256{}, Sha256{}, {61}}};
  out.Seed("state", "update-record", record.Build());
}

}  // namespace

void WriteMessageSeeds(const SeedWriter& out) {
  AdminRequestSeeds(out);
  AdminFleetSeeds(out);
  InstallerSeeds(out);
  DeviceSeeds(out);
  SigningSeeds(out);
  KeyAndPermitSeeds(out);
  RecordSeeds(out);
}

}  // namespace fleetseal::fuzz

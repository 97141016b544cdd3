// The whole server over TLS, with a scripted signer: who is let in, what is refused, and that a refusal changes
// nothing.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <thread>

#include "server/core/device_register.h"
#include "server/testing/server_fixture.h"
#include "sys/process.h"

namespace fleetseal::server::testing {
namespace {

using api::signing::DeviceState;
using manifest::PersonRole;

TEST_F(ServerTest, S0_3_OnlyActiveDevicesAreAnswered) {
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("device-1")), "200");
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("paused")), "DeviceSuspended");
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("gone")), "DeviceRevoked");
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("ended")), "CertificateExpired");
  const auto nobody = lab.Client(lab.server->device_port(), nullptr);
  const std::string body = lab.CheckInOf("device-1").Build();
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Post(*nobody, api::device::kCheckInPath, body)), "NotAuthenticated");
}

TEST(DeviceRegister, UntilTheSignerHasToldAllDevicesNoneIsUnknown) {
  DeviceRegister devices;
  const DeviceId id = Must(DeviceId::Parse("device-1"));
  EXPECT_EQ(devices.CheckState(id).error().code, ErrorCode::kUnreachable);
  EXPECT_EQ(devices.Authenticate(id, {}, {}).error().code, ErrorCode::kUnreachable);
  devices.EndSync();
  EXPECT_EQ(devices.CheckState(id).error().code, ErrorCode::kDeviceUnknown);
  EXPECT_EQ(devices.Authenticate(id, {}, {}).error().code, ErrorCode::kDeviceUnknown);
}

TEST_F(ServerTest, S0_3_ADeviceUnknownToTheSignerIsRefused) {
  lab.AddDevice("stranger");
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("stranger")), "DeviceUnknown");
}

TEST_F(ServerTest, S0_3_ABodyThatNamesAnotherDeviceIsRefused) {
  const std::string body = lab.CheckInOf("device-2").Build();
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Post(*lab.Device("device-1"), api::device::kCheckInPath, body)),
            "DeviceIdMismatch");
}

TEST_F(ServerTest, S0_3_APersonIsNoDeviceAndADeviceNoPerson) {
  // Each listener trusts one CA: the other kind of certificate does not get past the handshake.
  const auto device = lab.Client(lab.server->admin_port(), &lab.fleet.at("device-1"));
  http::ClientRequest whoami;
  whoami.path = "/admin/v1/whoami";
  EXPECT_FALSE(device->Do(whoami).has_value());
  const auto person = lab.Client(lab.server->device_port(), &lab.persons.at("paula"));
  http::ClientRequest healthy;
  healthy.path = "/healthz";
  EXPECT_FALSE(person->Do(healthy).has_value());
}

TEST_F(ServerTest, ARevokedDeviceIsRefusedAtTheNextRequestOfTheSameConnectionAndItsOrderHasFailed) {
  StartRollout();
  lab.AddPerson("sam", {PersonRole::kSecurity});
  ASSERT_TRUE(lab.server->Refresh().has_value());
  const auto device = lab.Device("device-1");
  const std::string body = lab.CheckInOf("device-1").Build();
  ASSERT_EQ(ServerLab::Post(*device, api::device::kCheckInPath, body).status, 200);
  lab.signer.On("revoke", [](const codec::Json&) -> Result<codec::Json> {
    return api::signing::RevokeAnswer{manifest::RevocationKind::kDevice, "device-1",
                                      manifest::RevocationAction::kRevoke}
        .ToJson();
  });
  manifest::Revocation revocation;
  revocation.revocation_id = Must(RequestId::Parse("revocation-1"));
  revocation.subject = "device-1";
  revocation.action = manifest::RevocationAction::kRevoke;
  revocation.reason = "stolen";
  revocation.person = Must(PersonId::Parse("sam"));
  revocation.nonce = Bytes(manifest::kNonceBytes);
  revocation.issued = lab.world.now;
  const std::string signed_text = lab.SignAsPerson(manifest::kTypRevocation, revocation.Build());
  const auto answer =
      ServerLab::Post(*lab.Person("sam"), "/admin/v1/revocations", api::admin::RevocationRequest{signed_text}.Build());
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Post(*device, api::device::kCheckInPath, body)), "DeviceRevoked");
  EXPECT_EQ(RolloutState(), "running device-1 failed");
}

TEST_F(ServerTest, S0_3_AResumptionSentAgainWakesNoDevice) {
  // The signer answers a document that it knows as it did before, and does nothing.
  lab.signer.On("revoke", [](const codec::Json&) -> Result<codec::Json> {
    return api::signing::RevokeAnswer{manifest::RevocationKind::kDevice, "paused", manifest::RevocationAction::kResume}
        .ToJson();
  });
  lab.signer.Refuse("devices", ErrorCode::kUnreachable);
  manifest::Revocation revocation;
  revocation.revocation_id = Must(RequestId::Parse("revocation-1"));
  revocation.subject = "paused";
  revocation.action = manifest::RevocationAction::kResume;
  revocation.reason = "found";
  revocation.person = Must(PersonId::Parse("olga"));
  revocation.nonce = Bytes(manifest::kNonceBytes);
  revocation.issued = lab.world.now;
  const std::string signed_text = lab.SignAsPerson(manifest::kTypRevocation, revocation.Build());
  ASSERT_EQ(
      ServerLab::Post(*lab.Person("olga"), "/admin/v1/revocations", api::admin::RevocationRequest{signed_text}.Build())
          .status,
      200);
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("paused")), "DeviceSuspended");
}

TEST_F(ServerTest, ARegisterChangeSentAgainLeavesAnEnrolledDeviceAlone) {
  lab.signer.On("register-change", [](const codec::Json&) -> Result<codec::Json> {
    return api::signing::ChangeAnswer{0, 1}.ToJson();
  });
  manifest::RegisterChange change;
  change.change_id = Must(ChangeId::Parse("change-1"));
  change.nonce = Bytes(manifest::kNonceBytes);
  change.issued = lab.world.now;
  const auto send = [&](int64_t generation) {
    const auto key = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kEd25519));
    change.changes = {manifest::AllowDevice{Must(DeviceId::Parse("device-1")),
                                            lab.world.product,
                                            Must(Environment::Parse("production")),
                                            {},
                                            generation,
                                            key.public_key(),
                                            false,
                                            lab.world.now + 3600}};
    api::admin::RegisterChangeRequest body;
    body.jws = {lab.SignAsPerson(manifest::kTypRegisterChange, change.Build())};
    return ServerLab::CodeOf(ServerLab::Post(*lab.Person("olga"), "/admin/v1/register-changes", body.Build()));
  };
  for (const int64_t generation : {1, 2}) {
    ASSERT_EQ(send(generation), "200");
    EXPECT_EQ(ServerLab::CodeOf(CheckIn("device-1")), "200") << "it is of generation 2";
  }
  ASSERT_EQ(send(3), "200");
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("device-1")), "DeviceUnknown") << "it must enrol anew";
}

TEST_F(ServerTest, ACheckInSendsWhatTheDeviceLacks) {
  auto request = lab.CheckInOf("device-1");
  request.package_version = 0;
  const auto device = lab.Device("device-1");
  auto answer = Must(
      api::device::CheckInAnswer::Parse(ServerLab::Post(*device, api::device::kCheckInPath, request.Build()).body));
  EXPECT_EQ(answer.packages.size(), 1u);
  ASSERT_TRUE(answer.status.has_value());
  EXPECT_FALSE(answer.order.has_value());
  EXPECT_EQ(answer.next_check_in_seconds, 300);
  const auto jws = Must(jose::UnverifiedJws::Parse(*answer.status));
  const auto status = Must(manifest::StatusDocument::Parse(AsText(jws.unverified_payload())));
  request.package_version = 1;
  request.status = api::device::Numbered{status.epoch, status.version};
  answer = Must(
      api::device::CheckInAnswer::Parse(ServerLab::Post(*device, api::device::kCheckInPath, request.Build()).body));
  EXPECT_TRUE(answer.packages.empty());
  EXPECT_FALSE(answer.status.has_value());
}

TEST_F(ServerTest, S0_5_AnUnsignedUpdateTakesNoContentAndNoPlan) {
  ASSERT_EQ(Submit(draft, "request-2"), "200");
  const std::string before = lab.Dump();
  EXPECT_EQ(lab.Upload(*lab.Person("paula"), draft, "contents"), "UpdateNotSigned");
  EXPECT_EQ(Plan(draft), "UpdateNotSigned");
  EXPECT_EQ(Plan(release), "UpdateNotSigned");  // nobody has submitted it
  EXPECT_EQ(lab.Dump(), before);
  EXPECT_EQ(lab.signer.calls("plan"), 0);
}

TEST_F(ServerTest, ASignedUpdateWithoutContentTakesNoPlan) {
  ASSERT_EQ(Submit(release, "request-1"), "200");
  EXPECT_EQ(Plan(release), "UpdateNotDeployable");
}

TEST_F(ServerTest, S1_6_ContentOfAnotherSizeOrHashLeavesNothing) {
  ASSERT_EQ(Submit(release, "request-1"), "200");
  const std::string before = lab.Dump();
  const auto paula = lab.Person("paula");
  EXPECT_EQ(lab.Upload(*paula, release, "contents and more"), "FileTooLarge");
  EXPECT_EQ(lab.Upload(*paula, release, "short"), "FileHashMismatch");
  EXPECT_EQ(lab.Upload(*paula, release, "Contents"), "FileHashMismatch");
  EXPECT_EQ(lab.Upload(*paula, release, "contents", "f0123456789abcdef"), "FileNotInManifest");
  EXPECT_EQ(lab.Upload(*paula, draft, "contents"), "FileNotInManifest");
  EXPECT_EQ(lab.Upload(*lab.Person("olga"), release, "contents"), "RoleMissing");
  EXPECT_EQ(lab.Dump(), before);
  EXPECT_EQ(ShowUpdate(release).state, "signed");
}

TEST_F(ServerTest, AVersionRefusedAsKnownIsSeenEvenWhenItsOwnAnswerWasLost) {
  api::signing::RequestDetail known;
  known.row.request_id = Must(RequestId::Parse("request-1"));
  known.row.product = lab.manifests.at(draft.sha256()).product;
  known.row.version = lab.manifests.at(draft.sha256()).version.text();
  known.row.requester = Must(PersonId::Parse("paula"));
  known.row.manifest_sha256 = draft.sha256();
  known.row.needed = 1;
  known.row.issued = lab.world.now;
  known.row.expires = lab.world.now + 600;
  known.manifest = Bytes(AsBytes(draft.manifest).begin(), AsBytes(draft.manifest).end());
  lab.signer.On("list-requests", [&](const codec::Json&) -> Result<codec::Json> {
    codec::Json answer = codec::Json::MakeObject();
    codec::Json rows = codec::Json::MakeArray();
    rows.Push(known.row.ToJson());
    answer.Set("requests", std::move(rows));
    return answer;
  });
  lab.signer.On("show-request", [&](const codec::Json&) -> Result<codec::Json> { return known.ToJson(); });
  lab.signer.Refuse("submit-request", ErrorCode::kVersionExists);
  EXPECT_EQ(Submit(draft, "request-2"), "VersionExists");
  const auto row = ShowUpdate(draft);
  EXPECT_EQ(row.request_id.text() + " " + row.state, "request-1 submitted");
}

TEST_F(ServerTest, AnUploadIsSealedAndMakesTheUpdateDeployable) {
  MakeDeployable();
  const std::string before = lab.Dump();
  EXPECT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "200");  // again: the same answer
  EXPECT_EQ(lab.Dump(), before);
  EXPECT_GT(sealed_size.value, std::string_view("contents").size());
}

TEST_F(ServerTest, AWithdrawnManifestTakesNoContent) {
  ASSERT_EQ(Submit(release, "request-1"), "200");
  lab.signer.On("status", [this](const codec::Json&) -> Result<codec::Json> {
    auto status = lab.world.MakeStatus();
    status.withdrawn = {release.sha256()};
    codec::Json answer = codec::Json::MakeObject();
    answer.Set("status", lab.world.SignStatus(status));
    return answer;
  });
  ASSERT_TRUE(lab.server->Refresh().has_value());
  EXPECT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "Withdrawn");
}

TEST_F(ServerTest, ASignerThatWaitsForThePackageOfItsNewLogKeepsNobodyOut) {
  StartRollout();
  const auto signer_writes = [this](const std::string& origin) {
    const api::signing::HelloAnswer hello{lab.world.organisation, "", "", "", "", origin, 1, "1", ""};
    lab.signer.On("hello", [hello](const codec::Json&) -> Result<codec::Json> { return hello.ToJson(); });
  };
  lab.signer.Refuse("log-index", ErrorCode::kLogProofMissing);  // the new log has no record of it yet
  signer_writes("log.acme.2");
  ASSERT_TRUE(lab.server->Refresh().has_value()) << "people and packages are refreshed";
  EXPECT_EQ(lab.signer.calls("log-index"), 0);
  EXPECT_FALSE(IsOffered());
  signer_writes(lab.world.package.logs.front().origin);
  ASSERT_TRUE(lab.server->Refresh().has_value());
  EXPECT_TRUE(IsOffered());
}

TEST_F(ServerTest, AnOrderIsOfferedWithItsProofsUntilItIsInstalled) {
  StartRollout();
  const auto answer = Must(api::device::CheckInAnswer::Parse(CheckIn("device-1").body));
  ASSERT_TRUE(answer.order && answer.manifest && answer.manifest_signature && answer.log_proof && answer.consistency);
  // What a device decides over exactly this answer.
  auto profile = lab.world.device;
  const trust::OrderDocuments documents{*answer.order, *answer.manifest, *answer.manifest_signature, *answer.log_proof,
                                        *answer.consistency};
  const auto verified = trust::VerifyManifest(lab.world.Context(), documents.manifest, documents.manifest_signature);
  ASSERT_TRUE(verified.has_value()) << verified.error().ToString();
  EXPECT_TRUE(
      trust::AcceptLogged(lab.world.Ready(), *verified, documents.log_proof, documents.consistency).has_value());
  EXPECT_EQ(RolloutState(), "running device-1 offered");
  EXPECT_EQ(ResultOf("device-1", ReceiptOf("device-2", manifest::Outcome::kInstalled)), "final DeviceIdMismatch");
  EXPECT_EQ(RolloutState(), "running device-1 offered");
  last_order->order_id = Must(jose::UnverifiedJws::Parse(*answer.order).and_then([](const auto& jws) {
                           return manifest::Order::Parse(AsText(jws.unverified_payload()));
                         })).order_id;
  EXPECT_EQ(SendReceipt("device-1", ReceiptOf("device-1", manifest::Outcome::kInstalled)), "200");
  EXPECT_EQ(RolloutState(), "running device-1 installed");
  const auto shown = ServerLab::Get(*lab.Person("anna"), "/admin/v1/devices/device-1");
  EXPECT_NE(shown.body.find(R"("releaseCounter":77,)"), std::string::npos) << "before its next check-in";
  EXPECT_FALSE(Must(api::device::CheckInAnswer::Parse(CheckIn("device-1").body)).order.has_value());
}

TEST_F(ServerTest, AnOrderDoesNotWaitForStatusesThatAnybodyAsksFor) {
  StartRollout();
  std::promise<void> is_asked;
  std::promise<void> may_answer;
  const auto released = may_answer.get_future().share();
  bool is_first = true;
  lab.signer.On("status", [&, released](const codec::Json&) -> Result<codec::Json> {
    if (std::exchange(is_first, false)) is_asked.set_value();
    released.wait();
    return Fail(ErrorCode::kBusy, "slow");
  });
  std::vector<std::thread> strangers;
  for (int i = 0; i < 4; ++i) {
    strangers.emplace_back([this] {
      const auto nobody = lab.Client(lab.server->device_port(), nullptr);
      http::ClientRequest request;
      request.path = std::string(api::device::kStatusPath);
      request.query = {{"nonce", "AAAA"}};
      EXPECT_GE(Must(nobody->Do(request)).status, 400);
    });
  }
  is_asked.get_future().wait();
  EXPECT_TRUE(Must(api::device::CheckInAnswer::Parse(CheckIn("device-1").body)).order.has_value());
  may_answer.set_value();
  for (auto& stranger : strangers) stranger.join();
}

TEST_F(ServerTest, S0_3_ContentIsForTheDeviceWhoseOrderNamesIt) {
  StartRollout();
  const std::string path = std::string(api::device::kContentPrefix) + codec::EncodeHex(sealed);
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Get(*lab.Device("device-2"), path)), "PermissionDenied");
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Get(*lab.Device("paused"), path)), "DeviceSuspended");
  const auto response = ServerLab::Get(*lab.Device("device-1"), path);
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(crypto::HashSha256(response.body), sealed);
}

TEST_F(ServerTest, AQuarantinedDeviceIsRefusedFromItsReceiptOn) {
  StartRollout();
  lab.signer.On("receipts", [this](const codec::Json&) -> Result<codec::Json> {
    lab.devices.devices[0].state = DeviceState::kQuarantined;
    api::signing::ReceiptsAnswer answer;
    answer.results = {{false, false, ErrorCode::kReceiptInvalid, "two receipts with one predecessor"}};
    return answer.ToJson();
  });
  EXPECT_EQ(SendReceipt("device-1", ReceiptOf("device-1", manifest::Outcome::kInstalled)), "200");
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("device-1")), "DeviceQuarantined");
  EXPECT_EQ(RolloutState(), "running device-1 waiting");
}

TEST_F(ServerTest, APausedRolloutOffersAndServesNothingUntilItIsResumed) {
  StartRollout();
  EXPECT_EQ(FetchContent(), "200");
  EXPECT_EQ(DecidePlan(manifest::RevocationAction::kSuspend), "200");
  EXPECT_FALSE(IsOffered());
  const auto started = ServerLab::Post(*lab.Person("olga"), "/admin/v1/rollouts/plan-1/start", "{}");
  EXPECT_EQ(ServerLab::CodeOf(started), "PlanPaused");
  lab.signer.On("plans", [](const codec::Json&) -> Result<codec::Json> {
    api::signing::PlansAnswer answer;
    answer.plans = {{Must(PlanId::Parse("plan-1")), api::signing::PlanState::kPaused}};
    return answer.ToJson();
  });
  lab.Start();
  EXPECT_EQ(FetchContent(), "PlanPaused") << "after a restart too";
  EXPECT_EQ(DecidePlan(manifest::RevocationAction::kResume), "200");
  EXPECT_TRUE(IsOffered());
  EXPECT_EQ(FetchContent(), "200");
}

TEST_F(ServerTest, ACancelIsOfferedUntilItsReceiptAndMadeUpForAfterAnInterruption) {
  StartRollout();
  lab.signer.Refuse("cancel-orders", ErrorCode::kLogNotWritable);
  EXPECT_EQ(DecidePlan(manifest::RevocationAction::kCancel), "200");
  EXPECT_EQ(RolloutState(), "cancelling device-1 waiting");
  EXPECT_EQ(FetchContent(), "OrderCancelled") << "at once, with or without the cancel order";
  EXPECT_FALSE(IsOffered());
  ScriptCancelOrders();
  lab.Start();
  EXPECT_TRUE(IsOffered());
  EXPECT_TRUE(IsOffered()) << "again, until the device says what became of it";
  EXPECT_EQ(ResultOf("device-1", ReceiptOf("device-1", manifest::Outcome::kCancelled)), "accepted");
  EXPECT_EQ(RolloutState(), "cancelling device-1 cancelled") << "the other device has not answered";
  EXPECT_FALSE(IsOffered());
}

TEST_F(ServerTest, ACancelThatComesTooLateIsTold) {
  StartRollout();
  ScriptCancelOrders();
  const auto offered = Must(api::device::CheckInAnswer::Parse(CheckIn("device-1").body));
  const auto jws = Must(jose::UnverifiedJws::Parse(*offered.order));
  const OrderId order = Must(manifest::Order::Parse(AsText(jws.unverified_payload()))).order_id;
  EXPECT_EQ(DecidePlan(manifest::RevocationAction::kCancel), "200");
  const auto row =
      Must(api::admin::RolloutRow::Parse(ServerLab::Get(*lab.Person("anna"), "/admin/v1/rollouts/plan-1").body));
  EXPECT_EQ(row.state, "cancelling");
  last_order->order_id = order;
  EXPECT_EQ(ResultOf("device-1", ReceiptOf("device-1", manifest::Outcome::kInstalled)), "accepted");
  EXPECT_EQ(RolloutState(), "cancelling device-1 installed");
  EXPECT_FALSE(IsOffered());
}

TEST_F(ServerTest, WhatARevokedDeviceHadOpenHasFailedAfterARestartToo) {
  StartRollout();
  lab.devices.devices[0].state = DeviceState::kRevoked;
  lab.Start();
  EXPECT_EQ(RolloutState(), "running device-1 failed") << "the other device is still out";
}

TEST_F(ServerTest, AReceiptRefusedForGoodIsFinalAndOneThatFailsHereIsNot) {
  StartRollout();
  lab.signer.On("receipts", [](const codec::Json&) -> Result<codec::Json> {
    api::signing::ReceiptsAnswer answer;
    answer.results = {{false, true, ErrorCode::kReceiptInvalid, "of another key"}};
    return answer.ToJson();
  });
  EXPECT_EQ(ResultOf("device-1", ReceiptOf("device-1", manifest::Outcome::kInstalled)), "final ReceiptInvalid");
  EXPECT_EQ(ResultOf("device-1", "a.b.c").substr(0, 6), "final ");
  lab.signer.Refuse("receipts", ErrorCode::kLogNotWritable);
  EXPECT_EQ(SendReceipt("device-1", ReceiptOf("device-1", manifest::Outcome::kInstalled)), "LogNotWritable")
      << "nothing is acknowledged while the signer cannot record";
}

TEST_F(ServerTest, ADeviceThatSendsReceiptsWithoutEndIsHeldBack) {
  StartRollout();
  const std::string receipt = ReceiptOf("device-1", manifest::Outcome::kInstalled);
  const std::string many =
      api::device::ReceiptsRequest{std::vector<std::string>(api::device::kReceiptsMax, receipt)}.Build();
  const auto send = [&] {
    return ServerLab::CodeOf(ServerLab::Post(*lab.Device("device-1"), api::device::kReceiptsPath, many));
  };
  EXPECT_EQ(send(), "200");
  EXPECT_EQ(send(), "200");
  const int asked = lab.signer.calls("receipts");
  EXPECT_EQ(send(), "LimitExceeded");
  EXPECT_EQ(lab.signer.calls("receipts"), asked);
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("device-1")), "200") << "of receipts only";
}

TEST_F(ServerTest, S0_22_DownloadsAreEventsWithActorOriginUpdateAndHash) {
  StartRollout();
  ASSERT_EQ(FetchContent(), "200");
  const auto query = [&](const std::vector<std::pair<std::string, std::string>>& filter) {
    http::ClientRequest request;
    request.path = "/admin/v1/events";
    request.query = filter;
    return Must(api::admin::TimelineAnswer::Parse(Must(lab.Person("anna")->Do(request)).body)).events;
  };
  const auto ordered = query({{"device", "device-1"}, {"event", "ordered"}});
  const auto started = query({{"event", "download-started"}, {"hash", codec::EncodeHex(release.sha256())}});
  ASSERT_EQ(ordered.size() + started.size(), 2u);
  EXPECT_EQ(*ordered[0].actor + *ordered[0].origin + *started[0].actor, "olga127.0.0.1device-1");
  EXPECT_EQ(started[0].content_sha256, sealed);
  lab.Start();  // stopped first: its tasks end
  EXPECT_EQ(query({{"event", "download-finished"}, {"actor", "device-1"}}).size(), 1u);
  EXPECT_TRUE(query({{"actor", "nobody"}}).empty());
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Get(*lab.Person("paula"), "/admin/v1/events")), "RoleMissing");
}

TEST_F(ServerTest, PendingOrdersSurviveARestart) {
  StartRollout();
  lab.Start();
  EXPECT_TRUE(Must(api::device::CheckInAnswer::Parse(CheckIn("device-1").body)).order.has_value());
}

TEST_F(ServerTest, S0_2_PlainHttpAndOldTlsAreNotAnswered) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(lab.server->device_port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[512];
  for (ssize_t count = 0; (count = recv(fd, buffer, sizeof(buffer), 0)) > 0;)
    answer.append(buffer, static_cast<size_t>(count));
  close(fd);
  EXPECT_EQ(answer.find("HTTP/"), std::string::npos);
  sys::SpawnOptions options;
  options.program = "/usr/bin/openssl";
  options.environment = {"PATH=/usr/bin:/bin"};
  options.arguments = {"s_client", "-connect", "127.0.0.1:" + std::to_string(lab.server->device_port()),
                       "-tls1_1",  "-cipher",  "ALL:@SECLEVEL=0"};
  EXPECT_FALSE(Must(sys::RunProgram(options, 20'000)).exit.is_success());
  options.arguments = {"s_client", "-connect", "127.0.0.1:" + std::to_string(lab.server->device_port()), "-tls1_3"};
  EXPECT_TRUE(Must(sys::RunProgram(options, 20'000)).exit.is_success());  // the same with TLS 1.3 goes well
}

TEST_F(ServerTest, ASecondServerOnTheSameDirectoryIsRefused) {
  EXPECT_REFUSED(Server::Start(lab.config, lab.clock), kBusy);
}

TEST_F(ServerTest, ASignerOfAnotherOrganisationEndsTheStart) {
  lab.server.reset();
  lab.config.organisation = Must(Organisation::Parse("other"));
  EXPECT_REFUSED(Server::Start(lab.config, lab.clock), kConfigInvalid);
}

TEST_F(ServerTest, TheLogAndTheAuditListAreReadable) {
  const auto nobody = lab.Client(lab.server->device_port(), nullptr);
  EXPECT_EQ(ServerLab::Get(*nobody, "/log/checkpoint").status, 200);
  EXPECT_EQ(ServerLab::Get(*nobody, "/log/tile/0/000.p/3").status, 200);
  EXPECT_EQ(ServerLab::Get(*nobody, "/log/tile/0/999").status, 404);
  EXPECT_EQ(ServerLab::Get(*nobody, "/log/lock").status, 404);
  const auto audit = Must(api::admin::AuditAnswer::Parse(ServerLab::Get(*lab.Person("anna"), "/admin/v1/audit").body));
  EXPECT_EQ(audit.size, 3);
  EXPECT_EQ(audit.entries.size(), 3u);
  EXPECT_EQ(ServerLab::CodeOf(ServerLab::Get(*lab.Person("olga"), "/admin/v1/audit")), "RoleMissing");
}

}  // namespace
}  // namespace fleetseal::server::testing

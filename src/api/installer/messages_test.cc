#include "api/installer/messages.h"

#include <gtest/gtest.h>

namespace fleetseal::api::installer {
namespace {

template <typename T>
T Again(const T& request) {
  const auto parsed = ParseInstallerRequest(BuildInstallerRequest(request));
  EXPECT_TRUE(parsed.has_value());
  return std::get<T>(*parsed);
}

TEST(InstallerMessages, RequestsReadBackAsTheyWereWritten) {
  const auto state = Again(StateRequest{.wait_ms = 5, .phase = InstallerPhase::kHealthCheck, .acknowledged = 7});
  EXPECT_EQ(state.wait_ms, 5);
  EXPECT_EQ(state.phase, InstallerPhase::kHealthCheck);
  EXPECT_EQ(state.acknowledged, 7);
  OfferDocumentsRequest offer;
  offer.packages = {"{\"a\":\"\\n\"}"};
  offer.order = "a.b.c";
  offer.manifest = Bytes{0, 1, 255};
  offer.consistency = std::vector<Sha256>(2);
  const auto read = Again(offer);
  EXPECT_EQ(read.packages, offer.packages);
  EXPECT_EQ(read.order, offer.order);
  EXPECT_EQ(read.manifest, offer.manifest);
  EXPECT_EQ(read.consistency, offer.consistency);
  EXPECT_FALSE(read.status);
}

TEST(InstallerMessages, AnswersReadBackAsTheyWereWritten) {
  InstallerState state;
  state.device_id = DeviceId::Parse("d").value();
  state.organisation = Organisation::Parse("acme").value();
  state.order = EpochNumber{1, 2};
  state.checkpoint = CheckpointSize{"log", 3};
  state.installed = InstalledRelease{ProductName::Parse("a/b").value(), 4, Sha256{}};
  state.phase = InstallerPhase::kReceiving;
  state.wanted = {{FileId::Parse("f").value(), Sha256{}, {9}}};
  state.receipts = {"x.y.z"};
  state.last_code = "Withdrawn";
  state.status_nonce = Bytes(16, 1);
  state.server_cas = {Bytes{0x30, 0x00}, Bytes(kServerCaBytesMax, 7)};
  state.alarms = {{"status-expired", "words", {77}}, {"package-ends", "more", {78}}};
  const auto read = StateFromAnswer(BuildStateAnswer(state)).value();
  EXPECT_EQ(read.alarms, state.alarms);
  EXPECT_EQ(BuildStateAnswer(read), BuildStateAnswer(state));
  EXPECT_EQ(read.wanted, state.wanted);
  EXPECT_EQ(read.server_cas, state.server_cas);
  state.server_cas = {Bytes()};
  EXPECT_EQ(StateFromAnswer(BuildStateAnswer(state)).error().code, ErrorCode::kValueOutOfRange);
  state.server_cas = {Bytes(kServerCaBytesMax + 1, 7)};
  EXPECT_EQ(StateFromAnswer(BuildStateAnswer(state)).error().code, ErrorCode::kValueOutOfRange);
  state.server_cas.clear();
  state.alarms.assign(kAlarmsMax + 1, state.alarms[0]);
  EXPECT_EQ(StateFromAnswer(BuildStateAnswer(state)).error().code, ErrorCode::kValueOutOfRange);
  OfferOutcome outcome{.accepted = {"status"},
                       .refusal = OfferRefusal{"order", ErrorCode::kWithdrawn, "why"},
                       .phase = InstallerPhase::kIdle,
                       .wanted = {}};
  EXPECT_EQ(BuildOfferAnswer(OfferFromAnswer(BuildOfferAnswer(outcome)).value()), BuildOfferAnswer(outcome));
}

TEST(InstallerMessages, ErrorAnswersAreErrorsOfEveryVerb) {
  const std::string answer = BuildErrorAnswer({ErrorCode::kBusy, "later", ""});
  EXPECT_EQ(StateFromAnswer(answer).error().code, ErrorCode::kBusy);
  EXPECT_EQ(PhaseFromAnswer(answer).error().code, ErrorCode::kBusy);
  EXPECT_EQ(PhaseFromAnswer(R"({"error":{"code":"NoSuch","detail":""}})").error().code, ErrorCode::kProtocolError);
}

}  // namespace
}  // namespace fleetseal::api::installer

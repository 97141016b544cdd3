#include "installer/core/machine.h"

#include <gtest/gtest.h>

#include "installer/testing/lab.h"
#include "manifest/enrolment.h"

namespace fleetseal::installer {
namespace {

using testing::Contents;
using testing::Lab;
using testing::Must;
using testing::Release;

constexpr size_t kImageBytes = 150'000;

// Code of the refusal, kInternal for none.
ErrorCode RefusalOf(const Result<wire::OfferOutcome>& outcome) {
  return outcome && outcome->refusal ? outcome->refusal->code : ErrorCode::kInternal;
}

TEST(Machine, S1_15_InstallsOnlyAfterVerificationAndLeavesASignedReceipt) {
  Lab lab;
  lab.Ready();
  const std::string contents = Contents(kImageBytes);
  const Release release = lab.SlotRelease(3, contents);
  const auto offer = lab.Offer(release, lab.MakeOrder(release, {contents}));
  const auto outcome = Must(lab.machine->OfferDocuments(offer));
  ASSERT_FALSE(outcome.refusal);
  EXPECT_EQ(outcome.phase, Phase::kAccepted);
  ASSERT_EQ(outcome.wanted.size(), 1u);
  EXPECT_EQ(lab.BootText("active"), "a\n");
  EXPECT_EQ(Must(lab.Send(outcome.wanted[0])), Phase::kInstalled);
  EXPECT_EQ(lab.BootText("next"), "a\n");
  ASSERT_TRUE(lab.Advance());
  EXPECT_EQ(lab.SlotText('b'), contents);
  EXPECT_EQ(lab.BootText("active"), "b\n");
  EXPECT_EQ(lab.BootText("state-b"), "good\n");
  const auto state = Must(lab.machine->State({}));
  EXPECT_EQ(state.phase, Phase::kIdle);
  ASSERT_TRUE(state.installed);
  EXPECT_EQ(state.installed->release_counter, 3);
  EXPECT_FALSE(state.last_code);
  const auto receipts = lab.Receipts();
  ASSERT_EQ(receipts.size(), 1u);
  EXPECT_EQ(receipts[0].outcome, manifest::Outcome::kInstalled);
  EXPECT_EQ(receipts[0].manifest_sha256, release.sha256());
  EXPECT_EQ(receipts[0].publisher_key, lab.world.publisher.key().thumbprint());
  EXPECT_EQ(receipts[0].director_key, lab.world.director.key().thumbprint());
  EXPECT_TRUE(receipts[0].phases.contains("committed"));
  const auto jws = Must(jose::UnverifiedJws::Parse(state.receipts[0]));
  const auto keys = Must(DeviceKeyring::Open(lab.config.state_directory));
  EXPECT_TRUE(jws.Verify(keys->receipt().public_key(), crypto::SignatureAlgorithm::kEs256));
}

TEST(Machine, S1_25_LogsRootSigningKeyAndManifestInTheOrderOfTheChecks) {
  Lab lab;
  lab.Ready();
  lab.lines.clear();
  lab.Install(3, Contents(100));
  std::vector<std::string> events;
  for (const std::string& line : lab.lines)
    events.push_back(Must(codec::ParseJson(line.substr(0, line.size() - 1))).Find("event")->as_string());
  const std::vector<std::string> begin(events.begin(), events.begin() + 3);
  EXPECT_EQ(begin, (std::vector<std::string>{"order.verified", "manifest.verified", "order.accepted"}));
  EXPECT_TRUE(lab.HasLine("\"rootKey\":\"root-1\",\"signingKey\":\"publisher-1\""));
}

TEST(Machine, SecondUpdateGoesToTheOtherSlotAndReceiptsChain) {
  Lab lab;
  lab.Ready();
  lab.Install(3, Contents(1000, 'b'));
  lab.Install(4, Contents(2000, 'c'));
  EXPECT_EQ(lab.BootText("active"), "a\n");
  EXPECT_EQ(lab.SlotText('a'), Contents(2000, 'c'));
  EXPECT_EQ(lab.SlotText('b'), Contents(1000, 'b'));
  const auto compact = Must(lab.machine->State({})).receipts;
  const auto receipts = lab.Receipts();
  ASSERT_EQ(receipts.size(), 2u);
  EXPECT_EQ(receipts[0].number, 1);
  EXPECT_EQ(receipts[0].previous, Sha256{});
  EXPECT_EQ(receipts[1].number, 2);
  EXPECT_EQ(receipts[1].previous, crypto::HashSha256(compact[0]));
  EXPECT_EQ(Must(lab.machine->State({.wait_ms = {}, .phase = {}, .acknowledged = 1})).receipts.size(), 1u);
}

// Each refused document leaves the trust part and both slots as they were, byte by byte.
void ExpectRefused(Lab& lab, const wire::OfferDocumentsRequest& offer, ErrorCode code) {
  const std::string trust = lab.machine->TrustText();
  const std::string a = lab.SlotText('a');
  const std::string b = lab.SlotText('b');
  const auto outcome = lab.machine->OfferDocuments(offer);
  EXPECT_EQ(RefusalOf(outcome), code) << ErrorCodeName(RefusalOf(outcome));
  EXPECT_EQ(lab.machine->TrustText(), trust);
  EXPECT_EQ(lab.SlotText('a'), a);
  EXPECT_EQ(lab.SlotText('b'), b);
  EXPECT_EQ(lab.phase(), Phase::kIdle);
  const auto receipts = lab.Receipts();
  ASSERT_FALSE(receipts.empty());
  EXPECT_EQ(receipts.back().outcome, manifest::Outcome::kRefused);
  EXPECT_EQ(receipts.back().code, ErrorCodeName(code));
}

// One bit in each part of each document. No network exists in this process: the verdict is the device's own.
TEST(Machine, S0_6_AnyChangedBitInAnyDocumentIsRefused) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  const auto good = lab.Offer(release, lab.MakeOrder(release, {"x"}));
  const std::string trust = lab.machine->TrustText();
  const auto expect_refused = [&](const wire::OfferDocumentsRequest& offer, const std::string& what) {
    const auto outcome = lab.machine->OfferDocuments(offer);
    EXPECT_TRUE(outcome && outcome->refusal) << what;
    EXPECT_EQ(lab.machine->TrustText(), trust) << what;
  };
  constexpr size_t kPlaces = 24;
  for (size_t i = 0; i < kPlaces; ++i) {
    const auto flip = [i](auto& text) { text[(text.size() - 1) * i / (kPlaces - 1)] ^= 2; };
    auto order = good;
    flip(*order.order);
    expect_refused(order, "order at " + std::to_string(i));
    auto signature = good;
    flip(*signature.manifest_signature);
    expect_refused(signature, "manifest signature at " + std::to_string(i));
    auto bytes = good;
    flip(*bytes.manifest);
    expect_refused(bytes, "manifest at " + std::to_string(i));
    auto leaf = good;
    // The leaf's line; witnesses below it may be changed as long as the quorum stands.
    const size_t leaf_at = leaf.log_proof->find("extra") + 8;
    (*leaf.log_proof)[leaf_at + i] ^= 2;
    expect_refused(leaf, "log proof at " + std::to_string(i));
  }
  EXPECT_FALSE(Must(lab.machine->OfferDocuments(good)).refusal);
}

TEST(Machine, S0_10_RefusesAnOrderOfAnotherDevice) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  manifest::Order order = lab.MakeOrder(release, {"x"});
  order.device_id = Must(DeviceId::Parse("device-2"));
  ExpectRefused(lab, lab.Offer(release, order), ErrorCode::kOrderNotForThisDevice);
}

TEST(Machine, S0_10_RefusesAnUpdateForAnotherModel) {
  Lab lab;
  lab.Ready();
  auto model = lab.world.MakeManifest("1.3", "x");
  model.compatibility = {{{"manufacturer", "acme"}, {"model", "g9"}}};
  const Release release = lab.SignRelease(model, 3);
  ExpectRefused(lab, lab.Offer(release, lab.MakeOrder(release, {"x"})), ErrorCode::kNotCompatible);
}

TEST(Machine, X5_RefusesTheComponentOfAnotherDeviceAndAForeignComponentInItsSlots) {
  Lab lab;
  lab.Ready();
  auto model = lab.world.MakeManifest("1.3", "x");
  model.component = "modem";
  const Release release = lab.SignRelease(model, 3);
  ExpectRefused(lab, lab.Offer(release, lab.MakeOrder(release, {"x"})), ErrorCode::kNotCompatible);
  lab.world.device.components = {"main", "modem"};
  lab.WriteProvisioning();
  lab.Open();
  ExpectRefused(lab, lab.Offer(release, lab.MakeOrder(release, {"x"})), ErrorCode::kHandlerFailed);
}

TEST(Machine, RefusesAnUnknownHandler) {
  Lab lab;
  lab.Ready();
  auto model = lab.world.MakeManifest("1.3", "x");
  model.steps[0].handler = "fleetseal/script:1";
  const Release release = lab.SignRelease(model, 3);
  ExpectRefused(lab, lab.Offer(release, lab.MakeOrder(release, {"x"})), ErrorCode::kHandlerUnknown);
}

TEST(Machine, RefusesAnImageLargerThanTheSlotBeforeItsContentIsSent) {
  Lab lab;
  lab.config.slots->bytes_max = 1000;
  lab.Ready();
  const std::string contents = Contents(1001);
  const Release release = lab.SlotRelease(3, contents);
  ExpectRefused(lab, lab.Offer(release, lab.MakeOrder(release, {contents})), ErrorCode::kNoSpace);
}

TEST(Machine, RefusesWhenThePowerCommandSaysNo) {
  Lab lab;
  lab.config.power = CommandConfig{.command = {"/bin/false"}, .timeout_ms = 5000};
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  ExpectRefused(lab, lab.Offer(release, lab.MakeOrder(release, {"x"})), ErrorCode::kPowerTooLow);
}

TEST(Machine, RefusesAContentKeyForAnotherDevice) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  manifest::Order order = lab.MakeOrder(release, {"x"});
  const Sha256 manifest_sha256 = release.sha256();
  order.content_key =
      Must(sealing::WrapUpdateKey(lab.update_key, lab.world.director.key(),
                                  {lab.world.device.device_id, lab.world.device.generation, manifest_sha256}));
  ExpectRefused(lab, lab.Offer(release, order), ErrorCode::kDecryptFailed);
}

TEST(Machine, RefusesClearDeliveryOnASealedDevice) {
  Lab lab;
  lab.Ready();
  lab.world.device.delivery = manifest::Delivery::kClear;
  const Release release = lab.SlotRelease(3, "x");
  ExpectRefused(lab, lab.Offer(release, lab.MakeOrder(release, {"x"})), ErrorCode::kDeliveryNotAllowed);
}

TEST(Machine, RefusesARollback) {
  Lab lab;
  lab.Ready();
  lab.Install(4, Contents(10));
  const Release release = lab.SlotRelease(3, "x");
  ExpectRefused(lab, lab.Offer(release, lab.MakeOrder(release, {"x"})), ErrorCode::kRollbackRefused);
}

TEST(Machine, KeepsPackageStepAndStatusWhenTheOrderAfterThemIsRefused) {
  Lab lab;
  lab.Open();
  lab.world.package = lab.world.NextPackage();
  const Release release = lab.SlotRelease(3, "x");
  manifest::Order order = lab.MakeOrder(release, {"x"});
  order.generation = 7;
  auto offer = lab.Offer(release, order);
  offer.packages = {lab.world.SignPackage(lab.world.package)};
  offer.status = lab.world.SignStatus(lab.world.MakeStatus());
  const auto outcome = Must(lab.machine->OfferDocuments(offer));
  EXPECT_EQ(outcome.accepted, (std::vector<std::string>{"package 2", "status"}));
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(outcome.refusal->document, "order");
  EXPECT_EQ(outcome.refusal->code, ErrorCode::kOrderNotForThisDevice);
  EXPECT_EQ(Must(lab.machine->State({})).package_version, 2);
}

TEST(Machine, StopsAtAPackageThatIsNoStep) {
  Lab lab;
  lab.Open();
  auto next = lab.world.NextPackage();
  next.version = 3;
  wire::OfferDocumentsRequest offer;
  offer.packages = {lab.world.SignPackage(next)};
  offer.status = lab.world.SignStatus(lab.world.MakeStatus());
  const std::string trust = lab.machine->TrustText();
  const auto outcome = Must(lab.machine->OfferDocuments(offer));
  EXPECT_EQ(outcome.refusal->document, "package");
  EXPECT_TRUE(outcome.accepted.empty());
  EXPECT_EQ(lab.machine->TrustText(), trust);
}

TEST(Machine, SameRefusalIsReceiptedOnceWithItsCount) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  manifest::Order order = lab.MakeOrder(release, {"x"});
  order.generation = 7;
  const auto offer = lab.Offer(release, order);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Must(lab.machine->OfferDocuments(offer)).refusal);
  auto receipts = lab.Receipts();
  ASSERT_EQ(receipts.size(), 1u);
  EXPECT_EQ(receipts[0].count, 3);
  EXPECT_EQ(receipts[0].document, crypto::HashSha256(*offer.order));
  EXPECT_TRUE(Must(lab.machine->OfferDocuments(offer)).refusal);
  EXPECT_EQ(lab.Receipts().size(), 1u);
}

TEST(Machine, SameOrderAgainIsNeverASecondRun) {
  Lab lab;
  lab.Ready();
  const std::string contents = Contents(100);
  const Release release = lab.SlotRelease(3, contents);
  const auto offer = lab.Offer(release, lab.MakeOrder(release, {contents}));
  EXPECT_EQ(Must(lab.machine->OfferDocuments(offer)).wanted.size(), 1u);
  EXPECT_EQ(Must(lab.machine->OfferDocuments(offer)).wanted.size(), 1u);
  ASSERT_TRUE(lab.Finish());
  const auto again = Must(lab.machine->OfferDocuments(offer));
  EXPECT_FALSE(again.refusal);
  EXPECT_EQ(again.phase, Phase::kIdle);
  EXPECT_TRUE(again.wanted.empty());
  EXPECT_EQ(lab.Receipts().size(), 1u);
}

// --- checks 12 and 13

TEST(Machine, FailedHealthCheckBringsTheOldSlotBack) {
  Lab lab;
  lab.Ready();
  lab.Install(3, Contents(5000, 'r'));
  lab.config.health.command = {"/bin/false"};
  lab.Open();
  const std::string trust = lab.machine->TrustText();
  lab.Install(4, Contents(100));
  EXPECT_EQ(lab.BootText("active"), "b\n");
  EXPECT_EQ(lab.BootText("state-a"), "bad\n");
  EXPECT_EQ(lab.SlotText('b'), Contents(5000, 'r'));
  EXPECT_EQ(lab.Receipts().back().outcome, manifest::Outcome::kRolledBack);
  EXPECT_EQ(lab.Receipts().back().code, "HealthCheckFailed");
  const auto state = Must(lab.machine->State({}));
  EXPECT_EQ(state.installed->release_counter, 3);
  EXPECT_EQ(state.last_code, "HealthCheckFailed");
}

wire::OfferDocumentsRequest WithdrawalOf(Lab& lab, const Release& release) {
  auto status = lab.world.MakeStatus();
  status.withdrawn = {release.sha256()};
  wire::OfferDocumentsRequest offer;
  offer.status = lab.world.SignStatus(status);
  return offer;
}

TEST(Machine, WithdrawalEndsTheOrderThatIsStaged) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"}))));
  ASSERT_TRUE(lab.Send(outcome.wanted[0]));
  const auto ended = Must(lab.machine->OfferDocuments(WithdrawalOf(lab, release)));
  ASSERT_FALSE(ended.refusal);
  EXPECT_EQ(ended.phase, Phase::kIdle);
  ASSERT_TRUE(lab.Advance());
  EXPECT_EQ(lab.BootText("active"), "a\n");
  EXPECT_EQ(lab.BootText("next"), "a\n");
  EXPECT_EQ(lab.Receipts().back().code, "Withdrawn");
}

TEST(Machine, WithdrawalEndsTheOrderWhoseContentIsStillWanted) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  const auto offer = lab.Offer(release, lab.MakeOrder(release, {"x"}));
  ASSERT_EQ(Must(lab.machine->OfferDocuments(offer)).wanted.size(), 1u);
  const auto ended = Must(lab.machine->OfferDocuments(WithdrawalOf(lab, release)));
  EXPECT_EQ(ended.phase, Phase::kIdle);
  EXPECT_TRUE(ended.wanted.empty());
  const auto receipts = lab.Receipts();
  ASSERT_EQ(receipts.size(), 1u);
  EXPECT_EQ(receipts[0].outcome, manifest::Outcome::kRefused);
  EXPECT_EQ(receipts[0].code, "Withdrawn");
  EXPECT_EQ(Must(lab.machine->State({})).last_code, "Withdrawn");
  // The same order again is no second run.
  EXPECT_EQ(Must(lab.machine->OfferDocuments(offer)).phase, Phase::kIdle);
  EXPECT_EQ(lab.Receipts().size(), 1u);
}

TEST(Machine, ADisabledKeyEndsTheOrderInHandAndADelistedOneWaitsForTheSwitch) {
  for (const bool is_disabled : {true, false}) {
    Lab lab;
    lab.Ready();
    const Release release = lab.SlotRelease(3, "x");
    const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"}))));
    ASSERT_TRUE(lab.Send(outcome.wanted[0]));
    auto package = lab.world.NextPackage();
    if (is_disabled) package.disabled_signing_keys = {lab.world.publisher.key().disabled_key_hash()};
    std::erase_if(package.signing_keys, [&](const auto& listing) { return listing.kid.text() == "publisher-1"; });
    wire::OfferDocumentsRequest offer;
    offer.packages = {lab.world.SignPackage(package)};
    const auto ended = Must(lab.machine->OfferDocuments(offer));
    ASSERT_FALSE(ended.refusal);
    EXPECT_EQ(ended.phase, is_disabled ? Phase::kIdle : Phase::kInstalled);
    ASSERT_TRUE(lab.Advance());
    EXPECT_EQ(lab.phase(), Phase::kIdle);
    EXPECT_EQ(lab.BootText("next"), "a\n");
    EXPECT_EQ(lab.Receipts().back().code, is_disabled ? "DisallowedSigningKey" : "SigningKeyNotListed");
  }
}

TEST(Machine, WaitsForTheWindowToOpen) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  manifest::Order order = lab.MakeOrder(release, {"x"});
  order.window = manifest::Window{lab.world.now + 600, lab.world.now + 1200};
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, order)));
  ASSERT_TRUE(lab.Send(outcome.wanted[0]));
  EXPECT_EQ(Must(lab.machine->Advance()), Machine::Progress::kWaiting);
  EXPECT_EQ(lab.phase(), Phase::kInstalled);
  lab.clock.Advance(700);
  ASSERT_TRUE(lab.Advance());
  EXPECT_EQ(lab.BootText("active"), "b\n");
}

TEST(Machine, AbortEndsTheOrderBeforeTheSwitchOnly) {
  Lab lab;
  lab.Ready();
  EXPECT_EQ(lab.machine->Abort().error().code, ErrorCode::kConflict);
  const Release release = lab.SlotRelease(3, "x");
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"})))).refusal);
  EXPECT_EQ(Must(lab.machine->Abort()), Phase::kIdle);
  EXPECT_EQ(lab.Receipts().back().outcome, manifest::Outcome::kCancelled);
}

TEST(Machine, CancelOrderEndsTheOrderInHand) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  const auto offer = lab.Offer(release, lab.MakeOrder(release, {"x"}));
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(offer)).refusal);
  wire::OfferDocumentsRequest cancel;
  cancel.order = lab.world.SignOrder(lab.world.MakeCancel());
  const auto outcome = Must(lab.machine->OfferDocuments(cancel));
  EXPECT_FALSE(outcome.refusal);
  EXPECT_EQ(outcome.phase, Phase::kIdle);
  const auto receipts = lab.Receipts();
  ASSERT_EQ(receipts.size(), 2u);
  EXPECT_EQ(receipts[0].code, "OrderCancelled");
  EXPECT_EQ(receipts[1].outcome, manifest::Outcome::kCancelled);
  EXPECT_EQ(RefusalOf(lab.machine->OfferDocuments(offer)), ErrorCode::kOrderCancelled);
}

// --- time

TEST(Machine, ClockBelowTheFloorTakesOrdersOnlyAfterAStatusWithItsNonce) {
  Lab lab;
  lab.Ready();
  lab.clock.Set({1000});
  lab.Open();
  const Release release = lab.SlotRelease(3, "x");
  const auto offer = lab.Offer(release, lab.MakeOrder(release, {"x"}));
  EXPECT_EQ(RefusalOf(lab.machine->OfferDocuments(offer)), ErrorCode::kStatusExpired);
  const auto nonce = Must(lab.machine->State({})).status_nonce;
  ASSERT_TRUE(nonce);
  auto status = lab.world.MakeStatus();
  status.nonce = nonce;
  wire::OfferDocumentsRequest answer;
  answer.status = lab.world.SignStatus(status);
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(answer)).refusal);
  EXPECT_FALSE(Must(lab.machine->State({})).status_nonce);
  EXPECT_FALSE(Must(lab.machine->OfferDocuments(offer)).refusal);
}

TEST(Machine, X9_AnOrderThatIsRefusedForNowOnlyIsInTheLogWithItsCode) {
  Lab lab;
  lab.Ready();
  lab.clock.Set({1000});
  lab.Open();
  const Release release = lab.SlotRelease(3, "x");
  const auto offer = lab.Offer(release, lab.MakeOrder(release, {"x"}));
  lab.lines.clear();
  EXPECT_EQ(RefusalOf(lab.machine->OfferDocuments(offer)), ErrorCode::kStatusExpired);
  ASSERT_EQ(lab.lines.size(), 1u);
  EXPECT_NE(lab.lines[0].find(R"("event":"document.refused","document":"order")"), std::string::npos) << lab.lines[0];
  EXPECT_NE(lab.lines[0].find(R"("code":"StatusExpired")"), std::string::npos) << lab.lines[0];
}

// --- the handler `file`

TEST(Machine, FileHandlerReplacesBelowThePrefixAndRollsBack) {
  Lab lab;
  lab.Ready();
  const auto read = [&](std::string_view name) {
    return sys::ReadTextFile(lab.directory.File("files/" + std::string(name)), 100);
  };
  const Release first = lab.FileRelease(3, {{"app.conf", "one"}});
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(first, lab.MakeOrder(first, {"one"})))).refusal);
  ASSERT_TRUE(lab.Finish());
  EXPECT_EQ(Must(read("app.conf")), "one");
  lab.config.health.command = {"/bin/false"};
  lab.Open();
  const Release second = lab.FileRelease(4, {{"app.conf", "two"}, {"new.conf", "2"}});
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(second, lab.MakeOrder(second, {"two", "2"})))).refusal);
  ASSERT_TRUE(lab.Finish());
  EXPECT_EQ(Must(read("app.conf")), "one");
  EXPECT_FALSE(read("new.conf"));
  EXPECT_EQ(Must(sys::ListDirectory(lab.directory.File("files"))), std::vector<std::string>{"app.conf"});
}

// The manifest's parser refuses most of these; the handler does not rely on it.
TEST(FileHandler, S1_15_TargetOutsideThePrefixIsRefused) {
  const sys::TempDirectory directory;
  const auto handler = Must(FileHandler::Open(directory.File("files")));
  const trust::testing::TestWorld world;
  auto model = world.MakeManifest("1.3", "x");
  manifest::UpdateStep step{std::string(manifest::kHandlerFile), {model.files[0].id}, {{"target", "app.conf"}}};
  EXPECT_TRUE(handler->Plan(step, model));
  for (const char* name :
       {"..", ".", "", "../state/state.json", "/etc/passwd", "a/b", ".new-x", ".old-x", "a b", "a\nb"}) {
    step.properties["target"] = name;
    const auto plan = handler->Plan(step, model);
    ASSERT_FALSE(plan) << name;
    EXPECT_EQ(plan.error().code, ErrorCode::kHandlerFailed) << name;
  }
  step.properties = {{"target", "app.conf"}, {"mode", "0777"}};
  EXPECT_FALSE(handler->Plan(step, model));
}

TEST(FileHandler, S1_15_WritesThroughNoLinkThatStandsInItsPlace) {
  const sys::TempDirectory directory;
  const auto handler = Must(FileHandler::Open(directory.File("files")));
  const std::string outside = directory.File("outside");
  ASSERT_TRUE(sys::WriteFileDurably(outside, AsBytes("mine"), 0600));
  ASSERT_EQ(symlink(outside.c_str(), directory.File("files/.new-app.conf").c_str()), 0);
  ASSERT_EQ(symlink(outside.c_str(), directory.File("files/app.conf").c_str()), 0);
  const StepPlan plan{
      .handler = std::string(manifest::kHandlerFile), .file_id = {}, .target = "app.conf", .had_previous = true};
  Target target = Must(handler->OpenTarget(plan));
  ASSERT_TRUE(sys::WriteAllAt(target.file.get(), AsBytes("new"), 0));
  ASSERT_TRUE(handler->Seal(std::move(target), {3}));
  ASSERT_TRUE(handler->Switch(plan));
  EXPECT_EQ(Must(sys::ReadTextFile(outside, 100)), "mine");
  EXPECT_EQ(Must(sys::ReadTextFile(directory.File("files/app.conf"), 100)), "new");
}

TEST(Machine, FilePrefixMayNotOverlapTheInstallersOwnFolders) {
  for (const char* name : {"state", "state/below", "provisioning", "boot", "."}) {
    Lab lab;
    lab.config.file_prefix = lab.directory.File(name);
    const Status opened = lab.TryOpen();
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().code, ErrorCode::kConfigInvalid) << name;
  }
}

// --- enrolment

TEST(Machine, IdentifyProvesTheKeysUnderTheEnrolmentCode) {
  Lab lab;
  lab.Open();
  const Sha256 csr = crypto::HashSha256("csr");
  const auto jws = Must(jose::UnverifiedJws::Parse(Must(lab.machine->Identify(csr))));
  const auto key = Must(manifest::DeriveEnrolmentKey("abcdefghijklmnopqrstuvwxyz", lab.world.device.device_id));
  EXPECT_TRUE(jws.Verify(key.public_key(), crypto::SignatureAlgorithm::kEdDsa));
  const auto enrolment = Must(manifest::Enrolment::Parse(AsText(jws.unverified_payload())));
  const auto inner = Must(jose::UnverifiedJws::Parse(enrolment.keys));
  const auto keys = Must(manifest::DeviceKeys::Parse(AsText(inner.unverified_payload())));
  EXPECT_TRUE(inner.Verify(keys.receipt_key, crypto::SignatureAlgorithm::kEs256));
  EXPECT_EQ(keys.csr_sha256, csr);
  EXPECT_EQ(keys.generation, 2);
}

}  // namespace
}  // namespace fleetseal::installer

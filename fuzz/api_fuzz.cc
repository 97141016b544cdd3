// Messages between our own processes and with devices.
#include "api/device/messages.h"
#include "api/installer/messages.h"
#include "api/signing/device_messages.h"
#include "api/signing/evidence_messages.h"
#include "api/signing/key_messages.h"
#include "api/signing/messages.h"
#include "api/signing/package_record.h"
#include "api/signing/permit_messages.h"
#include "device/content_feed.h"
#include "fuzz/round_trip.h"
#include "fuzz/target.h"
#include "sealer/wire.h"

namespace fleetseal::fuzz {
namespace {

namespace installer = api::installer;
namespace signing = api::signing;

bool TryInstallerRequest(ByteView input) {
  const auto request = installer::ParseInstallerRequest(AsText(input));
  if (!request) return false;
  const std::string text = installer::BuildInstallerRequest(*request);
  const auto again = installer::ParseInstallerRequest(text);
  CHECK(again.has_value() && installer::BuildInstallerRequest(*again) == text);
  return true;
}
bool TryInstallerState(ByteView input) {
  const auto state = installer::StateFromAnswer(AsText(input));
  if (!state) return false;
  const std::string text = installer::BuildStateAnswer(*state);
  const auto again = installer::StateFromAnswer(text);
  CHECK(again.has_value() && installer::BuildStateAnswer(*again) == text);
  return true;
}
bool TryOfferAnswer(ByteView input) {
  const auto outcome = installer::OfferFromAnswer(AsText(input));
  if (!outcome) return false;
  const std::string text = installer::BuildOfferAnswer(*outcome);
  const auto again = installer::OfferFromAnswer(text);
  CHECK(again.has_value() && installer::BuildOfferAnswer(*again) == text);
  return true;
}
bool TryProofAnswer(ByteView input) { return installer::ProofFromAnswer(AsText(input)).has_value(); }
bool TryPhaseAnswer(ByteView input) {
  const auto phase = installer::PhaseFromAnswer(AsText(input));
  if (phase) CHECK(installer::PhaseFromName(installer::PhaseName(*phase)) == *phase);
  return phase.has_value();
}
bool TrySigningAnswer(ByteView input) { return signing::ParseAnswer(AsText(input)).has_value(); }
bool TrySealerAnswer(ByteView input) { return sealer::ParseAnswer(AsText(input)).has_value(); }
bool TryReceiptNumber(ByteView input) { return device::ReceiptNumber(std::string(AsText(input))).has_value(); }

constexpr Case kCases[] = {
    {"installer-request", TryInstallerRequest},
    {"installer-state", TryInstallerState},
    {"installer-offer-answer", TryOfferAnswer},
    {"installer-proof-answer", TryProofAnswer},
    {"installer-phase-answer", TryPhaseAnswer},
    {"device-packages-answer", Document<api::device::PackagesAnswer>},
    {"device-status-answer", Document<api::device::StatusAnswer>},
    {"device-check-in", Document<api::device::CheckInRequest>},
    {"device-check-in-answer", Document<api::device::CheckInAnswer>},
    {"device-receipts", Document<api::device::ReceiptsRequest>},
    {"device-receipts-answer", Document<api::device::ReceiptsAnswer>},
    {"signing-answer", TrySigningAnswer},
    {"signing-submit", Value<signing::SubmitAnswer>},
    {"signing-approve", Value<signing::ApproveAnswer>},
    {"signing-request-row", Value<signing::RequestRow>},
    {"signing-request-detail", Value<signing::RequestDetail>},
    {"signing-change", Value<signing::ChangeAnswer>},
    {"signing-person-certificate", Value<signing::PersonCertificateAnswer>},
    {"signing-people", Value<signing::PeopleAnswer>},
    {"signing-enrol", Value<signing::EnrolAnswer>},
    {"signing-devices", Value<signing::DevicesAnswer>},
    {"signing-prepare-import", Value<signing::PrepareImportAnswer>},
    {"signing-complete-import", Value<signing::CompleteImportAnswer>},
    {"signing-orders", Value<signing::OrdersAnswer>},
    {"signing-plans", Value<signing::PlansAnswer>},
    {"signing-receipts", Value<signing::ReceiptsAnswer>},
    {"signing-revoke", Value<signing::RevokeAnswer>},
    {"signing-log-index", Value<signing::LogIndexAnswer>},
    {"signing-hello", Value<signing::HelloAnswer>},
    {"sealer-answer", TrySealerAnswer},
    {"receipt-number", TryReceiptNumber},
    {"signing-keys", Value<signing::KeysAnswer>},
    {"signing-resign", Value<signing::ResignAnswer>},
    {"signing-permit-row", Value<signing::PermitRow>},
    {"signing-permit-detail", Value<signing::PermitDetail>},
    {"signing-package-record", Value<signing::PackageRecord>},
    {"signing-evidence", Value<signing::EvidenceAnswer>},
    {"signing-receipt-evidence", Value<signing::ReceiptEvidence>},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(api, kCases)

}  // namespace fleetseal::fuzz

// The world of the signer's tests with two releases and the permits that lead back from the newer to the older one.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "manifest/order.h"
#include "manifest/permit.h"
#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {

class PermitWorld : public SignerWorld {
 public:
  Sha256 old_manifest = DeployableUpdate("1.0.0");
  Sha256 new_manifest = DeployableUpdate("1.1.0");

  manifest::PermitRequest MakePermitRequest(const std::vector<DeviceId>& devices,
                                            const std::string& requester = "alice") {
    manifest::PermitRequest request;
    request.request_id = Must(RequestId::Parse(Number("permit")));
    request.product = product;
    request.from = {2, new_manifest};
    request.to = {1, old_manifest};
    if (!devices.empty()) request.device_ids = devices;
    request.permit_expires = now() + 7 * 86'400;
    request.audience = manifest::AudienceOf(config.organisation);
    request.requester = Must(PersonId::Parse(requester));
    request.nonce = Nonce();
    request.issued = now();
    request.expires = now() + 86'400;
    return request;
  }
  std::string Signed(const manifest::PermitRequest& request) const {
    return SignAs(request.requester.text(), manifest::kTypRequest, request.Build());
  }
  using SignerWorld::Signed;
  Result<api::signing::PermitDetail> Ask(const manifest::PermitRequest& request) {
    return RequestPermit(core(), Signed(request));
  }
  manifest::Approval MakePermitApproval(const api::signing::PermitDetail& asked, const std::string& approver) {
    manifest::Approval approval;
    approval.request_id = Must(RequestId::Parse(asked.row.permit_id.text()));
    approval.typ = manifest::kTypPermit;
    approval.payload_sha256 = asked.payload_sha256;
    approval.key_thumbprint = asked.key_thumbprint;
    approval.policy_sha256 = asked.policy_sha256;
    approval.approver = Must(PersonId::Parse(approver));
    approval.nonce = Nonce();
    approval.issued = now();
    approval.expires = now() + 3600;
    return approval;
  }
  Result<api::signing::PermitDetail> PermitBy(const api::signing::PermitDetail& asked, const std::string& approver) {
    return ApprovePermit(core(), Signed(MakePermitApproval(asked, approver)));
  }
  // Approved by both.
  api::signing::PermitDetail Granted(const manifest::PermitRequest& request) {
    const auto asked = Must(Ask(request));
    (void)Must(PermitBy(asked, "bob"));
    return Must(PermitBy(asked, "carol"));
  }
  // The device says that it has installed that release.
  void Installs(WorldDevice& device, const Sha256& manifest, int64_t counter) {
    manifest::Receipt receipt;
    receipt.device_id = device.id;
    receipt.generation = device.generation;
    receipt.number = device.receipt_number + 1;
    receipt.previous = device.receipt_previous;
    receipt.epoch = 1;
    receipt.manifest_sha256 = manifest;
    receipt.product = product;
    receipt.release_counter = counter;
    receipt.outcome = manifest::Outcome::kInstalled;
    receipt.issued = now();
    const std::string compact = SignAs(device.receipt_key, manifest::kTypReceipt, receipt.Build());
    CHECK(Must(TakeReceipts(core(), {compact})).results.front().is_accepted);
    device.receipt_number = receipt.number;
    device.receipt_previous = crypto::HashSha256(compact);
  }
  PlanId Planned(const Sha256& manifest) { return Must(AcceptPlan(core(), Signed(MakePlan(manifest)))); }
  // The order of that plan for the device, parsed.
  manifest::Order OrderOf(const PlanId& plan, const WorldDevice& device) {
    const auto answer = Must(MakeOrders(core(), plan, {device.id}));
    CHECK(answer.orders.front().order.has_value());
    const auto jws = Must(jose::UnverifiedJws::Parse(*answer.orders.front().order));
    return Must(manifest::Order::Parse(AsText(jws.unverified_payload())));
  }
  // "" if there is an order.
  std::string RefusalOf(const PlanId& plan, const WorldDevice& device) {
    const auto answer = Must(MakeOrders(core(), plan, {device.id}));
    const auto& error = answer.orders.front().error;
    return error ? std::string(ErrorCodeName(error->code)) : "";
  }
};

}  // namespace fleetseal::signer::testing

// The world that tests of the signer use: an organisation, its devices, and updates from request to plan.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <string>

#include "manifest/update_manifest.h"
#include "sealer/seal_client.h"
#include "signer/testing/device_world.h"

namespace fleetseal::signer::testing {

class SignerWorld : public DeviceWorld {
 public:
  std::string content = std::string(100'000, 'x') + "firmware";
  std::string MakeManifest(const std::string& version) const {
    manifest::UpdateManifest made;
    made.product = product;
    made.version = Must(manifest::UpdateVersion::Parse(version));
    made.compatibility = {{{"manufacturer", "acme"}, {"model", "gateway"}}};
    const Sha256 hash = crypto::HashSha256(content);
    const FileId id = manifest::MakeFileId("firmware.img", hash);
    made.files = {{id, "firmware.img", {content.size()}, hash, {}, {}}};
    made.steps = {{std::string(manifest::kHandlerSlot), {id}, {}}};
    made.created = {1'799'000'000};
    return made.Build();
  }
  manifest::SignRequest MakeRequest(const std::string& manifest, const std::string& requester = "alice") {
    manifest::SignRequest request;
    request.request_id = Must(RequestId::Parse(Number("request")));
    request.product = product;
    request.manifest_sha256 = crypto::HashSha256(manifest);
    request.audience = manifest::AudienceOf(config.organisation);
    request.requester = Must(PersonId::Parse(requester));
    request.nonce = Nonce();
    request.issued = now();
    request.expires = now() + 86'400;
    return request;
  }
  Result<api::signing::SubmitAnswer> Submit(const manifest::SignRequest& request, const std::string& manifest) {
    return SubmitRequest(core(), SignAs(request.requester.text(), manifest::kTypRequest, request.Build()),
                         AsBytes(manifest));
  }
  api::signing::SubmitAnswer Submitted(const std::string& version, const std::string& requester = "alice") {
    const std::string manifest = MakeManifest(version);
    return Must(Submit(MakeRequest(manifest, requester), manifest));
  }
  manifest::Approval MakeApproval(const api::signing::SubmitAnswer& submitted, const std::string& approver) {
    manifest::Approval approval;
    approval.request_id = submitted.request_id;
    approval.typ = manifest::kTypManifest;
    approval.payload_sha256 = submitted.payload_sha256;
    approval.key_thumbprint = submitted.key_thumbprint;
    approval.policy_sha256 = submitted.policy_sha256;
    approval.approver = Must(PersonId::Parse(approver));
    approval.nonce = Nonce();
    approval.issued = now();
    approval.expires = now() + 3600;
    return approval;
  }
  std::string Signed(const manifest::Approval& approval) const {
    return SignAs(approval.approver.text(), manifest::kTypApproval, approval.Build());
  }
  Result<api::signing::ApproveAnswer> ApproveBy(const api::signing::SubmitAnswer& submitted,
                                                const std::string& approver) {
    return Approve(core(), Signed(MakeApproval(submitted, approver)));
  }
  // A signed update of that version; its manifest's hash.
  Sha256 SignedUpdate(const std::string& version) {
    const auto submitted = Submitted(version);
    (void)Must(ApproveBy(submitted, "bob"));
    CHECK(Must(ApproveBy(submitted, "carol")).state == api::signing::RequestState::kSigned);
    return crypto::HashSha256(MakeManifest(version));
  }
  Sha256 DeployableUpdate(const std::string& version) {
    const Sha256 manifest = SignedUpdate(version);
    const auto files = Must(PrepareImport(core(), manifest)).files;
    auto seal = Must(sealer::SealClient::Start(SealSocket(), {manifest, files.front().file_id, files.front().size}));
    Bytes sealed;
    CHECK(seal->Update(AsBytes(content), sealed).has_value());
    (void)Must(seal->Finish(sealed));
    (void)Must(CompleteImport(core(), manifest));
    return manifest;
  }
  manifest::Plan MakePlan(const Sha256& manifest) {
    manifest::Plan plan;
    plan.plan_id = Must(PlanId::Parse(Number("plan")));
    plan.product = product;
    plan.environment = environment;
    plan.manifest_sha256 = manifest;
    plan.count_max = 10;
    plan.operator_id = Must(PersonId::Parse("olga"));
    plan.nonce = Nonce();
    plan.issued = now();
    plan.expires = now() + 7 * 86'400;
    return plan;
  }
  std::string Signed(const manifest::Plan& plan) const {
    return SignAs(plan.operator_id.text(), manifest::kTypPlan, plan.Build());
  }
  manifest::Revocation MakeRevocation(manifest::RevocationKind kind, manifest::RevocationAction action,
                                      const std::string& subject, const std::string& person) {
    manifest::Revocation revocation;
    revocation.revocation_id = Must(RequestId::Parse(Number("revocation")));
    revocation.kind = kind;
    revocation.action = action;
    revocation.subject = subject;
    revocation.reason = "a test";
    revocation.person = Must(PersonId::Parse(person));
    revocation.nonce = Nonce();
    revocation.issued = now();
    return revocation;
  }
  std::string Signed(const manifest::Revocation& revocation) const {
    return SignAs(revocation.person.text(), manifest::kTypRevocation, revocation.Build());
  }
};

// The verb refuses with that code, and not one row nor the log has changed.
#define EXPECT_REFUSED_UNCHANGED(world, expression, expected_code)                           \
  do {                                                                                       \
    const std::string before_ = (world).Dump();                                              \
    const auto outcome_ = (expression);                                                      \
    ASSERT_FALSE(outcome_.has_value()) << "was accepted";                                    \
    EXPECT_EQ(ErrorCodeName(outcome_.error().code), ErrorCodeName(ErrorCode::expected_code)) \
        << outcome_.error().ToString();                                                      \
    EXPECT_EQ(before_, (world).Dump());                                                      \
  } while (false)

}  // namespace fleetseal::signer::testing

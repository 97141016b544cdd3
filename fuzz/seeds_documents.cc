// Seeds of the payloads of signed documents: every optional member that can stand beside the others.
#include "crypto/digest.h"
#include "crypto/key.h"
#include "fuzz/seeds.h"
#include "manifest/enrolment.h"
#include "manifest/log_leaf.h"
#include "manifest/manifest_signature.h"
#include "manifest/order.h"
#include "manifest/permit.h"
#include "manifest/person_documents.h"
#include "manifest/receipt.h"
#include "manifest/receipt_proof.h"
#include "manifest/register_change.h"
#include "manifest/security_replacement.h"
#include "manifest/status.h"

namespace fleetseal::fuzz {
namespace {

using namespace manifest;

template <typename T>
T Id(std::string_view text) {
  return T::Parse(text).value();
}
const Sha256& Hash() {
  static const Sha256 hash = crypto::HashSha256("x");
  return hash;
}
ProductName Product() { return Id<ProductName>("acme/gateway"); }
Bytes SomeNonce() { return Bytes(kNonceBytes, 7); }
crypto::PublicKey NewKey(crypto::KeyKind kind = crypto::KeyKind::kP256) {
  return crypto::PrivateKey::Generate(kind).value().public_key();
}

void DirectorSeeds(const SeedWriter& out) {
  StatusDocument status{3, 4, {100}, {200}, 5, Hash(), {Hash()}, {}, Bytes{1, 2}};
  status.newest[Product()][Id<Environment>("production")] = 9;
  out.Seed("documents", "status", status.Build());
  Order order;
  order.order_id = Id<OrderId>("o1");
  order.device_id = Id<DeviceId>("d1");
  order.generation = 2;
  order.epoch = 3;
  order.sequence = 4;
  order.issued = {100};
  order.expires = {200};
  order.package_version = 5;
  order.plan_id = Id<PlanId>("p1");
  order.manifest_sha256 = Hash();
  order.contents = {{Id<FileId>("f1"), Hash(), {77}}};
  order.content_key = "a..b.c.d";
  order.window = Window{{110}, {120}};
  order.deadline = UnixSeconds{150};
  order.permit = "a.b.c";
  out.Seed("documents", "order", order.Build());
  order.action = OrderAction::kCancel;
  order.contents.clear();
  order.content_key.reset();
  out.Seed("documents", "order", order.Build(), "cancel");
}

void PublisherSeeds(const SeedWriter& out) {
  const ManifestSignature signature{Hash(), Product(), 5, "urn:fleetseal:acme", Delivery::kSealed, {100}};
  out.Seed("documents", "manifest-signature", signature.Build());
  const Permit permit{Id<PermitId>("pe1"), Product(), {6, Hash()}, {5, Hash()}, std::vector{Id<DeviceId>("d1")},
                      std::nullopt,        {100},     {200}};
  out.Seed("documents", "permit", permit.Build());
  const ManifestSignatureLeaf leaf{{100}, Hash(), Hash(), Product(), 5, Hash(), Id<RequestId>("r1"), Hash(), Hash()};
  out.Seed("documents", "leaf", leaf.Build());
  out.Seed("documents", "leaf-type", leaf.Build());
  out.Seed("documents", "receipt-proof", ReceiptProof{"salt", 1, {Hash(), Hash()}, "proof\n"}.Build());
  out.Seed("documents", "receipt-batch", ReceiptBatchLeaf{{100}, Hash(), 2}.Build());
}

void PersonSeeds(const SeedWriter& out) {
  const PersonId person = Id<PersonId>("ann");
  const SignRequest request{Id<RequestId>("r1"), Product(), Hash(), Delivery::kClear, "urn:fleetseal:acme", person,
                            SomeNonce(),         {100},     {200}};
  out.Seed("documents", "request", request.Build());
  const Approval approval{Id<RequestId>("r1"),
                          "fleetseal-manifest+jws",
                          Hash(),
                          Hash(),
                          Hash(),
                          Decision::kReject,
                          "not tested",
                          person,
                          SomeNonce(),
                          {100},
                          {200}};
  out.Seed("documents", "approval", approval.Build());
  Plan plan{Id<PlanId>("p1"),
            Product(),
            Id<Environment>("production"),
            Hash(),
            std::vector{Id<DeviceId>("d1"), Id<DeviceId>("d2")},
            std::nullopt,
            Window{{110}, {120}},
            UnixSeconds{150},
            Reboot::kLater,
            1000,
            person,
            SomeNonce(),
            {100},
            {200}};
  out.Seed("documents", "plan", plan.Build());
  plan.devices.reset();
  plan.count_max = 7;
  out.Seed("documents", "plan", plan.Build(), "count");
  const Revocation revocation{Id<RequestId>("v1"),
                              RevocationKind::kPerson,
                              "ann",
                              RevocationAction::kRevoke,
                              "left",
                              person,
                              SomeNonce(),
                              {100}};
  out.Seed("documents", "revocation", revocation.Build());
}

void RegisterSeeds(const SeedWriter& out) {
  const Policy policy{Id<KeyId>("policy-1"), Product(), 2, Delivery::kSealed, {Id<Environment>("production")}, {900}};
  out.Seed("documents", "policy", policy.ToJson().Serialize());
  const AllowDevice allow{Id<DeviceId>("d1"),
                          Product(),
                          Id<Environment>("production"),
                          {{"model", "g1"}},
                          1,
                          NewKey(crypto::KeyKind::kEd25519),
                          true,
                          {500}};
  const AddPerson add{Id<PersonId>("ann"), {PersonRole::kPublisher, PersonRole::kOperator}, {true, {}}, NewKey()};
  RegisterChange change{Id<ChangeId>("c1"),
                        7,
                        {add, RevokePerson{Id<PersonId>("bob")}, SetPolicy{policy},
                         SetSecurity{{Id<PersonId>("ann"), Id<PersonId>("cleo")}, 2}, allow},
                        SomeNonce(),
                        {100}};
  out.Seed("documents", "register-change", change.Build());
  change.changes = {ContinueAfterRestore{Bytes(16, 1), 5, 6, true, {Id<DeviceId>("d1")}}};
  out.Seed("documents", "register-change", change.Build(), "decision");
}

void RequestSeeds(const SeedWriter& out) {
  const PersonId person = Id<PersonId>("ann");
  PermitRequest permit{Id<RequestId>("pe1"),
                       Product(),
                       {6, Hash()},
                       {5, Hash()},
                       std::vector{Id<DeviceId>("d1"), Id<DeviceId>("d2")},
                       std::nullopt,
                       {900},
                       "urn:fleetseal:acme",
                       person,
                       SomeNonce(),
                       {100},
                       {200}};
  out.Seed("documents", "permit-request", permit.Build());
  permit.device_ids.reset();
  permit.plan_id = Id<PlanId>("p1");
  out.Seed("documents", "permit-request", permit.Build(), "plan");
  const ResignRequest again{Id<RequestId>("r2"), Product(), Hash(), "urn:fleetseal:acme", person,
                            SomeNonce(),         {100},     {200}};
  out.Seed("documents", "resign-request", again.Build());
  SecurityReplacement replacement{Id<ChangeId>("c2"),
                                  Id<Organisation>("acme"),
                                  4,
                                  Hash(),
                                  8,
                                  {{person, NewKey()}, {Id<PersonId>("bob"), NewKey(crypto::KeyKind::kEd25519)}},
                                  2,
                                  std::nullopt,
                                  {100},
                                  {200}};
  out.Seed("documents", "security-replacement", replacement.Build());
  replacement.decision = ContinueAfterRestore{Bytes(16, 1), 5, 6, true, {Id<DeviceId>("d1")}};
  out.Seed("documents", "security-replacement", replacement.Build(), "decision");
}

void DeviceSeeds(const SeedWriter& out) {
  Receipt receipt;
  receipt.device_id = Id<DeviceId>("d1");
  receipt.number = 8;
  receipt.order_id = Id<OrderId>("o1");
  receipt.epoch = 3;
  receipt.sequence = 4;
  receipt.manifest_sha256 = Hash();
  receipt.product = Product();
  receipt.release_counter = 6;
  receipt.publisher_key = Hash();
  receipt.director_key = Hash();
  receipt.checkpoint_size = 12;
  receipt.files = {{Id<FileId>("f1"), Hash()}};
  receipt.phases = {{"accepted", {110}}, {"committed", {120}}};
  receipt.outcome = Outcome::kRolledBack;
  receipt.code = "HealthCheckFailed";
  receipt.document = Hash();
  receipt.issued = {130};
  out.Seed("documents", "receipt", receipt.Build());
  out.Seed("documents", "device-keys", DeviceKeys{Id<DeviceId>("d1"), 1, Hash(), NewKey(), NewKey(), {100}}.Build());
  out.Seed("documents", "enrolment", Enrolment{Id<DeviceId>("d1"), "a.b.c", {100}}.Build());
}

}  // namespace

void WriteDocumentSeeds(const SeedWriter& out) {
  DirectorSeeds(out);
  PublisherSeeds(out);
  PersonSeeds(out);
  RegisterSeeds(out);
  RequestSeeds(out);
  DeviceSeeds(out);
}

}  // namespace fleetseal::fuzz

// One good document of each kind that people, devices and signing keys sign, for tests of this module.
//
// Source: docs/protocol/documents.md. Header only, compiled into tests and nothing else. Each has every optional member
// that can stand beside the others; keys are new each time. Thread rule: plain values.
#pragma once

#include <string_view>

#include "crypto/digest.h"
#include "manifest/order.h"
#include "manifest/permit.h"
#include "manifest/person_documents.h"
#include "manifest/receipt.h"
#include "manifest/register_change.h"
#include "manifest/security_replacement.h"
#include "manifest/status.h"

namespace fleetseal::manifest::testing {

template <typename T>
T Id(std::string_view text) {
  return T::Parse(text).value();
}
inline const Sha256 kHash = crypto::HashSha256("x");
inline const ProductName kProduct = ProductName::Parse("acme/gateway").value();
inline const Bytes kNonce(kNonceBytes, 7);
inline crypto::PublicKey NewKey(crypto::KeyKind kind = crypto::KeyKind::kP256) {
  return crypto::PrivateKey::Generate(kind).value().public_key();
}

inline StatusDocument GoodStatus() {
  StatusDocument status{3, 4, {100}, {200}, 5, kHash, {kHash}, {}, Bytes{1, 2}};
  status.newest[kProduct][Id<Environment>("production")] = 9;
  return status;
}
inline Order GoodOrder() {
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
  order.manifest_sha256 = kHash;
  order.contents = {{Id<FileId>("f1"), kHash, {77}}};
  order.content_key = "a..b.c.d";
  order.window = Window{{110}, {120}};
  order.deadline = UnixSeconds{150};
  order.permit = "a.b.c";
  return order;
}
inline Permit GoodPermit() {
  return {Id<PermitId>("pe1"), kProduct, {6, kHash}, {5, kHash}, std::vector{Id<DeviceId>("d1")},
          std::nullopt,        {100},    {200}};
}
inline PermitRequest GoodPermitRequest() {
  return {Id<RequestId>("r1"),
          kProduct,
          {6, kHash},
          {5, kHash},
          std::vector{Id<DeviceId>("d1")},
          std::nullopt,
          {300},
          "urn:fleetseal:acme",
          Id<PersonId>("ann"),
          kNonce,
          {100},
          {200}};
}
inline SignRequest GoodRequest() {
  return {Id<RequestId>("r1"),
          kProduct,
          kHash,
          Delivery::kClear,
          "urn:fleetseal:acme",
          Id<PersonId>("ann"),
          kNonce,
          {100},
          {200}};
}
inline ResignRequest GoodResignRequest() {
  return {Id<RequestId>("r1"), kProduct, kHash, "urn:fleetseal:acme", Id<PersonId>("ann"), kNonce, {100}, {200}};
}
inline Approval GoodApproval() {
  return {Id<RequestId>("r1"), "fleetseal-manifest+jws", kHash,  kHash, kHash, Decision::kReject,
          "not tested",        Id<PersonId>("bob"),      kNonce, {100}, {200}};
}
inline Plan GoodPlan() {
  return {Id<PlanId>("p1"),
          kProduct,
          Id<Environment>("production"),
          kHash,
          std::vector{Id<DeviceId>("d1"), Id<DeviceId>("d2")},
          std::nullopt,
          Window{{110}, {120}},
          UnixSeconds{150},
          Reboot::kLater,
          1000,
          Id<PersonId>("eve"),
          kNonce,
          {100},
          {200}};
}
inline Revocation GoodRevocation() {
  return {Id<RequestId>("v1"),
          RevocationKind::kPerson,
          "ann",
          RevocationAction::kRevoke,
          "left",
          Id<PersonId>("eve"),
          kNonce,
          {100}};
}
inline Receipt GoodReceipt() {
  Receipt receipt;
  receipt.device_id = Id<DeviceId>("d1");
  receipt.number = 8;
  receipt.order_id = Id<OrderId>("o1");
  receipt.epoch = 3;
  receipt.sequence = 4;
  receipt.manifest_sha256 = kHash;
  receipt.product = kProduct;
  receipt.release_counter = 6;
  receipt.publisher_key = kHash;
  receipt.director_key = kHash;
  receipt.checkpoint_size = 12;
  receipt.files = {{Id<FileId>("f1"), kHash}};
  receipt.phases = {{"accepted", {110}}, {"committed", {120}}};
  receipt.outcome = Outcome::kRolledBack;
  receipt.code = "HealthCheckFailed";
  receipt.document = kHash;
  receipt.issued = {130};
  return receipt;
}
inline RegisterChange GoodChange() {
  Policy policy{Id<KeyId>("policy-1"), kProduct, 2, Delivery::kSealed, {Id<Environment>("production")}, {900}};
  AllowDevice allow{Id<DeviceId>("d1"),
                    kProduct,
                    Id<Environment>("production"),
                    {{"model", "g1"}},
                    1,
                    NewKey(crypto::KeyKind::kEd25519),
                    true,
                    {500}};
  AddPerson add{Id<PersonId>("ann"), {PersonRole::kPublisher, PersonRole::kOperator}, {true, {}}, NewKey()};
  return {Id<ChangeId>("c1"),
          7,
          {add, RevokePerson{Id<PersonId>("bob")}, SetPolicy{policy},
           SetSecurity{{Id<PersonId>("ann"), Id<PersonId>("cleo")}, 2}, allow},
          kNonce,
          {100}};
}
inline ContinueAfterRestore GoodDecision() {
  return {Bytes(16, 7), 12, 99, true, {Id<DeviceId>("d1"), Id<DeviceId>("d2")}};
}
// A change that stands alone.
inline RegisterChange GoodChangeOf(Change change) {
  return {Id<ChangeId>("c1"), 7, {std::move(change)}, kNonce, {100}};
}
inline NewLog GoodNewLog() { return {"log-2.acme", "log.acme", 12, true, Bytes(16, 7), 99, "the disk is gone"}; }
inline SecurityReplacement GoodReplacement() {
  return {Id<ChangeId>("c1"),
          Id<Organisation>("acme"),
          3,
          kHash,
          8,
          {{Id<PersonId>("ann"), NewKey()}, {Id<PersonId>("cleo"), NewKey()}},
          2,
          GoodDecision(),
          {100},
          {200}};
}

}  // namespace fleetseal::manifest::testing

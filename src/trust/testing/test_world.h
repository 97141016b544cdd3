// A whole organisation in memory for tests: roots, publisher, director, log with witnesses, one product, one device.
//
// Every function makes a good document; a test changes the model (or the text) and looks for the refusal. Header only,
// so it is compiled into tests and nothing else. Time stands still at `now`. Thread rule: one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "manifest/log_leaf.h"
#include "manifest/permit.h"
#include "manifest/typ.h"
#include "merkle/proof.h"
#include "trust/testing/package_world.h"

namespace fleetseal::trust::testing {

// The same status with another end.
inline std::shared_ptr<const StoredStatus> Until(StoredStatus status, UnixSeconds expires) {
  status.expires = expires;
  return std::make_shared<const StoredStatus>(std::move(status));
}

class TestWorld : public PackageWorld {
 public:
  WorldLog log;
  DeviceProfile device = MakeDevice();
  int64_t next_sequence = 1000;
  int64_t next_status_version = 1;

  // Provisioned, with a fresh status.
  TrustState Ready() { return Must(AcceptStatus(Provisioned(), SignStatus(MakeStatus()), now)); }

  // --- status
  manifest::StatusDocument MakeStatus() {
    manifest::StatusDocument status;
    status.epoch = package.director_epoch;
    status.version = next_status_version++;
    status.issued = now - 60;
    status.expires = status.issued + 3600;
    status.package_version = package.version;
    status.package_sha256 = crypto::HashSha256(manifest::BuildProtected(package));
    status.newest[product][Must(Environment::Parse("production"))] = 5;
    return status;
  }
  std::string SignStatus(const manifest::StatusDocument& status) const {
    return Sign(director, manifest::kTypStatus, status.Build());
  }

  // --- updates
  manifest::UpdateManifest MakeManifest(std::string_view version, std::string_view contents = "contents") const {
    manifest::UpdateManifest made;
    made.product = product;
    made.version = Must(manifest::UpdateVersion::Parse(version));
    made.compatibility = {{{"manufacturer", "acme"}, {"model", "g2"}}, {{"manufacturer", "acme"}, {"model", "g1"}}};
    const Sha256 digest = crypto::HashSha256(contents);
    made.files = {{manifest::MakeFileId("rootfs.img", digest),
                   "rootfs.img",
                   {contents.size()},
                   digest,
                   std::nullopt,
                   std::nullopt}};
    made.steps = {{std::string(manifest::kHandlerSlot), {made.files[0].id}, {}}};
    made.created = now - 3600;
    return made;
  }
  manifest::ManifestSignature MakeSignature(std::string_view manifest_bytes, int64_t counter) const {
    return {crypto::HashSha256(manifest_bytes), product,         counter,
            manifest::AudienceOf(organisation), device.delivery, now - 1800};
  }
  Release Log(Release release) {
    manifest::ManifestSignatureLeaf leaf;
    leaf.time = now - 1700;
    leaf.jws_sha256 = crypto::HashSha256(release.signature);
    leaf.manifest_sha256 = release.sha256();
    leaf.product = product;
    leaf.release_counter = release.counter;
    leaf.key_thumbprint = publisher.key().thumbprint();
    leaf.request_id = Must(RequestId::Parse("request-1"));
    release.log_index = log.Append(leaf.Build());
    return release;
  }
  Release MakeRelease(int64_t counter) {
    const std::string bytes = MakeManifest("1." + std::to_string(counter)).Build();
    return Log({bytes, Sign(publisher, manifest::kTypManifest, MakeSignature(bytes, counter).Build()), counter, 0});
  }
  ManifestContext Context() const { return {package, profile, organisation, {}, now}; }

  // --- log
  std::string CheckpointNote(uint64_t size, size_t witness_count = 1) const {
    const std::string text = merkle::BuildCheckpoint({log_key.kid, size, log.Root(size)});
    merkle::Note note = Must(merkle::ParseNote(Must(merkle::SignNote(text, log_key.kid, *log_key.signer))));
    for (size_t i = 0; i < witness_count; ++i) {
      note.signatures.push_back(Must(merkle::Cosign(text, witnesses[i].kid, now, *witnesses[i].signer)));
    }
    return merkle::BuildNote(note);
  }
  std::string Proof(uint64_t index, size_t witness_count = 1) const {
    return ProofAt(index, log.size(), witness_count);
  }
  std::string ProofAt(uint64_t index, uint64_t size, size_t witness_count = 1) const {
    return merkle::BuildLogProof(
        {log.leaf(index), index, log.Inclusion(index, size), CheckpointNote(size, witness_count)});
  }

  // --- orders
  DeviceProfile MakeDevice() const {
    DeviceProfile made;
    made.organisation = organisation;
    made.device_id = Must(DeviceId::Parse("device-1"));
    made.generation = 2;
    made.product = product;
    made.environment = Must(Environment::Parse("production"));
    made.properties = {{"manufacturer", "acme"}, {"model", "g1"}, {"board", "b7"}};
    return made;
  }
  manifest::Order MakeOrder(const Release& release) {
    manifest::Order order;
    order.order_id = Must(OrderId::Parse("order-" + std::to_string(next_sequence)));
    order.device_id = device.device_id;
    order.generation = device.generation;
    order.epoch = package.director_epoch;
    order.sequence = next_sequence++;
    order.issued = now - 30;
    order.expires = now + limits::kDaySeconds;
    order.package_version = package.version;
    order.plan_id = Must(PlanId::Parse("plan-1"));
    order.manifest_sha256 = release.sha256();
    const auto manifest = Must(manifest::UpdateManifest::Parse(release.manifest));
    const bool is_sealed = device.delivery == manifest::Delivery::kSealed;
    for (const auto& file : manifest.files) {
      if (is_sealed) order.contents.push_back({file.id, crypto::HashSha256("sealed"), {file.size.value + 56}});
      if (!is_sealed) order.contents.push_back({file.id, file.sha256, file.size});
    }
    if (is_sealed) order.content_key = "a..b.c.d";
    return order;
  }
  manifest::Order MakeCancel() {
    manifest::Order order;
    order.order_id = Must(OrderId::Parse("cancel-" + std::to_string(next_sequence)));
    order.action = manifest::OrderAction::kCancel;
    order.device_id = device.device_id;
    order.generation = device.generation;
    order.epoch = package.director_epoch;
    order.sequence = next_sequence++;
    order.issued = now - 30;
    order.expires = now + limits::kDaySeconds;
    order.package_version = package.version;
    order.plan_id = Must(PlanId::Parse("plan-1"));
    return order;
  }
  std::string SignOrder(const manifest::Order& order) const {
    return Sign(director, manifest::kTypOrder, order.Build());
  }
  OrderDocuments Documents(const Release& release, const manifest::Order& order, const TrustState& state) const {
    const auto stored = state.checkpoints.find(log_key.kid);
    const uint64_t known = stored == state.checkpoints.end() ? 0 : stored->second.size;
    return {SignOrder(order), release.manifest, release.signature, Proof(release.log_index),
            log.Consistency(known, log.size())};
  }
  // Accepts and commits release `counter` on `state`.
  TrustState Installed(const TrustState& state, const Release& release) {
    const auto accepted = Must(AcceptOrder(state, device, Documents(release, MakeOrder(release), state), now));
    return AfterCommit(accepted.next_state, accepted);
  }
  manifest::Permit MakePermit(const Release& from, const Release& to) const {
    manifest::Permit permit;
    permit.permit_id = Must(PermitId::Parse("permit-1"));
    permit.product = product;
    permit.from = {from.counter, from.sha256()};
    permit.to = {to.counter, to.sha256()};
    permit.device_ids = {device.device_id};
    permit.issued = now - 100;
    permit.expires = now + limits::kDaySeconds;
    return permit;
  }
  std::string SignPermit(const manifest::Permit& permit) const {
    return Sign(publisher, manifest::kTypPermit, permit.Build());
  }
};

}  // namespace fleetseal::trust::testing

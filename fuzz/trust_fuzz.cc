// The decisions of the trust core. Two ways in:
//  - any bytes as one of the documents: only the genuine one is ever accepted, and a refusal changes nothing;
//  - any words, signed by the director's true key: whatever is accepted keeps the rules (this device, numbers that
//  rise,
//    dates, counters that do not fall).
#include "crypto/digest.h"
#include "fuzz/target.h"
#include "fuzz/world.h"
#include "jose/jws.h"
#include "manifest/typ.h"
#include "trust/trust.h"

namespace fleetseal::fuzz {
namespace {

template <typename T>
T Must(Result<T> outcome) {
  CHECK(outcome.has_value());
  return *std::move(outcome);
}
template <typename T>
T Must(Verdict<T> outcome) {
  CHECK(outcome.has_value());
  return *std::move(outcome);
}

struct World {
  std::string next_package = WorldFile("package-2.json");
  std::string status = WorldFile("status.jws");
  std::string next_status = WorldFile("status-2.jws");
  trust::OrderDocuments documents{
      WorldFile("order.jws"), WorldFile("manifest.json"), WorldFile("manifest.jws"), WorldFile("proof.txt"), {}};
  crypto::SoftwareSigner director{Must(crypto::PrivateKey::FromPem(WorldFile("director.pem")))};
  std::string sjwk = WorldFile("director.sjwk");
  trust::TrustState provisioned = Must(trust::Provision(WorldFile("package-1.json"), kNow - 40 * limits::kDaySeconds));
  trust::TrustState ready = Must(trust::AcceptStatus(provisioned, status, kNow));
  std::string ready_text = ready.Serialize();
  trust::DeviceProfile device;

  World() {
    device.organisation = Must(Organisation::Parse("acme"));
    device.device_id = Must(DeviceId::Parse("device-1"));
    device.generation = 2;
    device.product = Must(ProductName::Parse("acme/gateway"));
    device.environment = Must(Environment::Parse("production"));
    device.properties = {{"manufacturer", "acme"}, {"model", "g1"}, {"board", "b7"}};
  }
  // Empty if nobody can sign that (no payload).
  std::string Sign(std::string_view typ, ByteView payload) const {
    const jose::JwsHeader header{director.public_key().default_algorithm(), std::string(typ), std::nullopt, sjwk};
    return jose::SignCompact(director, header, payload).value_or("");
  }
};
const World& TheWorld() {
  static const World world;
  return world;
}
// A refusal changes nothing.
void CheckUnchanged() { CHECK(TheWorld().ready.Serialize() == TheWorld().ready_text); }

bool TryPackageStep(ByteView input) {
  const World& world = TheWorld();
  const auto next = trust::AcceptPackageStep(world.ready, AsText(input));
  CheckUnchanged();
  if (!next) return false;
  static const auto genuine = Must(manifest::RootPackageDocument::Parse(world.next_package));
  CHECK(next->package->SignedBytes() == genuine.SignedBytes());
  CHECK(next->time_floor >= world.ready.time_floor);
  return true;
}
bool TryProvision(ByteView input) {
  const auto state = trust::Provision(AsText(input), kNow);
  if (!state) return false;
  const std::string is = state->package->SignedBytes();
  CHECK(is == TheWorld().provisioned.package->SignedBytes() ||
        is == Must(manifest::RootPackageDocument::Parse(TheWorld().next_package)).SignedBytes());
  return true;
}
bool TryStatus(ByteView input) {
  const World& world = TheWorld();
  const auto next = trust::AcceptStatus(world.ready, AsText(input), kNow);
  CheckUnchanged();
  CHECK(!next.has_value() || AsText(input) == world.next_status || AsText(input) == world.status);
  return next.has_value();
}

bool TryDocuments(const trust::OrderDocuments& documents) {
  const World& world = TheWorld();
  const auto accepted = trust::AcceptOrder(world.ready, world.device, documents, kNow);
  CheckUnchanged();
  return accepted.has_value();
}
bool TryOrder(ByteView input) {
  trust::OrderDocuments documents = TheWorld().documents;
  documents.order = AsText(input);
  const bool is_accepted = TryDocuments(documents);
  CHECK(!is_accepted || documents.order == TheWorld().documents.order);
  return is_accepted;
}
bool TryManifest(ByteView input) {
  trust::OrderDocuments documents = TheWorld().documents;
  documents.manifest = AsText(input);
  const bool is_accepted = TryDocuments(documents);
  CHECK(!is_accepted || documents.manifest == TheWorld().documents.manifest);
  return is_accepted;
}
bool TryManifestSignature(ByteView input) {
  trust::OrderDocuments documents = TheWorld().documents;
  documents.manifest_signature = AsText(input);
  const bool is_accepted = TryDocuments(documents);
  CHECK(!is_accepted || documents.manifest_signature == TheWorld().documents.manifest_signature);
  return is_accepted;
}
// Lines of unknown witnesses may come and go; leaf and checkpoint may not change.
bool TryLogProof(ByteView input) {
  const World& world = TheWorld();
  trust::OrderDocuments documents = world.documents;
  documents.log_proof = AsText(input);
  const auto accepted = trust::AcceptOrder(world.ready, world.device, documents, kNow);
  CheckUnchanged();
  if (!accepted) return false;
  static const std::string genuine =
      Must(trust::AcceptOrder(world.ready, world.device, world.documents, kNow)).next_state.Serialize();
  CHECK(accepted->next_state.Serialize() == genuine);
  return true;
}

bool TrySignedStatus(ByteView input) {
  const World& world = TheWorld();
  const auto next = trust::AcceptStatus(world.ready, world.Sign(manifest::kTypStatus, input), kNow);
  CheckUnchanged();
  if (!next) return false;
  CHECK(next->status != nullptr && next->status->version > world.ready.status->version);
  CHECK(next->status->epoch == world.ready.root_package().director_epoch);
  CHECK(next->status->expires > kNow &&
        next->status->expires.value - next->status->issued.value <= limits::kStatusLifetimeMax);
  CHECK(next->time_floor >= world.ready.time_floor);
  CHECK(next->package == world.ready.package && next->counters.size() == world.ready.counters.size());
  const auto reread = trust::TrustState::Parse(next->Serialize());
  CHECK(reread.has_value() && reread->Serialize() == next->Serialize());
  return true;
}
bool TrySignedOrder(ByteView input) {
  const World& world = TheWorld();
  trust::OrderDocuments documents = world.documents;
  documents.order = world.Sign(manifest::kTypOrder, input);
  const auto accepted = trust::AcceptOrder(world.ready, world.device, documents, kNow);
  CheckUnchanged();
  if (!accepted) return false;
  const manifest::Order& order = accepted->order.order();
  CHECK(order.device_id == world.device.device_id && order.generation == world.device.generation);
  CHECK(order.epoch == world.ready.root_package().director_epoch);
  CHECK(order.expires > kNow && order.issued <= order.expires);
  CHECK(order.package_version <= world.ready.root_package().version);
  CHECK(accepted->next_state.order.has_value() && accepted->next_state.order->sequence == order.sequence);
  if (!accepted->order.is_cancel()) {
    CHECK(accepted->manifest.has_value());
    CHECK(order.manifest_sha256 == crypto::HashSha256(world.documents.manifest));
    CHECK(order.contents.size() == accepted->manifest->manifest().files.size());
  }
  const auto reread = trust::TrustState::Parse(accepted->next_state.Serialize());
  CHECK(reread.has_value());
  // The same order with a lower number is refused from now on.
  CHECK(!trust::AcceptOrder(accepted->next_state, world.device, world.documents, kNow).has_value() ||
        order.sequence <= 1000);
  return true;
}
bool TryState(ByteView input) {
  const auto state = trust::TrustState::Parse(AsText(input));
  if (!state) return false;
  const std::string text = state->Serialize();
  const auto again = trust::TrustState::Parse(text);
  CHECK(again.has_value() && again->Serialize() == text);
  return true;
}

constexpr Case kCases[] = {
    {"package-step", TryPackageStep},
    {"provision", TryProvision},
    {"status", TryStatus},
    {"order", TryOrder},
    {"manifest", TryManifest},
    {"manifest-signature", TryManifestSignature},
    {"log-proof", TryLogProof},
    {"signed-status", TrySignedStatus},
    {"signed-order", TrySignedOrder},
    {"state", TryState},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(trust, kCases)

}  // namespace fleetseal::fuzz

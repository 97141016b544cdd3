// A whole organisation in memory for tests: roots, publisher, director, log with witnesses, one product, one device.
//
// Every function makes a good document; a test changes the model (or the text) and looks for the refusal. Header only, so it is
// compiled into tests and nothing else. Time stands still at `now`. Thread rule: one thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/signer.h"
#include "jose/jws.h"
#include "jose/sjwk.h"
#include "manifest/log_leaf.h"
#include "manifest/permit.h"
#include "manifest/typ.h"
#include "merkle/hash.h"
#include "merkle/proof.h"
#include "merkle/tree.h"
#include "trust/trust.h"

// The verdict (or result) is a refusal with ErrorCode::<expected_code>.
#define EXPECT_REFUSED(expression, expected_code)                                             \
  do {                                                                                        \
    const auto outcome_ = (expression);                                                       \
    ASSERT_FALSE(outcome_.has_value()) << "was accepted";                                     \
    EXPECT_EQ(ErrorCodeName(outcome_.error().code), ErrorCodeName(ErrorCode::expected_code)) << outcome_.error().ToString(); \
  } while (false)

namespace fleetseal::trust::testing {

template <typename T>
T Must(Result<T> result) {
  if (!result) fprintf(stderr, "test world: %s\n", result.error().ToString().c_str());
  CHECK(result.has_value());
  return *std::move(result);
}
template <typename T>
T Must(Verdict<T> verdict) {
  if (!verdict) fprintf(stderr, "test world: %s\n", verdict.error().ToString().c_str());
  CHECK(verdict.has_value());
  return *std::move(verdict);
}

struct WorldKey {
  std::string kid;
  std::shared_ptr<const crypto::SoftwareSigner> signer;

  static WorldKey Make(std::string kid, crypto::KeyKind kind = crypto::KeyKind::kP256) {
    return {std::move(kid), std::make_shared<const crypto::SoftwareSigner>(Must(crypto::PrivateKey::Generate(kind)))};
  }
  const crypto::PublicKey& key() const { return signer->public_key(); }
  crypto::SignatureAlgorithm alg() const { return key().default_algorithm(); }
};

// A log in memory; hashes are computed anew each time.
class WorldLog final : public merkle::HashReader {
 public:
  uint64_t Append(std::string_view leaf) {
    leaves_.push_back(ToBytes(leaf));
    hashes_.push_back(merkle::LeafHash(leaves_.back()));
    return leaves_.size() - 1;
  }
  uint64_t size() const { return leaves_.size(); }
  const Bytes& leaf(uint64_t index) const { return leaves_[index]; }
  Sha256 Root(uint64_t size) const { return merkle::RootOf(std::span(hashes_).first(size)); }
  Result<Sha256> Node(int level, uint64_t index) const override {
    return merkle::RootOf(std::span(hashes_).subspan(index << level, uint64_t{1} << level));
  }
  std::vector<Sha256> Inclusion(uint64_t index, uint64_t size) const { return Must(merkle::InclusionProof(index, size, *this)); }
  std::vector<Sha256> Consistency(uint64_t old_size, uint64_t new_size) const {
    if (old_size == 0 || old_size == new_size) return {};
    return Must(merkle::ConsistencyProof(old_size, new_size, *this));
  }

 private:
  std::vector<Bytes> leaves_;
  std::vector<Sha256> hashes_;
};

// One signed and logged update.
struct Release {
  std::string manifest;   // exact bytes
  std::string signature;  // compact JWS
  int64_t counter = 0;
  uint64_t log_index = 0;
  Sha256 sha256() const { return crypto::HashSha256(manifest); }
};

class TestWorld {
 public:
  UnixSeconds now{1'800'000'000};
  Organisation organisation = Must(Organisation::Parse("acme"));
  ProductName product = Must(ProductName::Parse("acme/gateway"));
  std::vector<WorldKey> roots{WorldKey::Make("root-1"), WorldKey::Make("root-2"), WorldKey::Make("root-3")};
  WorldKey publisher = WorldKey::Make("publisher-1");
  WorldKey agent_release = WorldKey::Make("agent-release-1");
  WorldKey director = WorldKey::Make("director-1");
  WorldKey log_key = WorldKey::Make("log.example", crypto::KeyKind::kEd25519);
  std::vector<WorldKey> witnesses{WorldKey::Make("witness-1.example", crypto::KeyKind::kEd25519),
                                  WorldKey::Make("witness-2.example", crypto::KeyKind::kEd25519)};
  WorldLog log;
  manifest::RootPackage package = MakePackage();
  DeviceProfile device = MakeDevice();
  Profile profile = Profile::kNative;
  int64_t next_sequence = 1000;
  int64_t next_status_version = 1;

  // --- packages
  manifest::SigningKeyListing Listing(const WorldKey& key, manifest::KeyRole role, int64_t days) const {
    manifest::SigningKeyListing listing;
    listing.kid = Must(KeyId::Parse(key.kid));
    listing.thumbprint = key.key().thumbprint();
    listing.alg = key.alg();
    listing.role = role;
    if (role != manifest::KeyRole::kDirector) listing.products = {product};
    listing.not_before = now - limits::kDaySeconds;
    listing.not_after = listing.not_before + days * limits::kDaySeconds;
    return listing;
  }
  manifest::SigningKeyListing& ListingOf(std::string_view kid) {
    for (auto& listing : package.signing_keys) {
      if (listing.kid.text() == kid) return listing;
    }
    CHECK(false);
  }
  std::string VkeyText(const WorldKey& key, merkle::NoteKeyType type) const {
    return Must(manifest::VkeyToPackage(Must(merkle::Vkey::FromEd25519(key.kid, key.key().x(), type)).ToText()));
  }
  manifest::RootPackage MakePackage() const {
    manifest::RootPackage made;
    made.version = 1;
    made.published = now - limits::kDaySeconds;
    made.expires = made.published + 100 * limits::kDaySeconds;
    made.director_epoch = 1;
    made.threshold = 2;
    for (const WorldKey& root : roots) made.root_keys_ext.push_back({Must(KeyId::Parse(root.kid)), root.key()});
    made.signing_keys = {Listing(publisher, manifest::KeyRole::kPublisher, 90),
                         Listing(agent_release, manifest::KeyRole::kAgentRelease, 90),
                         Listing(director, manifest::KeyRole::kDirector, 30)};
    manifest::PackageLog log_entry;
    log_entry.origin = log_key.kid;
    log_entry.vkeys = {VkeyText(log_key, merkle::NoteKeyType::kEd25519)};
    for (const WorldKey& witness : witnesses) {
      log_entry.witnesses.push_back(VkeyText(witness, merkle::NoteKeyType::kCosignatureV1));
    }
    log_entry.quorum = 1;
    made.logs = {log_entry};
    made.min_counter[product] = 2;
    made.server_cas = {Bytes{0x30, 0x00}};
    made.device_cas = {Bytes{0x30, 0x01, 0x00}};
    return made;
  }
  manifest::PackageSignature SignRoot(const WorldKey& root, std::string_view protected_text) const {
    return {Must(KeyId::Parse(root.kid)), root.alg(), Must(root.signer->Sign(root.alg(), AsBytes(protected_text)))};
  }
  // Signed by the roots of those positions.
  std::string SignPackage(const manifest::RootPackage& model, const std::vector<size_t>& by = {0, 1, 2}) const {
    const std::string text = manifest::BuildProtected(model);
    std::vector<manifest::PackageSignature> signatures;
    for (const size_t i : by) signatures.push_back(SignRoot(roots[i], text));
    return manifest::AssemblePackage(text, {}, signatures);
  }
  // The package after `package`, which a test may change before signing.
  manifest::RootPackage NextPackage() const {
    manifest::RootPackage next = package;
    next.version += 1;
    next.published = now;
    next.expires = now + 100 * limits::kDaySeconds;
    return next;
  }
  TrustState Provisioned() const { return Must(Provision(SignPackage(package), now - 40 * limits::kDaySeconds, profile)); }
  // Provisioned, with a fresh status.
  TrustState Ready() { return Must(AcceptStatus(Provisioned(), SignStatus(MakeStatus()), now)); }

  // --- JWS
  std::string Sjwk(const WorldKey& root, const WorldKey& key) const {
    jose::SjwkOptions options{root.kid, root.alg(),
                              profile == Profile::kAdu ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url};
    return Must(jose::SignSjwk(*root.signer, options, {key.key(), key.kid, key.alg()}));
  }
  std::string SignJws(const WorldKey& key, std::string_view typ, std::string_view payload, std::string sjwk) const {
    const jose::JwsHeader header{key.alg(), std::string(typ), std::nullopt, std::move(sjwk)};
    return Must(jose::SignCompact(*key.signer, header, AsBytes(payload)));
  }
  std::string Sign(const WorldKey& key, std::string_view typ, std::string_view payload) const {
    return SignJws(key, typ, payload, Sjwk(roots[0], key));
  }

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
    made.files = {{manifest::MakeFileId("rootfs.img", digest), "rootfs.img", {contents.size()}, digest, std::nullopt, std::nullopt}};
    made.steps = {{std::string(manifest::kHandlerSlot), {made.files[0].id}, {}}};
    made.created = now - 3600;
    return made;
  }
  manifest::ManifestSignature MakeSignature(std::string_view manifest_bytes, int64_t counter) const {
    return {crypto::HashSha256(manifest_bytes), product, counter, manifest::AudienceOf(organisation), device.delivery, now - 1800};
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
    return merkle::BuildLogProof({log.leaf(index), index, log.Inclusion(index, size), CheckpointNote(size, witness_count)});
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
  std::string SignOrder(const manifest::Order& order) const { return Sign(director, manifest::kTypOrder, order.Build()); }
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

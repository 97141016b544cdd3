// The part of the test world that signs: roots, signing keys, log and witness keys, and the root-key package that lists
// them.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jose/jws.h"
#include "jose/sjwk.h"
#include "trust/testing/world_parts.h"
#include "trust/trust.h"

namespace fleetseal::trust::testing {

// Keys, packages and signatures.
class PackageWorld {
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
  manifest::RootPackage package = MakePackage();
  Profile profile = Profile::kNative;

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
  TrustState Provisioned() const {
    return Must(Provision(SignPackage(package), now - 40 * limits::kDaySeconds, profile));
  }

  // --- JWS
  std::string Sjwk(const WorldKey& root, const WorldKey& key) const {
    jose::SjwkOptions options{
        root.kid, root.alg(),
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
};

}  // namespace fleetseal::trust::testing

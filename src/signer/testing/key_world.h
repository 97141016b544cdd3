// An organisation whose keys are rotated: decisions, sjwks and packages as the security team and the roots make them.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <string>

#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {

class KeyWorld : public SignerWorld {
 public:
  Result<api::signing::ChangeAnswer> Decide(manifest::Change one, size_t signatures = 2) {
    const auto change = MakeChange({std::move(one)});
    auto answer = RegisterChange(core(), BySecurity(change, signatures));
    if (answer) change_sequence = change.sequence;
    return answer;
  }
  api::signing::SigningKeyRow Key(const std::string& kid) {
    for (const auto& row : Must(Keys(core())).keys) {
      if (row.kid == kid) return row;
    }
    CHECK(false);
    return {};
  }
  // The kid that signs now for that role.
  std::string InUse(const std::string& role) {
    std::string kid;
    for (const auto& row : Must(Keys(core())).keys) {
      if (row.role == role && row.is_in_use) kid = row.kid;
    }
    return kid;
  }
  // Makes a key; its row.
  api::signing::SigningKeyRow Create(manifest::KeyRole role) {
    manifest::CreateKey create{role, {}, crypto::SignatureAlgorithm::kEs256};
    if (role != manifest::KeyRole::kDirector) create.products = {product};
    const auto before = Must(Keys(core())).keys;
    (void)Must(Decide(create));
    for (const auto& row : Must(Keys(core())).keys) {
      if (std::ranges::none_of(before, [&](const auto& one) { return one.kid == row.kid; })) return row;
    }
    CHECK(false);
    return {};
  }
  std::string SjwkOf(const api::signing::SigningKeyRow& row, const WorldKey& root) const {
    const auto jwk = Must(jose::ParseJwk(row.jwk));
    return Must(jose::SignSjwk(*root.signer, {root.kid, root.alg(), jose::ModulusForm::kBase64Url},
                               {jwk.key, row.kid, *jwk.alg}));
  }
  void List(const api::signing::SigningKeyRow& row, int64_t days) {
    manifest::SigningKeyListing listing;
    listing.kid = Must(KeyId::Parse(row.kid));
    listing.thumbprint = row.thumbprint;
    listing.alg = Must(crypto::SignatureAlgorithmFromName(row.alg));
    listing.role = row.role == "director"    ? manifest::KeyRole::kDirector
                   : row.role == "publisher" ? manifest::KeyRole::kPublisher
                                             : manifest::KeyRole::kAgentRelease;
    listing.products = row.products;
    listing.not_before = now();
    listing.not_after = now() + days * 86'400;
    package.signing_keys.push_back(listing);
  }
  void Unlist(const std::string& kid) {
    std::erase_if(package.signing_keys, [&](const auto& listing) { return listing.kid.text() == kid; });
  }
  // The next package with what was listed since.
  void Publish() {
    ++package.version;
    package.published = now();
    (void)Must(PublishPackage(core(), SignPackage(package)));
  }
  // The whole flow; the new kid.
  std::string Rotate(manifest::KeyRole role, int64_t days = 30) {
    const auto made = Create(role);
    (void)Must(TakeSjwk(core(), SjwkOf(made, roots[0])));
    List(made, days);
    Publish();
    return made.kid;
  }
  Result<api::signing::ChangeAnswer> Retire(const std::string& kid) {
    return Decide(manifest::RetireKey{Must(KeyId::Parse(kid))});
  }
  bool HasKeyFile(const std::string& store, const std::string& kid) const {
    return sys::FileExists(config.data + "/keys/" + store + "/" + kid + ".json");
  }
  manifest::ResignRequest MakeResign(const Sha256& manifest, const std::string& person = "alice") {
    manifest::ResignRequest request;
    request.request_id = Must(RequestId::Parse(Number("resign")));
    request.product = product;
    request.manifest_sha256 = manifest;
    request.audience = manifest::AudienceOf(config.organisation);
    request.requester = Must(PersonId::Parse(person));
    request.nonce = Nonce();
    request.issued = now();
    request.expires = now() + 3600;
    return request;
  }
  std::string Signed(const manifest::ResignRequest& request) const {
    return SignAs(request.requester.text(), manifest::kTypRequest, request.Build());
  }
  using SignerWorld::Signed;
};

}  // namespace fleetseal::signer::testing

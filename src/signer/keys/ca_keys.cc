#include "signer/keys/ca_keys.h"

#include "pki/chain.h"
#include "pki/issue.h"

namespace fleetseal::signer {
namespace {

std::string FileOf(Purpose purpose) { return std::string(PurposeText(purpose)) + ".crt"; }

pki::IssueOptions LeafFor(const crypto::PublicKey& key, UnixSeconds now, int64_t lifetime) {
  return {.public_key = key,
          .common_name = {},
          .san_uris = {},
          .san_dns = {},
          .san_ips = {},
          .purpose = pki::Purpose::kClient,
          .not_before = now - pki::kClockSlackSeconds,
          .not_after = now + lifetime};
}

}  // namespace

Status CaKeys::Create(Keystore& keystore, const Organisation& organisation, UnixSeconds now) {
  for (const Purpose purpose : {Purpose::kServerCa, Purpose::kDeviceCa, Purpose::kPeopleCa}) {
    TRY(keystore.Generate(purpose, crypto::SignatureAlgorithm::kEs256));
  }
  TRY_ASSIGN(auto keys, keystore.Load(StoreName::kCa));
  for (auto& key : keys) {
    const Purpose purpose = key.facts.purpose;
    const crypto::SoftwareSigner signer(std::move(key.private_key));
    pki::CaOptions options;
    options.common_name = organisation.text().substr(0, 48) + " " + std::string(PurposeText(purpose));
    options.not_before = now - pki::kClockSlackSeconds;
    options.not_after = now + kCaLifetime;
    // Its successor is cross-signed by it, so that devices that slept through the change find their server (section 9).
    options.path_length = purpose == Purpose::kServerCa ? 1 : 0;
    TRY_ASSIGN(const pki::Certificate certificate, pki::CreateCa(signer, options));
    TRY(keystore.WritePublicFile(StoreName::kCa, FileOf(purpose), certificate.ToPem()));
  }
  return {};
}

Result<CaKeys> CaKeys::Load(const Keystore& keystore, const Organisation& organisation) {
  TRY_ASSIGN(auto keys, keystore.Load(StoreName::kCa));
  std::map<Purpose, Ca> cas;
  for (auto& key : keys) {
    const Purpose purpose = key.facts.purpose;
    TRY_ASSIGN(const std::string pem, keystore.ReadPublicFile(StoreName::kCa, FileOf(purpose)));
    TRY_ASSIGN_CONTEXT(pki::Certificate certificate, pki::Certificate::FromPem(pem), FileOf(purpose));
    if (!(certificate.public_key() == key.facts.key)) {
      return Fail(ErrorCode::kCorrupt, FileOf(purpose) + " is of another key");
    }
    DocumentKey held{std::move(key.facts), std::make_unique<crypto::SoftwareSigner>(std::move(key.private_key))};
    if (!cas.emplace(purpose, Ca{std::move(held), std::move(certificate)}).second) {
      return Fail(ErrorCode::kConflict, "two keys for " + std::string(PurposeText(purpose)));
    }
  }
  if (cas.size() != 3) return Fail(ErrorCode::kNotFound, "a CA is missing");
  return CaKeys(organisation, std::move(cas.at(Purpose::kServerCa)), std::move(cas.at(Purpose::kDeviceCa)),
                std::move(cas.at(Purpose::kPeopleCa)));
}

Result<pki::Certificate> CaKeys::IssueDevice(const DeviceId& id, const crypto::PublicKey& key, UnixSeconds now) const {
  pki::IssueOptions options = LeafFor(key, now, kLeafLifetime);
  options.common_name = id.text();
  options.san_uris = {pki::IdentityUri(organisation_, {pki::IdentityKind::kDevice, id.text()})};
  return pki::Issue(device_.certificate, *device_.key.signer, options);
}

Result<pki::Certificate> CaKeys::IssuePerson(const PersonId& id, const crypto::PublicKey& key, UnixSeconds now) const {
  pki::IssueOptions options = LeafFor(key, now, kLeafLifetime);
  options.common_name = id.text();
  options.san_uris = {pki::IdentityUri(organisation_, {pki::IdentityKind::kPerson, id.text()})};
  return pki::Issue(people_.certificate, *people_.key.signer, options);
}

Result<pki::Certificate> CaKeys::IssueServer(const ServerNames& names, const crypto::PublicKey& key,
                                             UnixSeconds now) const {
  pki::IssueOptions options = LeafFor(key, now, kServerLifetime);
  // For people who read it; verifiers look at the SAN only.
  options.common_name = organisation_.text().substr(0, 48) + " server";
  options.san_dns = names.dns;
  options.san_ips = names.ips;
  options.purpose = pki::Purpose::kServer;
  return pki::Issue(server_.certificate, *server_.key.signer, options);
}

Result<pki::Certificate> CaKeys::CrossSignServerCa(const pki::Certificate& next, UnixSeconds now) const {
  return pki::CrossSign(next, server_.certificate, *server_.key.signer, now - pki::kClockSlackSeconds);
}

}  // namespace fleetseal::signer

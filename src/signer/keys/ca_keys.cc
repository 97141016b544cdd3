#include "signer/keys/ca_keys.h"

#include "codec/base64.h"
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

pki::CaOptions CaFor(const Organisation& organisation, Purpose purpose, UnixSeconds now) {
  pki::CaOptions options;
  options.common_name = organisation.text().substr(0, 48) + " " + std::string(PurposeText(purpose));
  options.not_before = now - pki::kClockSlackSeconds;
  options.not_after = now + kCaLifetime;
  // Its successor is cross-signed by it, so that devices that slept through the change find their server (section 9).
  options.path_length = purpose == Purpose::kServerCa ? 1 : 0;
  return options;
}

Result<pki::Certificate> ReadCa(const Keystore& keystore, const std::string& file) {
  TRY_ASSIGN_CONTEXT(const std::string pem, keystore.ReadPublicFile(StoreName::kCa, file), "the certificate of a CA");
  TRY_ASSIGN_CONTEXT(pki::Certificate certificate, pki::Certificate::FromPem(pem), file);
  return certificate;
}

// The database says which CA counts, by its fingerprint: neither it nor the folder alone makes another one count.
Result<pki::Certificate> ReadNamed(const Keystore& keystore, const NamedCa& named) {
  TRY_ASSIGN(const KeyId kid, KeyId::Parse(named.kid));
  TRY_ASSIGN_CONTEXT(pki::Certificate certificate, ReadCa(keystore, kid.text() + ".crt"),
                     kid.text() + ".crt, SHA-256 " + codec::EncodeBase64Url(named.fingerprint.view()));
  if (certificate.fingerprint() != named.fingerprint)
    return Fail(ErrorCode::kCorrupt, kid.text() + ".crt is not the certificate on record");
  return certificate;
}

// A certificate says which key is its own, so a foreign one looks like that of a lost key. Where nothing else names the
// certificate, the key that is there does: one whose certificate lies beside it was made to follow, and never did.
Status CheckLost(const Keystore& keystore, Purpose purpose, const std::string& lost) {
  TRY_ASSIGN(const auto kids, keystore.ListKids(StoreName::kCa));
  for (const auto& kid : kids) {
    const bool is_other = kid != lost && kid.starts_with(std::string(PurposeText(purpose)) + "-");
    if (is_other && !keystore.HasPublicFile(StoreName::kCa, kid + ".crt"))
      return Fail(ErrorCode::kCorrupt, FileOf(purpose) + " is of the key " + lost + ", and the key that is here is " +
                                           kid + ": another certificate was put in its place");
  }
  return {};
}

Status RequireKey(const crypto::Signer* signer, Purpose purpose) {
  if (signer != nullptr) return {};
  return Fail(ErrorCode::kKeyInvalid, "the key of the " + std::string(PurposeText(purpose)) + " is lost");
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
    TRY_ASSIGN(const pki::Certificate certificate, pki::CreateCa(signer, CaFor(organisation, purpose, now)));
    TRY(keystore.WritePublicFile(StoreName::kCa, FileOf(purpose), certificate.ToPem()));
  }
  return {};
}

Result<pki::Certificate> CaKeys::MakeNext(Keystore& keystore, const Organisation& organisation, Purpose purpose,
                                          int64_t number, UnixSeconds now) {
  TRY_ASSIGN(const LoadedKey key, Keystore::Make(purpose, crypto::SignatureAlgorithm::kEs256));
  TRY_ASSIGN(crypto::PrivateKey same, crypto::PrivateKey::FromPkcs8Der(key.private_key.pkcs8_der().reveal()));
  const crypto::SoftwareSigner signer(std::move(same));
  pki::CaOptions options = CaFor(organisation, purpose, now);
  // A name of its own: verifiers look for an issuer by name first.
  options.common_name += " " + std::to_string(number);
  TRY_ASSIGN(pki::Certificate certificate, pki::CreateCa(signer, options));
  // In this order: see CheckLost.
  TRY(Keep(keystore, purpose, certificate));
  TRY(keystore.Put(key));
  return certificate;
}

Status CaKeys::Keep(const Keystore& keystore, Purpose purpose, const pki::Certificate& certificate) {
  return keystore.WritePublicFile(StoreName::kCa, KidOf(purpose, certificate.public_key()) + ".crt",
                                  certificate.ToPem());
}

Result<CaKeys::Ca> CaKeys::LoadCa(const Keystore& keystore, Purpose purpose, const NamedCas& named,
                                  LostKeys lost_keys) {
  TRY_ASSIGN(pki::Certificate certificate,
             named.current ? ReadNamed(keystore, *named.current) : ReadCa(keystore, FileOf(purpose)));
  Ca ca{nullptr, std::move(certificate), {}, {}};
  for (const NamedCa& one : named.accepted) {
    auto accepted = ReadNamed(keystore, one);
    if (accepted) {
      ca.accepted.push_back(*std::move(accepted));
    } else if (lost_keys == LostKeys::kAllow) {
      ca.lost.push_back(accepted.error().detail);
    } else {
      return tl::unexpected(accepted.error());
    }
  }
  const std::string kid = KidOf(purpose, ca.certificate.public_key());
  auto key = keystore.LoadOne(StoreName::kCa, kid);
  if (!key && lost_keys == LostKeys::kAllow) {
    if (!named.current && purpose != Purpose::kServerCa) TRY(CheckLost(keystore, purpose, kid));
    return ca;
  }
  if (!key && key.error().code == ErrorCode::kNotFound)
    return Fail(ErrorCode::kNotFound, "the key " + kid + ", of the present " + std::string(PurposeText(purpose)) +
                                          ", is lost: bring it back from a backup, or see " +
                                          (purpose == Purpose::kServerCa ? "lost-ca-key.md" : "lost-client-ca.md"));
  TRY(key);
  if (!(ca.certificate.public_key() == key->facts.key))
    return Fail(ErrorCode::kCorrupt, "the certificate of " + kid + " is of another key");
  ca.signer = std::make_unique<crypto::SoftwareSigner>(std::move(key->private_key));
  return ca;
}

Result<CaKeys> CaKeys::Load(const Keystore& keystore, const Organisation& organisation, const CaChoice& choice,
                            LostKeys lost_keys) {
  TRY_ASSIGN(Ca server, LoadCa(keystore, Purpose::kServerCa, {}, lost_keys));
  TRY_ASSIGN(Ca device, LoadCa(keystore, Purpose::kDeviceCa, choice.device, lost_keys));
  TRY_ASSIGN(Ca people, LoadCa(keystore, Purpose::kPeopleCa, choice.people, lost_keys));
  return CaKeys(organisation, std::move(server), std::move(device), std::move(people));
}

const CaKeys::Ca& CaKeys::Of(Purpose purpose) const {
  if (purpose == Purpose::kDeviceCa) return device_;
  return purpose == Purpose::kPeopleCa ? people_ : server_;
}

std::vector<pki::Certificate> CaKeys::AllOf(Purpose purpose) const {
  const Ca& ca = Of(purpose);
  std::vector<pki::Certificate> all = {ca.certificate};
  all.insert(all.end(), ca.accepted.begin(), ca.accepted.end());
  return all;
}

Result<pki::Certificate> CaKeys::IssueDevice(const DeviceId& id, const crypto::PublicKey& key, UnixSeconds now) const {
  TRY(RequireKey(device_.signer.get(), Purpose::kDeviceCa));
  pki::IssueOptions options = LeafFor(key, now, kLeafLifetime);
  options.common_name = id.text();
  options.san_uris = {pki::IdentityUri(organisation_, {pki::IdentityKind::kDevice, id.text()})};
  return pki::Issue(device_.certificate, *device_.signer, options);
}

Result<pki::Certificate> CaKeys::IssuePerson(const PersonId& id, const crypto::PublicKey& key, UnixSeconds now) const {
  TRY(RequireKey(people_.signer.get(), Purpose::kPeopleCa));
  pki::IssueOptions options = LeafFor(key, now, kLeafLifetime);
  options.common_name = id.text();
  options.san_uris = {pki::IdentityUri(organisation_, {pki::IdentityKind::kPerson, id.text()})};
  return pki::Issue(people_.certificate, *people_.signer, options);
}

Result<pki::Certificate> CaKeys::IssueServer(const ServerNames& names, const crypto::PublicKey& key,
                                             UnixSeconds now) const {
  TRY(RequireKey(server_.signer.get(), Purpose::kServerCa));
  pki::IssueOptions options = LeafFor(key, now, kServerLifetime);
  // For people who read it; verifiers look at the SAN only.
  options.common_name = organisation_.text().substr(0, 48) + " server";
  options.san_dns = names.dns;
  options.san_ips = names.ips;
  options.purpose = pki::Purpose::kServer;
  return pki::Issue(server_.certificate, *server_.signer, options);
}

Result<pki::Certificate> CaKeys::CrossSignServerCa(const pki::Certificate& next, UnixSeconds now) const {
  TRY(RequireKey(server_.signer.get(), Purpose::kServerCa));
  return pki::CrossSign(next, server_.certificate, *server_.signer, now - pki::kClockSlackSeconds);
}

}  // namespace fleetseal::signer

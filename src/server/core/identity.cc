#include "server/core/identity.h"

#include <algorithm>

#include "pki/chain.h"

namespace fleetseal::server {
namespace {

// One type for both listeners, so that an attachment is never read as another type.
struct CertificateFacts {
  pki::Identity identity;
  Sha256 fingerprint;
  Sha256 key;
  std::string key_id;
  UnixSeconds ends;
};

Result<std::shared_ptr<const CertificateFacts>> FactsOf(const Core& core, const http::Request& request) {
  const Bytes* der = request.peer_certificate_der();
  if (der == nullptr) return Fail(ErrorCode::kNotAuthenticated, "no client certificate");
  if (request.peer->attachment) return std::static_pointer_cast<const CertificateFacts>(request.peer->attachment);
  TRY_ASSIGN(const pki::Certificate certificate, request.peer->certificate
                                                     ? pki::Certificate::FromParsed(*request.peer->certificate)
                                                     : pki::Certificate::FromDer(*der));
  TRY_ASSIGN(const pki::Identity identity, pki::IdentityOf(certificate, core.config.organisation));
  auto facts = std::make_shared<const CertificateFacts>(
      CertificateFacts{identity, certificate.fingerprint(), certificate.public_key().thumbprint(),
                       certificate.public_key().key_id(), certificate.not_after()});
  request.peer->attachment = facts;
  return std::shared_ptr<const CertificateFacts>(std::move(facts));
}

}  // namespace

Result<DeviceIdentity> DeviceOf(const Core& core, const http::Request& request) {
  TRY_ASSIGN(const auto facts, FactsOf(core, request));
  if (facts->identity.kind != pki::IdentityKind::kDevice) {
    return Fail(ErrorCode::kCertificateInvalid, "the certificate is not a device's");
  }
  TRY_ASSIGN(DeviceId id, DeviceId::Parse(facts->identity.id));
  return DeviceIdentity{std::move(id), facts->fingerprint, facts->key, facts->ends};
}

Result<DeviceIdentity> ActiveDeviceOf(const Core& core, const http::Request& request) {
  TRY_ASSIGN(DeviceIdentity device, DeviceOf(core, request));
  const Verdict<void> verdict = core.devices.Authenticate(device.id, device.certificate, device.key);
  if (!verdict) return Fail(verdict.error());
  return device;
}

Result<Person> PersonOf(const Core& core, const http::Request& request) {
  TRY_ASSIGN(const auto facts, FactsOf(core, request));
  if (facts->identity.kind != pki::IdentityKind::kPerson) {
    return Fail(ErrorCode::kCertificateInvalid, "the certificate is not a person's");
  }
  TRY_ASSIGN(const PersonId id, PersonId::Parse(facts->identity.id));
  Verdict<Person> person = core.people.Authenticate(id, facts->key_id);
  if (!person) return Fail(person.error());
  return *std::move(person);
}

Status DemandRole(const Person& person, std::initializer_list<PersonRole> roles) {
  if (std::any_of(roles.begin(), roles.end(), [&](PersonRole role) { return person.Has(role); })) return {};
  std::string names;
  for (const PersonRole role : roles) names.append(names.empty() ? "" : " or ").append(manifest::PersonRoleName(role));
  return Fail(ErrorCode::kRoleMissing, person.id.text() + " does not have the role " + names);
}

Status DemandProduct(const Person& person, const ProductName& product) {
  if (person.products.Covers(product)) return {};
  return Fail(ErrorCode::kRoleMissing, person.id.text() + " has no role for " + product.text());
}

}  // namespace fleetseal::server

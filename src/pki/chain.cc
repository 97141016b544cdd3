#include "pki/chain.h"

#include <vector>

namespace fleetseal::pki {
namespace {

tl::unexpected<Error> Invalid(std::string detail) { return Fail(ErrorCode::kCertificateInvalid, std::move(detail)); }

bool IsInDate(const Certificate& certificate, UnixSeconds now) {
  return certificate.not_before() <= now && now <= certificate.not_after();
}

// RFC 5280 section 6.1.4 (k) to (n), and no extension that we would have to obey without knowing how.
bool IsUsableCa(const Certificate& ca) {
  return ca.is_ca() && ca.can_sign_certificates() && !ca.has_unknown_critical_extension();
}

bool IsNamedIssuer(const Certificate& certificate, const Certificate& issuer) {
  if (certificate.issuer_der() != issuer.subject_der()) return false;
  const Bytes& wanted = certificate.authority_key_id();
  return wanted.empty() || issuer.subject_key_id().empty() || wanted == issuer.subject_key_id();
}

bool IsIssuedBy(const Certificate& certificate, const Certificate& issuer) {
  return IsUsableCa(issuer) && IsNamedIssuer(certificate, issuer) &&
         certificate.VerifySignedBy(issuer.public_key()).has_value();
}

// RFC 5280 section 6.1.4 (l): how many intermediates a CA allows below itself.
bool AllowsIntermediate(const Certificate& ca) { return !ca.path_length() || *ca.path_length() >= 1; }

Status CheckLeaf(const Certificate& leaf, Purpose purpose) {
  if (leaf.is_ca()) return Invalid("a CA certificate is no end certificate");
  if (leaf.has_unknown_critical_extension()) return Invalid("there is an unknown critical extension");
  if (!leaf.has_purpose(purpose)) {
    return Invalid(purpose == Purpose::kClient ? "not for TLS clients (EKU)" : "not for TLS servers (EKU)");
  }
  if (!leaf.can_sign()) return Invalid("key usage does not allow signatures");
  return {};
}

}  // namespace

Status VerifyChain(const Certificate& leaf, std::span<const Certificate> trusted_cas, Purpose purpose, UnixSeconds now,
                   DateCheck dates, std::span<const Certificate> intermediates) {
  TRY(CheckLeaf(leaf, purpose));
  bool has_chain = false;
  const auto holds = [&](std::initializer_list<const Certificate*> chain) {
    has_chain = true;
    if (dates == DateCheck::kIgnore) return true;
    for (const Certificate* certificate : chain) {
      if (!IsInDate(*certificate, now)) return false;
    }
    return true;
  };
  for (const Certificate& ca : trusted_cas) {
    if (IsIssuedBy(leaf, ca) && holds({&leaf, &ca})) return {};
  }
  for (const Certificate& middle : intermediates) {
    if (!IsIssuedBy(leaf, middle)) continue;
    for (const Certificate& ca : trusted_cas) {
      if (AllowsIntermediate(ca) && IsIssuedBy(middle, ca) && holds({&leaf, &middle, &ca})) return {};
    }
  }
  if (has_chain) return Fail(ErrorCode::kCertificateExpired, "a certificate of the chain is outside its dates");
  return Invalid("no CA that is trusted here issued the certificate");
}

std::string IdentityUri(const Organisation& organisation, const Identity& identity) {
  const char* kind = identity.kind == IdentityKind::kDevice ? "device" : "person";
  return "urn:fleetseal:" + organisation.text() + ":" + kind + ":" + identity.id;
}

Result<Identity> IdentityOf(const Certificate& leaf, const Organisation& organisation) {
  // Trust model section 9: the single SAN URI; CN is ignored.
  if (leaf.san_uris().size() != 1) return Invalid("there is not exactly one SAN URI");
  const std::string& uri = leaf.san_uris().front();
  for (const IdentityKind kind : {IdentityKind::kDevice, IdentityKind::kPerson}) {
    const std::string prefix = IdentityUri(organisation, {.kind = kind, .id = ""});
    if (!uri.starts_with(prefix)) continue;
    Identity identity{.kind = kind, .id = uri.substr(prefix.size())};
    if (!IsIdText(identity.id)) return Invalid("the id in the SAN URI is not valid");
    return identity;
  }
  return Invalid("the SAN URI names no device or person of this organisation");
}

}  // namespace fleetseal::pki

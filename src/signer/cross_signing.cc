#include "signer/cross_signing.h"

#include <algorithm>
#include <shared_mutex>

#include "log/log.h"
#include "manifest/common.h"
#include "manifest/log_leaf.h"
#include "signer/service.h"
#include "signer/store/device_store.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

constexpr size_t kFileBytesMax = 64 * 1024;
constexpr const char* kKind = "server-ca";

tl::unexpected<Error> Invalid(std::string detail) { return Fail(ErrorCode::kCertificateInvalid, std::move(detail)); }

// RFC 5280 section 6.1.4 (k) to (n): what verifiers ask of a CA; and that it stands for itself, as they trust no other.
Status CheckNext(const pki::Certificate& next, const pki::Certificate& old) {
  if (!next.is_ca() || !next.can_sign_certificates() || next.has_unknown_critical_extension())
    return Invalid("the certificate is not that of a CA that may sign certificates");
  if (next.issuer_der() != next.subject_der()) return Invalid("the CA's certificate is signed by another CA");
  if (!next.VerifySignedBy(next.public_key())) return Invalid("the CA's certificate is not signed by its own key");
  if (next.public_key() == old.public_key()) return Invalid("the certificate is of this signer's own server CA");
  // Else a verifier takes one for the other.
  if (next.subject_der() == old.subject_der()) return Invalid("the CA has the name of this signer's own: give it one");
  if (next.subject_key_id().empty()) return Invalid("the CA's certificate has no subject key identifier");
  return {};
}

Status CheckDates(const pki::Certificate& next, const pki::Certificate& old, UnixSeconds now) {
  for (const auto& [ca, name] : {std::pair(&next, "the CA"), {&old, "this signer's server CA"}}) {
    if (ca->not_after() <= now)
      return Fail(ErrorCode::kCertificateExpired,
                  std::string(name) + " has ended on " + manifest::BuildDateTime(ca->not_after()));
  }
  return {};
}

// Trust model section 9: the roots say which CAs are trusted, so whoever has the signer's machine makes no others.
Status CheckListed(const Core& core, const pki::Certificate& next) {
  TRY_ASSIGN(const auto trust, core.Trust());
  const auto& package = trust->root_package();
  if (std::find(package.server_cas.begin(), package.server_cas.end(), next.der()) != package.server_cas.end())
    return {};
  return Fail(ErrorCode::kConflict,
              "root-key package " + std::to_string(package.version) + ", the newest, does not list this server CA");
}

}  // namespace

Result<Json> CrossSignServerCa(Core& core, std::string_view next_pem) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY(core.RequireRunning());
  TRY(core.RequireFreshPackage());
  TRY_ASSIGN_CONTEXT(const auto next, pki::Certificate::FromPem(next_pem), "read the CA's certificate");
  TRY(CheckNext(next, core.cas().server_ca()));
  TRY(CheckDates(next, core.cas().server_ca(), core.Now()));
  TRY(CheckListed(core, next));
  TRY_ASSIGN(const pki::Certificate certificate, core.cas().CrossSignServerCa(next, core.Now()));
  const std::string fingerprint = Text(certificate.fingerprint());
  const auto store = [&](storage::Session& session, uint64_t log_index) {
    return store::InsertCertificate(session, {fingerprint, kKind, kKind, 0, false, static_cast<int64_t>(log_index)});
  };
  const manifest::CertificateLeaf leaf{core.Now(), certificate.fingerprint(), kKind};
  TRY_ASSIGN(PendingRecord record, core.StartRecord({leaf.Build()}, store));
  TRY_ASSIGN(const int64_t index, core.Await(record));
  log::Event(log::Level::kInfo, "server-ca.cross-signed",
             {{"certificate", fingerprint},
              {"ca", Text(next.fingerprint())},
              {"ends", certificate.not_after().value},
              {"logIndex", index}});
  Json json = Json::MakeObject().Set("certificate", certificate.ToPem()).Set("certificateSha256", fingerprint);
  return json.Set("ends", certificate.not_after().value).Set("logIndex", index);
}

Result<Json> CrossSignFromFile(const Config& config, const std::string& file, const sys::Clock& clock) {
  TRY_ASSIGN_CONTEXT(const std::string next, sys::ReadTextFile(file, kFileBytesMax), "read the CA's certificate");
  TRY_ASSIGN(const auto service, SignerService::Open(config, clock));
  return CrossSignServerCa(service->core(), next);
}

}  // namespace fleetseal::signer

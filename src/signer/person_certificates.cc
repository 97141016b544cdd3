// person-certificate: the people CA vouches for a key that the register knows.
#include "manifest/log_leaf.h"
#include "pki/csr.h"
#include "signer/ceremony.h"
#include "signer/log_clock.h"
#include "signer/people.h"
#include "signer/service.h"
#include "signer/store/device_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

constexpr size_t kFileBytesMax = 64 * 1024;

}  // namespace

Result<api::signing::PersonCertificateAnswer> PersonCertificate(Core& core, ByteView csr, const std::string& date) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY(RequireDate(core, date));
  TRY_ASSIGN(const pki::CertificateRequest request, pki::ParseCertificateRequest(csr));
  const std::string kid = request.public_key.key_id();
  TRY_ASSIGN(const auto row, core.database().WithSnapshot(
                                 [&](storage::Session& session) { return store::FindPersonByKid(session, kid); }));
  if (!row) return Fail(ErrorCode::kPersonUnknown, "no person has the key " + kid);
  TRY_ASSIGN(const Person person, ToPerson(*row));
  if (person.is_revoked) return Fail(ErrorCode::kPersonRevoked, person.id.text());
  TRY_ASSIGN(const pki::Certificate certificate, core.cas().IssuePerson(person.id, person.key, core.Now()));
  TRY_ASSIGN(const int64_t index,
             core.Record(manifest::CertificateLeaf{core.Now(), certificate.fingerprint(), "person"}.Build()));
  TRY(core.database().WithTransaction([&](storage::Session& session) {
    return store::InsertCertificate(session,
                                    {Text(certificate.fingerprint()), "person", person.id.text(), 0, false, index});
  }));
  return api::signing::PersonCertificateAnswer{person.id, certificate.ToPem()};
}

Result<Json> CertifyPersonFromFile(const Config& config, const std::string& file, const std::string& date,
                                   const sys::Clock& clock) {
  TRY_ASSIGN_CONTEXT(const Bytes csr, sys::ReadFile(file, kFileBytesMax), "read the request");
  TRY_ASSIGN(const auto service, SignerService::Open(config, clock));
  TRY_ASSIGN(const auto made, PersonCertificate(service->core(), csr, date));
  return made.ToJson();
}

}  // namespace fleetseal::signer

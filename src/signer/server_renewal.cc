#include "signer/server_renewal.h"

#include <shared_mutex>

#include "log/log.h"
#include "manifest/common.h"
#include "manifest/log_leaf.h"
#include "pki/chain.h"
#include "signer/log_clock.h"
#include "signer/service.h"
#include "signer/store/device_store.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

constexpr size_t kFileBytesMax = 64 * 1024;
constexpr const char* kKind = "server";

// Trust model section 9: whoever shows a certificate gets another one for the same key and names, so it must be ours:
// by the CA's signature, which nobody who edits the database can make, and on record, which nobody who stole the CA's
// key can write. An end that has come is no obstacle: the key is the server's still.
Status CheckPresent(const Core& core, const pki::Certificate& present) {
  const std::vector<pki::Certificate> cas = {core.cas().server_ca()};
  TRY_CONTEXT(pki::VerifyChain(present, cas, pki::Purpose::kServer, core.Now(), pki::DateCheck::kIgnore),
              "the present certificate is not of this signer's server CA");
  TRY_ASSIGN(const auto record, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindCertificate(session, Text(present.fingerprint()));
  }));
  if (!record || record->is_revoked)
    return Fail(ErrorCode::kCertificateInvalid, "this signer has no record of the present certificate");
  return {};
}

Status CheckCa(const pki::Certificate& ca, const pki::Certificate& present, UnixSeconds now) {
  const std::string end = manifest::BuildDateTime(ca.not_after());
  if (ca.not_after() <= now)
    return Fail(ErrorCode::kCertificateExpired, "the server CA has ended on " + end + ": see lost-ca-key.md");
  if (present.not_after() >= ca.not_after())
    return Fail(ErrorCode::kConflict, "the certificate ends with the server CA, on " + end + ": see lost-ca-key.md");
  return {};
}

}  // namespace

Result<Json> RenewServer(Core& core, std::string_view present_pem, const std::string& date) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY(RequireDate(core, date));
  TRY_ASSIGN_CONTEXT(const auto chain, pki::Certificate::AllFromPem(present_pem), "read the present certificate");
  const pki::Certificate& present = chain.front();
  TRY(CheckPresent(core, present));
  TRY(CheckCa(core.cas().server_ca(), present, core.Now()));
  TRY_ASSIGN(const pki::Certificate certificate,
             core.cas().IssueServer({present.san_dns(), present.san_ips()}, present.public_key(), core.Now()));
  const std::string fingerprint = Text(certificate.fingerprint());
  const auto store = [&](storage::Session& session, uint64_t log_index) {
    return store::InsertCertificate(session, {fingerprint, kKind, kKind, 0, false, static_cast<int64_t>(log_index)});
  };
  const manifest::CertificateLeaf leaf{core.Now(), certificate.fingerprint(), kKind};
  TRY_ASSIGN(PendingRecord record, core.StartRecord({leaf.Build()}, store));
  TRY_ASSIGN(const int64_t index, core.Await(record));
  log::Event(log::Level::kInfo, "server.renewed",
             {{"certificate", fingerprint}, {"ends", certificate.not_after().value}, {"logIndex", index}});
  Json json = Json::MakeObject().Set("certificate", certificate.ToPem()).Set("certificateSha256", fingerprint);
  return json.Set("ends", certificate.not_after().value).Set("logIndex", index);
}

Result<Json> RenewServerFromFile(const Config& config, const std::string& file, const std::string& date,
                                 const sys::Clock& clock) {
  TRY_ASSIGN_CONTEXT(const std::string present, sys::ReadTextFile(file, kFileBytesMax), "read the present certificate");
  TRY_ASSIGN(const auto service, SignerService::Open(config, clock));
  return RenewServer(service->core(), present, date);
}

}  // namespace fleetseal::signer

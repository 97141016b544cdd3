#include "signer/client_cas.h"

#include "codec/base64.h"

namespace fleetseal::signer {

using manifest::ClientCaKind;

namespace {

Result<NamedCas> NamedOf(storage::Session& session, ClientCaKind kind) {
  TRY_ASSIGN(const auto rows, ListCasOf(session, kind));
  NamedCas named;
  for (const auto& row : rows) {
    TRY_ASSIGN_CONTEXT(const Sha256 fingerprint, codec::DecodeBase64UrlSha256(row.sha256), "CA " + row.kid);
    if (row.state == "current")
      named.current = NamedCa{row.kid, fingerprint};
    else if (row.state == "accepted")
      named.accepted.push_back({row.kid, fingerprint});
  }
  // Without it the first one would issue again, whose key may be a thief's.
  if (!rows.empty() && !named.current)
    return Fail(ErrorCode::kCorrupt, "no CA of the kind " + rows.front().kind + " issues");
  return named;
}

}  // namespace

Purpose PurposeOf(ClientCaKind kind) { return kind == ClientCaKind::kDevice ? Purpose::kDeviceCa : Purpose::kPeopleCa; }

Result<std::vector<store::CaRow>> ListCasOf(storage::Session& session, ClientCaKind kind) {
  TRY_ASSIGN(auto rows, store::ListCas(session));
  std::erase_if(rows, [&](const auto& row) { return row.kind != manifest::ClientCaKindName(kind); });
  return rows;
}

Result<CaChoice> ReadCaChoice(storage::Database& database) {
  return database.WithSnapshot([](storage::Session& session) -> Result<CaChoice> {
    CaChoice choice;
    TRY_ASSIGN(choice.device, NamedOf(session, ClientCaKind::kDevice));
    TRY_ASSIGN(choice.people, NamedOf(session, ClientCaKind::kPeople));
    return choice;
  });
}

Status DestroyReplacedCas(storage::Database& database, const Keystore& keystore) {
  TRY_ASSIGN(const auto rows, database.WithSnapshot([](storage::Session& session) { return store::ListCas(session); }));
  for (const auto& row : rows) {
    if (row.state != "current") TRY(keystore.Destroy(StoreName::kCa, row.kid));
  }
  return {};
}

std::string CaBundle(const CaKeys& cas, Purpose purpose, UnixSeconds now) {
  std::string pem;
  for (const auto& ca : cas.AllOf(purpose)) {
    if (pem.empty() || ca.not_after() > now) pem += ca.ToPem();
  }
  return pem;
}

}  // namespace fleetseal::signer

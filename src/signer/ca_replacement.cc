#include "signer/ca_replacement.h"

#include <algorithm>
#include <mutex>

#include "api/signing/messages.h"
#include "base/client_cas.h"
#include "crypto/digest.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "signer/client_cas.h"
#include "signer/register_flow.h"
#include "signer/service.h"
#include "signer/store/device_store.h"

namespace fleetseal::signer {
namespace {

using codec::Json;
using manifest::ClientCaKind;

constexpr size_t kDecisionBytesMax = 256 * 1024;

// "device-ca": as keys, records and certificates call it.
std::string KindText(ClientCaKind kind) { return std::string(PurposeText(PurposeOf(kind))); }

Result<VerifiedChange> Verify(const Core& core, const std::vector<std::string>& jws) {
  TRY_ASSIGN(const SecurityKeys security, ReadSecurity(core));
  TRY_ASSIGN(VerifiedChange verified, VerifyChange(core, security, jws));
  if (verified.change.replace_ca() == nullptr)
    return Fail(ErrorCode::kInvalidArgument, "the register-change is no replace-ca");
  return verified;
}

Json Describe(const store::CaRow& row, const pki::Certificate& ca, std::string bundle, int64_t log_index) {
  return Json::MakeObject()
      .Set("kind", row.kind)
      .Set("number", row.number)
      .Set("certificateSha256", row.sha256)
      .Set("ends", ca.not_after().value)
      .Set("certificates", std::move(bundle))
      .Set("logIndex", log_index);
}

// The same decision once more: what it made, if that is what issues now.
Result<std::optional<Json>> FindMade(const Core& core, const VerifiedChange& verified) {
  std::optional<Json> made;
  const ClientCaKind kind = verified.change.replace_ca()->kind;
  std::optional<store::ChangeRow> known;
  std::vector<store::CaRow> rows;
  const Status read = core.database().WithSnapshot([&](storage::Session& session) -> Status {
    TRY_ASSIGN(known, store::FindChange(session, verified.change.change_id.text()));
    TRY_ASSIGN(rows, ListCasOf(session, kind));
    return {};
  });
  TRY(read);
  if (!known) return made;
  if (known->payload_sha256 != verified.payload_sha256)
    return Fail(ErrorCode::kAlreadyExists, "the change id " + known->change_id + " is taken");
  if (rows.empty() || rows.back().change_id != known->change_id)
    return Fail(ErrorCode::kConflict, "the CA that the change " + known->change_id + " made was replaced since");
  const Purpose purpose = PurposeOf(kind);
  made = Describe(rows.back(), core.cas().AllOf(purpose).front(), CaBundle(core.cas(), purpose, core.Now()),
                  known->log_index);
  return made;
}

// The one that was made with the organisation has no row until it is replaced.
store::CaRow FirstRow(ClientCaKind kind, const pki::Certificate& ca) {
  return {std::string(manifest::ClientCaKindName(kind)),
          1,
          KidOf(PurposeOf(kind), ca.public_key()),
          Text(ca.fingerprint()),
          "current",
          {}};
}

// The CA that issues until now, and all of its kind with it as the last.
struct Present {
  pki::Certificate ca;
  std::vector<store::CaRow> rows;
};

// What the decision does to the tables. The leaves are the decision's and, behind it, the new CA's.
Status Store(storage::Session& session, const VerifiedChange& verified, const Present& present,
             const store::CaRow& next, const pki::Certificate& made, int64_t log_index) {
  TRY(ApplyChange(session, verified, log_index));
  const bool is_old_dropped = verified.change.replace_ca()->is_old_dropped;
  for (auto row : present.rows) {
    if (is_old_dropped)
      row.state = "dropped";
    else if (row.state == "current")
      row.state = "accepted";
    TRY(store::PutCa(session, row));
  }
  const std::string kind = KindText(verified.change.replace_ca()->kind);
  // Listed for nothing, ever, and nobody's own: a CA's key has one purpose, also when it issues no more.
  for (const pki::Certificate* ca : {&present.ca, &made})
    TRY(store::PutUsedKey(session, Text(ca->public_key().thumbprint()), "the " + kind));
  TRY(store::InsertCertificate(session, {next.sha256, kind, kind, 0, false, log_index + 1}));
  return store::PutCa(session, next);
}

Result<Present> ReadPresent(const Core& core, const manifest::ReplaceCa& decision) {
  const Purpose purpose = PurposeOf(decision.kind);
  Present present{core.cas().AllOf(purpose).front(), {}};
  if (present.ca.fingerprint() != decision.previous_sha256)
    return Fail(ErrorCode::kConflict, "the decision replaces the " + KindText(decision.kind) + " " +
                                          Text(decision.previous_sha256) + ", the present one is " +
                                          Text(present.ca.fingerprint()));
  TRY_ASSIGN(present.rows, core.database().WithSnapshot(
                               [&](storage::Session& session) { return ListCasOf(session, decision.kind); }));
  if (present.rows.empty()) present.rows.push_back(FirstRow(decision.kind, present.ca));
  return present;
}

// Nothing is made that could not be used afterwards.
Status CheckPossible(const Core& core, const manifest::ReplaceCa& decision, const Present& present) {
  const Purpose purpose = PurposeOf(decision.kind);
  const CaKeys& cas = core.cas();
  // A first CA without its key is known by nothing here but its file.
  if (decision.kind == ClientCaKind::kDevice && !cas.HasKey(purpose) && present.rows.back().number == 1) {
    TRY_ASSIGN(const auto trust, core.Trust());
    const auto& listed = trust->root_package().device_cas;
    if (!listed.empty() && std::ranges::find(listed, present.ca.der()) == listed.end())
      return Fail(ErrorCode::kCorrupt, "the root-key package does not list the device CA " +
                                           Text(present.ca.fingerprint()) +
                                           ": another certificate was put in its place");
  }
  if (decision.is_old_dropped) return {};
  if (!cas.LostOf(purpose).empty())
    return Fail(ErrorCode::kNotFound, cas.LostOf(purpose).front() + ": bring the file back, or drop the old CAs");
  const auto all = cas.AllOf(purpose);
  const auto count =
      2 + std::count_if(all.begin() + 1, all.end(), [&](const auto& ca) { return ca.not_after() > core.Now(); });
  if (static_cast<size_t>(count) <= limits::kClientCasMax) return {};
  return Fail(ErrorCode::kLimitExceeded,
              "servers take " + std::to_string(limits::kClientCasMax) + " CAs of one kind: use --drop-old");
}

std::string BundleAfter(const Core& core, const manifest::ReplaceCa& decision, const pki::Certificate& made) {
  return made.ToPem() + (decision.is_old_dropped ? "" : CaBundle(core.cas(), PurposeOf(decision.kind), core.Now()));
}

}  // namespace

Result<Json> ReplaceCa(Core& core, const std::vector<std::string>& jws) {
  const std::unique_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const VerifiedChange verified, Verify(core, jws));
  TRY_ASSIGN(const auto known, FindMade(core, verified));
  if (known) return *known;
  TRY(core.RequireRunning());
  const manifest::ReplaceCa& decision = *verified.change.replace_ca();
  const Purpose purpose = PurposeOf(decision.kind);
  TRY_ASSIGN(const Present present, ReadPresent(core, decision));
  TRY(TryChange(core, verified));
  TRY(CheckPossible(core, decision, present));
  const int64_t number = present.rows.back().number + 1;
  TRY(CaKeys::Keep(core.keystore(), purpose, present.ca));
  TRY_ASSIGN(const pki::Certificate made,
             CaKeys::MakeNext(core.keystore(), core.config().organisation, purpose, number, core.Now()));
  const store::CaRow next{present.rows.back().kind, number,    KidOf(purpose, made.public_key()),
                          Text(made.fingerprint()), "current", verified.change.change_id.text()};
  const auto store = [&](storage::Session& session, uint64_t first) {
    return Store(session, verified, present, next, made, static_cast<int64_t>(first));
  };
  const manifest::PersonDocumentLeaf decided{
      "register-change", core.Now(), crypto::HashSha256(verified.documents.front()), verified.change.change_id.text()};
  const manifest::CertificateLeaf leaf{core.Now(), made.fingerprint(), KindText(decision.kind)};
  // One write: a decision without its CA would be spent.
  TRY_ASSIGN(PendingRecord record, core.StartRecord({decided.Build(), leaf.Build()}, store));
  TRY_ASSIGN(const int64_t index, core.Await(record));
  log::Event(log::Level::kWarning, "ca.replaced",
             {{"kind", next.kind},
              {"number", number},
              {"certificate", next.sha256},
              {"isOldDropped", decision.is_old_dropped},
              {"logIndex", index}});
  TRY(DestroyReplacedCas(core.database(), core.keystore()));
  return Describe(next, made, BundleAfter(core, decision, made), index);
}

Result<Json> ReplaceCaFromFile(const Config& config, const std::string& file, const sys::Clock& clock) {
  TRY_ASSIGN_CONTEXT(const std::string text, sys::ReadTextFile(file, kDecisionBytesMax), "read the decision");
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text), file);
  codec::ObjectReader reader(json, "decision");
  const auto jws = reader.Strings("jws", api::signing::kRegisterChangeSignaturesMax);
  TRY(reader.Finish());
  TRY_ASSIGN(const auto service, SignerService::OpenToDecide(config, clock));
  return ReplaceCa(service->core(), jws);
}

Result<Json> ShowCas(const Config& config, const sys::Clock& clock) {
  TRY_ASSIGN(const auto service, SignerService::OpenWithoutLog(config, clock));
  const Core& core = service->core();
  Json cas = Json::MakeObject();
  for (const ClientCaKind kind : {ClientCaKind::kDevice, ClientCaKind::kPeople}) {
    const Purpose purpose = PurposeOf(kind);
    TRY_ASSIGN(const auto rows,
               core.database().WithSnapshot([&](storage::Session& session) { return ListCasOf(session, kind); }));
    const pki::Certificate ca = core.cas().AllOf(purpose).front();
    Json lost = Json::MakeArray();
    for (const auto& what : core.cas().LostOf(purpose)) lost.Push(what);
    cas.Set(manifest::ClientCaKindName(kind), Json::MakeObject()
                                                  .Set("certificateSha256", Text(ca.fingerprint()))
                                                  .Set("name", ca.subject_common_name())
                                                  .Set("number", rows.empty() ? int64_t{1} : rows.back().number)
                                                  .Set("ends", ca.not_after().value)
                                                  .Set("hasKey", core.cas().HasKey(purpose))
                                                  .Set("lost", std::move(lost))
                                                  .Set("certificates", CaBundle(core.cas(), purpose, core.Now())));
  }
  TRY_ASSIGN(const auto state,
             core.database().WithSnapshot([](storage::Session& session) { return store::ReadRegisterState(session); }));
  return Json::MakeObject()
      .Set("registerSequence", state ? state->sequence : 0)
      .Set("isHalted", core.is_halted())
      .Set("cas", std::move(cas));
}

}  // namespace fleetseal::signer

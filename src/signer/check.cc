// --check: keys, database, log and dates of a signer, read only.
#include <algorithm>
#include <map>
#include <tuple>

#include "codec/json.h"
#include "log/log.h"

#include "signer/ceremony.h"
#include "signer/client_cas.h"
#include "signer/recovery.h"
#include "signer/security_keys.h"
#include "signer/service.h"
#include "signer/store/plan_store.h"
#include "signer/store/recovery_store.h"
#include "storage/maintenance.h"
#include "sys/file.h"
#include "translog/log_reader.h"

namespace fleetseal::signer {
namespace {

constexpr const char* kRestoreAdvice = "stop the signer and restore it from a backup; do not mend it by hand";
constexpr const char* kKeyAdvice = "fleetseal key rotate (rotate-keys.md)";
constexpr const char* kLostFileAdvice =
    "bring it back from a backup or the server's file, or fleetseal ca replace --drop-old (lost-client-ca.md)";
constexpr const char* kOldCaAdvice =
    "before it issues: fleetseal ca replace, with --drop-old if the old one was dropped (lost-client-ca.md)";
constexpr const char* kTeamAdvice =
    "fleetseal user add NAME --role security, then fleetseal user set-security with one person more than the quorum";
constexpr const char* kPackageAdvice = "sign and publish the next root-key package";

struct Keys {
  std::unique_ptr<SigningKeys> signing;
  std::unique_ptr<Keystore> store;
};

Result<Keys> OpenKeys(const Config& config) {
  TRY_ASSIGN(const SecretBytes passphrase, ReadPassphrase(config));
  TRY_ASSIGN(auto keystore, Keystore::Open(KeysFolderOf(config), AsText(passphrase.reveal()), config.keystore_cost));
  TRY_ASSIGN(auto signing, SigningKeys::Load(*keystore));
  TRY(LogKey::LoadAll(*keystore));
  return Keys{std::move(signing), std::move(keystore)};
}

// A database of an earlier version gets the table when the signer starts, and has the first CAs only.
Result<CaKeys> LoadCas(const Config& config, storage::Database& database, const Keystore& keystore) {
  CaChoice choice;
  TRY_ASSIGN(const bool has_table, storage::IsMigrated(database, store::kCasModule));
  if (has_table) {
    TRY_ASSIGN(choice, ReadCaChoice(database));
  }
  return CaKeys::Load(keystore, config.organisation, choice, LostKeys::kAllow);
}

Status CheckCas(const Config& config, storage::Database& database, const Keystore& keystore, UnixSeconds now,
                config::Findings& findings) {
  TRY_ASSIGN(const CaKeys cas, LoadCas(config, database, keystore));
  constexpr std::tuple<Purpose, const char*, const char*> kCas[] = {
      {Purpose::kServerCa, "server CA", "see lost-ca-key.md"},
      {Purpose::kDeviceCa, "device CA", "fleetseal ca replace (lost-client-ca.md)"},
      {Purpose::kPeopleCa, "people CA", "fleetseal ca replace (lost-client-ca.md)"}};
  for (const auto& [purpose, name, advice] : kCas) {
    const auto all = cas.AllOf(purpose);
    std::vector<std::string> counting;
    for (const auto& ca : all) counting.push_back(Text(ca.fingerprint()));
    findings.Fact(std::string(name) + " certificates", std::move(counting));
    findings.EndsAt(name, all.front().not_after(), now, advice);
    if (!cas.HasKey(purpose))
      findings.Problem(name, "its key is lost, and the signer does not start", std::string("restore it, or ") + advice);
    for (const auto& what : cas.LostOf(purpose))
      findings.Problem(name, what + ", and the signer does not start", kLostFileAdvice);
    // One that has ended is refused everywhere, and nobody has to do anything about it.
    for (auto ca = all.begin() + 1; ca != all.end(); ++ca) {
      if (ca->not_after() > now)
        findings.EndsAt(std::string(name) + " before it (" + ca->subject_common_name() + ")", ca->not_after(), now,
                        "whoever has not renewed by then is let in no more");
    }
  }
  return {};
}

// By kind, device-ca and people-ca: the last one of that log. Each record is shown to be in the checkpoint's tree.
Result<std::map<std::string, Sha256>> ReadNewestCas(const translog::LogReader& reader,
                                                    const merkle::Checkpoint& checkpoint) {
  std::map<std::string, Sha256> newest;
  for (uint64_t from = 0; from < checkpoint.size; from += translog::kReadEntriesMax) {
    const uint64_t to = std::min<uint64_t>(checkpoint.size, from + translog::kReadEntriesMax);
    TRY_ASSIGN(const auto leaves, reader.ReadEntries(from, to, checkpoint));
    for (const Bytes& leaf : leaves) {
      TRY_ASSIGN(const auto json, codec::ParseJson(AsText(leaf)));
      const codec::Json* type = json.Find("type");
      if (type == nullptr || !type->is_string() || type->as_string() != "certificate") continue;
      codec::ObjectReader record(json, "certificate record");
      const std::string kind = record.String("kind");
      const Sha256 fingerprint = record.Base64UrlSha256("certificateSha256");
      if (!record.is_good()) return Fail(ErrorCode::kCorrupt, "a record of the log cannot be read");
      if (kind == "device-ca" || kind == "people-ca") newest[kind] = fingerprint;
    }
  }
  return newest;
}

// A signer from before a replacement has the key back that was destroyed. A record that its rows name, other than the
// present one, is only of a log whose files are behind.
Status CheckNewestCas(storage::Database& database, const translog::LogReader& reader,
                      const merkle::Checkpoint& checkpoint, config::Findings& findings) {
  TRY_ASSIGN(const auto newest, ReadNewestCas(reader, checkpoint));
  std::vector<store::CaRow> rows;
  TRY_ASSIGN(const bool has_table, storage::IsMigrated(database, store::kCasModule));
  if (has_table) {
    TRY_ASSIGN(rows, database.WithSnapshot([](storage::Session& session) { return store::ListCas(session); }));
  }
  for (const auto& [kind, fingerprint] : newest) {
    const std::string text = Text(fingerprint);
    if (std::ranges::any_of(rows, [&](const auto& row) { return row.sha256 == text; })) continue;
    findings.Problem(kind, "the log records that " + text + " replaced the one that would issue", kOldCaAdvice);
  }
  return {};
}

// One purpose, and one product of it: somebody must be able to sign for it.
void CheckPurpose(const KeyRing& ring, const manifest::RootPackage& package, const KeyFacts& facts,
                  const ProductName* product, UnixSeconds now, config::Findings& findings) {
  const auto chosen = ring.InUse(package, now, facts.purpose, product);
  if (!chosen) return findings.Problem("key " + facts.kid, chosen.error().detail, kKeyAdvice);
  if (chosen->key->facts.kid != facts.kid) return;
  findings.EndsAt("listing of key " + facts.kid, package.FindListing(facts.kid)->not_after, now, kKeyAdvice);
}

void CheckRing(const KeyRing& ring, const manifest::RootPackage& package, UnixSeconds now, config::Findings& findings) {
  for (const RingKey& key : ring.keys()) {
    const KeyFacts& facts = key.key->facts;
    const KeyState state = JudgeKey(key, package, now);
    if (state == KeyState::kEnded || state == KeyState::kDisabled)
      findings.Warning("key " + facts.kid, "is " + std::string(KeyStateName(state)),
                       "retire it: `fleetseal key retire`");
    if (facts.products.empty()) CheckPurpose(ring, package, facts, nullptr, now, findings);
    for (const auto& product : facts.products) CheckPurpose(ring, package, facts, &product, now, findings);
  }
}

Status CheckPackage(storage::Database& database, const Config& config, const Keys& keys, UnixSeconds now,
                    config::Findings& findings) {
  TRY_ASSIGN(const auto packages,
             database.WithSnapshot([](storage::Session& session) { return store::ListPackages(session, 0, 10'000); }));
  if (packages.empty()) {
    findings.Problem(config.data, "there is no root-key package", "finish `fleetseal init`");
    return {};
  }
  TRY_ASSIGN(const auto document, manifest::RootPackageDocument::Parse(packages.back().text));
  findings.EndsAt("root-key package " + std::to_string(document.package.version), document.package.expires, now,
                  kPackageAdvice);
  KeyRing ring;
  // A database of an earlier version gets its tables when the signer starts.
  const Status read = ring.Reload(database, *keys.signing);
  if (!read && read.error().code != ErrorCode::kStorageFailed) return read;
  if (read) CheckRing(ring, document.package, now, findings);
  findings.Checked("keys against root-key package " + std::to_string(document.package.version));
  return {};
}

// A restored signer has no checkpoint file until it goes on: it writes one from its database.
bool IsRestored(const Config& config, const store::RecoveryRow& row) {
  return row.is_halted || sys::FileExists(sys::JoinPath(config.data, kRestoredMark));
}

Status CheckHalt(const Config& config, storage::Database& database, config::Findings& findings) {
  TRY_ASSIGN(const auto row,
             database.WithSnapshot([](storage::Session& session) { return store::ReadRecovery(session); }));
  if (row.is_halted)
    findings.Problem("signer", "it is halted: " + row.reason, "see `fleetseal recover show`");
  else if (IsRestored(config, row))
    findings.Problem("signer", "it was restored and halts at its next start", "see `fleetseal recover show`");
  return {};
}

// A database of an earlier version gets the table when the signer starts, and has the first log only.
Result<LogPlace> PlaceOf(const Config& config, storage::Database& database) {
  auto place = ReadLogPlace(config, database);
  if (!place && place.error().code == ErrorCode::kStorageFailed)
    return LogPlace{config.log_origin, config.log, {}, 0, false};
  return place;
}

// The files are read before the lock row: a running signer only moves both forward.
Status CheckLog(const Config& config, storage::Database& database, const Keys& keys, config::Findings& findings) {
  TRY_ASSIGN(const LogPlace place, PlaceOf(config, database));
  TRY_ASSIGN(const auto log_key, FindLogKey(*keys.store, database, place.origin));
  TRY_ASSIGN(const auto key, merkle::Vkey::FromEd25519(place.origin, log_key->facts().key.x()));
  const auto reader = translog::LogReader::OfDirectory(place.directory);
  const auto report = reader.Fsck({place.origin, {key}, {}, 0});
  if (!report) {
    TRY_ASSIGN(const auto recovery,
               database.WithSnapshot([](storage::Session& session) { return store::ReadRecovery(session); }));
    const bool has_checkpoint = sys::FileExists(sys::JoinPath(place.directory, "checkpoint"));
    if (!has_checkpoint && IsRestored(config, recovery)) return {};
    findings.Problem(
        place.directory, report.error().ToString(),
        "bring the log files back from a backup or a mirror; if they are lost, see docs/operations/lost-log.md");
    return {};
  }
  TRY_ASSIGN(const auto row,
             translog::ReadLockRow({place.directory, place.origin, database, log_key->checkpoint_signer()}));
  const auto& published = report->checkpoint;
  if (published.size > row.size || (published.size == row.size && published.root != row.root)) {
    findings.Problem(place.directory, "the log files and the database show different logs",
                     "see `fleetseal recover show`");
  }
  TRY(CheckNewestCas(database, reader, published, findings));
  findings.Checked("log of " + std::to_string(published.size) + " records: every tile and the root recomputed");
  return {};
}

// How far the register is from nobody, and from one alone, deciding about it.
Status CheckSecurity(storage::Database& database, config::Findings& findings) {
  std::optional<SecurityKeys> security;
  const Status read = database.WithSnapshot([&](storage::Session& session) -> Status {
    TRY_ASSIGN(const auto state, store::ReadRegisterState(session));
    if (state) {
      TRY_ASSIGN(security, CountingKeys(session, *state));
    }
    return {};
  });
  TRY(read);
  if (!security) return {};
  const auto count = static_cast<int64_t>(security->keys.size());
  const std::string words = std::to_string(security->quorum) + " of " + std::to_string(count) + " security keys " +
                            (security->quorum == 1 ? "decides" : "decide");
  if (security->quorum > count)
    findings.Problem("register", words + ": nobody can change it",
                     "let the roots replace the security team (lost-security-keys.md)");
  else if (security->quorum == 1)
    findings.Warning("register", words + ": whoever has one alone adds people and sets policies", kTeamAdvice);
  else if (security->quorum == count)
    findings.Warning("register", words + ": one lost key locks it", kTeamAdvice);
  findings.Checked("register: " + words);
  return {};
}

}  // namespace

config::Findings CheckSigner(const Config& config, const sys::Clock& clock) {
  config::Findings findings;
  findings.FreeSpace(config.data);
  findings.FreeSpace(config.log);
  const auto lines = storage::CheckDatabase(config.database);
  if (lines) {
    for (const auto& line : *lines) findings.Problem(config.database, line, kRestoreAdvice);
    findings.Checked("database of the signer");
  } else if (lines.error().code != ErrorCode::kUnsupported) {
    findings.Failed("database of the signer", lines.error());
  }
  const auto keys = OpenKeys(config);
  if (!keys) findings.Failed(KeysFolderOf(config), keys.error());
  if (!keys || (lines && !lines->empty())) return findings;
  const auto database = storage::Database::Open({.url = config.database, .sessions = 1});
  if (!database) {
    findings.Failed("database of the signer", database.error());
    return findings;
  }
  const Status outcomes[] = {CheckCas(config, **database, *keys->store, clock.Now(), findings),
                             CheckHalt(config, **database, findings), CheckSecurity(**database, findings),
                             CheckPackage(**database, config, *keys, clock.Now(), findings),
                             CheckLog(config, **database, *keys, findings)};
  for (const Status& outcome : outcomes) {
    if (!outcome) findings.Failed("signer", outcome.error());
  }
  return findings;
}

}  // namespace fleetseal::signer

// --check: keys, database, log and dates of a signer, read only.
#include "log/log.h"
#include "signer/ceremony.h"
#include "signer/recovery.h"
#include "signer/service.h"
#include "signer/store/plan_store.h"
#include "signer/store/recovery_store.h"
#include "storage/maintenance.h"
#include "sys/file.h"
#include "translog/log_reader.h"

namespace fleetseal::signer {
namespace {

constexpr const char* kRestoreAdvice = "stop the signer and restore it from a backup; do not mend it by hand";
constexpr const char* kPackageAdvice = "sign and publish the next root-key package";

struct Keys {
  PublisherKeys publishers;
  DirectorKey director;
  LogKey log;
  CaKeys cas;
};

Result<Keys> OpenKeys(const Config& config) {
  TRY_ASSIGN(const SecretBytes passphrase, ReadPassphrase(config));
  TRY_ASSIGN(const auto keystore,
             Keystore::Open(KeysFolderOf(config), AsText(passphrase.reveal()), config.keystore_cost));
  TRY_ASSIGN(PublisherKeys publishers, PublisherKeys::Load(*keystore));
  TRY_ASSIGN(DirectorKey director, DirectorKey::Load(*keystore));
  TRY_ASSIGN(LogKey log, LogKey::Load(*keystore));
  TRY_ASSIGN(CaKeys cas, CaKeys::Load(*keystore, config.organisation));
  return Keys{std::move(publishers), std::move(director), std::move(log), std::move(cas)};
}

void CheckListing(const KeyFacts& facts, const manifest::RootPackage& package, UnixSeconds now,
                  config::Findings& findings) {
  const manifest::SigningKeyListing* listing = package.FindListing(facts.kid);
  if (listing == nullptr || listing->thumbprint != facts.key.thumbprint())
    return findings.Problem("key " + facts.kid, "the newest root-key package does not list it", kPackageAdvice);
  findings.EndsAt("listing of key " + facts.kid, listing->not_after, now, kPackageAdvice);
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
  for (const KeyFacts* facts : keys.publishers.All()) CheckListing(*facts, document.package, now, findings);
  CheckListing(keys.director.facts(), document.package, now, findings);
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

// The files are read before the lock row: a running signer only moves both forward.
Status CheckLog(const Config& config, storage::Database& database, const Keys& keys, config::Findings& findings) {
  TRY_ASSIGN(const auto key, merkle::Vkey::FromEd25519(config.log_origin, keys.log.facts().key.x()));
  const auto reader = translog::LogReader::OfDirectory(config.log);
  const auto report = reader.Fsck({config.log_origin, {key}, {}, 0});
  if (!report) {
    TRY_ASSIGN(const auto recovery,
               database.WithSnapshot([](storage::Session& session) { return store::ReadRecovery(session); }));
    const bool has_checkpoint = sys::FileExists(sys::JoinPath(config.log, "checkpoint"));
    if (!has_checkpoint && IsRestored(config, recovery)) return {};
    findings.Problem(config.log, report.error().ToString(), "bring the log files back from a backup or a mirror");
    return {};
  }
  TRY_ASSIGN(const auto row,
             translog::ReadLockRow({config.log, config.log_origin, database, keys.log.checkpoint_signer()}));
  const auto& published = report->checkpoint;
  if (published.size > row.size || (published.size == row.size && published.root != row.root)) {
    findings.Problem(config.log, "the log files and the database show different logs", "see `fleetseal recover show`");
  }
  findings.Checked("log of " + std::to_string(published.size) + " records: every tile and the root recomputed");
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
  for (const auto& [name, ca] : {std::pair("server CA", &keys->cas.server_ca()),
                                 {"device CA", &keys->cas.device_ca()},
                                 {"people CA", &keys->cas.people_ca()}}) {
    findings.EndsAt(name, ca->not_after(), clock.Now(), "make a new CA and list it in the next root-key package");
  }
  const auto database = storage::Database::Open({.url = config.database, .sessions = 1});
  if (!database) {
    findings.Failed("database of the signer", database.error());
    return findings;
  }
  const Status outcomes[] = {CheckHalt(config, **database, findings),
                             CheckPackage(**database, config, *keys, clock.Now(), findings),
                             CheckLog(config, **database, *keys, findings)};
  for (const Status& outcome : outcomes) {
    if (!outcome) findings.Failed("signer", outcome.error());
  }
  return findings;
}

}  // namespace fleetseal::signer

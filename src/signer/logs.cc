#include "signer/logs.h"

#include "merkle/checkpoint.h"
#include "merkle/note.h"
#include "translog/places.h"
#include "translog/store/lock_store.h"

namespace fleetseal::signer {

std::string LogDirectoryOf(const Config& config, const std::string& origin) {
  return origin == config.log_origin ? config.log : translog::NewDirectoryOf(config.log, origin);
}

Result<LogPlace> ReadLogPlace(const Config& config, storage::Database& database) {
  TRY_ASSIGN(const auto rows,
             database.WithSnapshot([](storage::Session& session) { return store::ListLogs(session); }));
  LogPlace place{config.log_origin, config.log, {}, 0, false};
  for (const auto& row : rows) {
    if (row.state == "current") place = {row.origin, LogDirectoryOf(config, row.origin), {}, row.since_sequence, false};
  }
  for (const auto& row : rows) {
    if (row.state == "pending" && row.is_previous_lost)
      place = {row.origin, LogDirectoryOf(config, row.origin), {}, row.since_sequence, true, place.origin};
  }
  return place;
}

Result<std::optional<store::LogRow>> ReadPendingLog(storage::Database& database) {
  TRY_ASSIGN(auto rows, database.WithSnapshot([](storage::Session& session) { return store::ListLogs(session); }));
  std::optional<store::LogRow> pending;
  for (auto& row : rows) {
    if (row.state == "pending") pending = std::move(row);
  }
  return pending;
}

Result<std::unique_ptr<LogKey>> FindLogKey(const Keystore& keystore, storage::Database& database,
                                           const std::string& origin) {
  TRY_ASSIGN(const auto state, translog::MakeSqlLockStore(database, origin)->Load());
  TRY_ASSIGN(auto keys, LogKey::LoadAll(keystore));
  for (auto& key : keys) {
    TRY_ASSIGN(const auto vkey, merkle::Vkey::FromEd25519(origin, key->facts().key.x()));
    if (merkle::VerifyCheckpoint(state.row.checkpoint_note, {origin, {vkey}, {}, 0})) return std::move(key);
  }
  return Fail(ErrorCode::kCorrupt, "no log key of the keystore has signed the log " + origin);
}

Result<std::string> VkeyOf(const std::string& origin, const LogKey& key) {
  TRY_ASSIGN(const merkle::Vkey vkey, merkle::Vkey::FromEd25519(origin, key.facts().key.x()));
  return vkey.ToText();
}

}  // namespace fleetseal::signer

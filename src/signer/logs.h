// Which log the signer writes: its origin, folder and key; and the writer that can be exchanged for that of a new log.
//
// Source: ADR 0013; trust model section 3 ("Log change"). The first log is that of the configuration. Which one is
// current stands in the table `logs` alone; whose key it is, in the log's own signed checkpoint. Thread rule: LogSwitch
// may be used from any thread, Set only while nobody appends (the caller holds register_mutex alone).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "signer/config.h"
#include "signer/keys/signing_keys.h"
#include "signer/store/log_store.h"
#include "translog/log_writer.h"

namespace fleetseal::signer {

struct LogPlace {
  std::string origin;
  std::string directory;
  std::string vkey;            // set once the key is known
  int64_t since_sequence = 0;  // 0 for the first log
  // The log that is left is lost and this one waits for the package that names it: the signer is halted until then.
  bool is_awaiting = false;
  std::string left_origin = {};  // of that lost log, while this one waits

  // The log that the log indices of the tables belong to.
  const std::string& indexed_origin() const { return is_awaiting ? left_origin : origin; }
};

std::string LogDirectoryOf(const Config& config, const std::string& origin);
// The one that is written when the signer starts.
Result<LogPlace> ReadLogPlace(const Config& config, storage::Database& database);
// The log that is made and that no package names yet, if there is one.
Result<std::optional<store::LogRow>> ReadPendingLog(storage::Database& database);
// The key of the keystore that signed the log's last checkpoint. Codes: NotFound (no such log, no key), Corrupt
// (another key's), those of Keystore.
Result<std::unique_ptr<LogKey>> FindLogKey(const Keystore& keystore, storage::Database& database,
                                           const std::string& origin);
// "name+id+key". Codes of Vkey.
Result<std::string> VkeyOf(const std::string& origin, const LogKey& key);

// Forwards to the log of the day.
class LogSwitch final : public translog::LogWriter {
 public:
  // `key` signs for `writer`, and lives as long; null if the writer needs none.
  LogSwitch(std::unique_ptr<translog::LogWriter> writer, std::shared_ptr<const LogKey> key)
      : current_(std::make_shared<Held>(std::move(key), std::move(writer))) {}
  // The old writer ends when this returns. REQUIRES: nobody appends.
  void Set(std::unique_ptr<translog::LogWriter> writer, std::shared_ptr<const LogKey> key) {
    auto next = std::make_shared<Held>(std::move(key), std::move(writer));
    const std::lock_guard lock(mutex_);
    current_.swap(next);
  }

  using translog::LogWriter::Append;
  void Append(translog::LogEntry entry, Done done) override {
    Current()->writer->Append(std::move(entry), std::move(done));
  }
  merkle::Checkpoint checkpoint() const override { return Current()->writer->checkpoint(); }
  std::string checkpoint_note() const override { return Current()->writer->checkpoint_note(); }
  bool is_writable() const override { return Current()->writer->is_writable(); }

 private:
  // The writer ends before the key that it signs with.
  struct Held {
    Held(std::shared_ptr<const LogKey> a_key, std::unique_ptr<translog::LogWriter> a_writer)
        : key(std::move(a_key)), writer(std::move(a_writer)) {}
    const std::shared_ptr<const LogKey> key;
    const std::unique_ptr<translog::LogWriter> writer;
  };
  std::shared_ptr<Held> Current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }
  mutable std::mutex mutex_;
  std::shared_ptr<Held> current_;
};

}  // namespace fleetseal::signer

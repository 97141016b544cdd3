// Appends to a log from many threads: adaptive group commit over one Sequencer.
//
// Source: reference/tlog.md section 7, ADR 0011: the owner thread writes at once when idle; what arrives meanwhile
// forms the next group. A record is acknowledged only when its lock row is durable and the checkpoint that covers it is
// published; rows that came with it are committed with the lock row, a moment earlier.
// Thread rule: Append and the getters may be called from many threads; callbacks run on the owner thread and must be
// short. Ownership: database and signer outlive the writer. The destructor finishes what is queued.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "crypto/signer.h"
#include "merkle/checkpoint.h"
#include "storage/database.h"
#include "translog/log_entry.h"
#include "translog/store/lock_store.h"

namespace fleetseal::translog {

// Entries that may wait at once; past it Append answers LimitExceeded.
inline constexpr size_t kPendingEntriesMax = 65'536;

struct Appended {
  uint64_t index = 0;  // of the entry's first leaf
  uint64_t size = 0;   // of the tree that was published with it: a proof exists from here on
};

class LogWriter {
 public:
  struct Options {
    std::string directory;         // public files: checkpoint, tile/...
    std::string origin;            // e.g. "example.com/log"; also the name of the key
    storage::Database& database;   // with Migrations() applied
    const crypto::Signer& signer;  // Ed25519, used for nothing else
  };
  // Makes a new, empty log: an explicit act, so that a typing error cannot start a second history. Codes:
  // Sequencer::Create.
  static Status Create(const Options& options);
  // Codes: Sequencer::Open.
  static Result<std::unique_ptr<LogWriter>> Open(const Options& options);
  // As above over any lock store (tests, other databases).
  static Result<std::unique_ptr<LogWriter>> Open(const Options& options, std::unique_ptr<LockStore> lock);
  virtual ~LogWriter() = default;

  using Done = std::function<void(const Result<Appended>&)>;
  // `done` is called exactly once. Entries come on the log in the order of these calls. Codes it gets: InvalidArgument
  // (empty leaf, rows without one), DocumentTooLarge (above 65,535 bytes), LimitExceeded, those of the entry's
  // StoreRows (then nothing of the entry was written), LogNotWritable (then it is unknown whether leaves and rows are
  // there, both or neither; nothing that depends on them may be released).
  virtual void Append(LogEntry entry, Done done) = 0;
  std::future<Result<Appended>> Append(LogEntry entry);
  std::future<Result<Appended>> Append(Bytes leaf);
  // All of them, in order, side by side unless other threads append too. The first failure, else one answer for each
  // leaf.
  Result<std::vector<Appended>> AppendDurable(std::vector<Bytes> leaves);
  Result<Appended> AppendDurable(Bytes leaf);
  // Returns when the published log has the record of that index, which somebody read from a row that was committed with
  // it. LogProofMissing if the log has none, LogNotWritable if it cannot be published.
  Status AwaitPublished(uint64_t index);

  // The last published one.
  virtual merkle::Checkpoint checkpoint() const = 0;
  virtual std::string checkpoint_note() const = 0;
  // False after the log was found forked or damaged: an operator must look.
  virtual bool is_writable() const = 0;
};

}  // namespace fleetseal::translog

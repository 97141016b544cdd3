// The log's one writer, without threads: appends groups of leaves so that a crash at any point neither loses an
// acknowledged leaf nor forks.
//
// Source: reference/tlog.md sections 6 and 7, ADR 0011. Order of a group: inside one transaction the entries' own rows,
// tiles in memory, sign, tiles and checkpoint as files under names that nobody reads (a full or read-only disk is met
// here, before anything happened), lock row with staged leaves (compare and swap; the only durable write); then the
// tiles get their names, and last the checkpoint. Files are fsynced now and then (Maintain), and staged leaves are
// forgotten only after that. After any failed step the sequencer recovers from the lock row before it writes again.
// Thread rule: one thread. Ownership: lock and signer outlive it. Effects: files below `directory`, which the server
// may serve as they are.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crypto/signer.h"
#include "merkle/checkpoint.h"
#include "sys/file.h"
#include "translog/log_entry.h"
#include "translog/store/lock_store.h"
#include "translog/tree_builder.h"

namespace fleetseal::translog {

// One group holds at most so many leaves and bytes; what is more waits for the next.
inline constexpr size_t kGroupLeavesMax = 4096;
inline constexpr size_t kGroupBytesMax = 4 * 1024 * 1024;

class Sequencer {
 public:
  struct Options {
    std::string directory;  // made by Create, mode 0755
    std::string origin;     // also the name of the log's key
    LockStore& lock;
    const crypto::Signer& signer;  // Ed25519
  };
  // Makes an empty log with its signed checkpoint. AlreadyExists if the lock row is there, Conflict if the directory
  // has a checkpoint: a log is never made over another. KeyInvalid, StorageFailed, NoSpace.
  static Status Create(const Options& options);
  // NotFound if there is no such log, Busy if another process has the directory, LogForked (the files are ahead of the
  // lock row or show another history), Corrupt (files missing or changed), KeyInvalid, StorageFailed.
  static Result<std::unique_ptr<Sequencer>> Open(const Options& options);
  Sequencer(const Sequencer&) = delete;
  Sequencer& operator=(const Sequencer&) = delete;

  // One outcome for each entry, after the lock row is durable and the checkpoint is published: the index of its first
  // leaf (without leaves: the size of the log before it), or the error of its StoreRows; then nothing of it is written.
  // A failure of the whole is LogNotWritable, and it is then unknown whether leaves and rows are there: both of an
  // entry or neither. REQUIRES: together at most kGroupLeavesMax + kEntryLeavesMax leaves, of 1 to 65,535 bytes.
  Result<std::vector<Result<uint64_t>>> Append(const std::vector<LogEntry>& entries);
  // One entry without rows. REQUIRES: at least one leaf.
  Result<uint64_t> Append(std::vector<Bytes> leaves);
  // Makes the files durable if enough was written since, or in any case with `is_forced`. A failure is met by recovery
  // at the next Append.
  void Maintain(bool is_forced);

  const merkle::Checkpoint& checkpoint() const { return checkpoint_; }
  const std::string& checkpoint_note() const { return row_.checkpoint_note; }
  // Set for good when the log was found forked or damaged: nothing is written any more.
  bool is_stopped() const { return is_stopped_; }

 private:
  explicit Sequencer(const Options& options) : options_(options) {}
  Status Recover();
  Status Replay(const LockState& state, const std::optional<merkle::Checkpoint>& published);
  Result<std::optional<merkle::Checkpoint>> ReadPublished() const;
  Result<merkle::Checkpoint> VerifyOwn(const std::string& note) const;
  Result<LockRow> SignedRow(const TreeBuilder& tree) const;
  struct Group;
  Status CommitGroup(Group& group);
  Result<LockMove> MakeMove(storage::Session& session, Group& group);
  Status StageFiles(const Group& group);
  Status PublishFiles(const Group& group);
  Status StageFile(size_t place, const std::string& name, ByteView bytes);
  Status PublishFile(size_t place, const std::string& name);
  void NoteUnsynced(const TileFile& file);
  Status WriteTiles(const std::vector<TileFile>& files);
  Status WriteFile(const std::string& name, ByteView bytes);
  Status SyncFiles();
  Result<Bytes> ReadTile(const merkle::TileId& id) const;

  const Options options_;
  std::unique_ptr<sys::FileLock> writer_lock_;
  LockRow row_;
  merkle::Checkpoint checkpoint_;
  TreeBuilder tree_;
  uint64_t files_durable_size_ = 0;
  // Written since the last sync: (level, number) and the greatest width. Narrower ones need not outlive a power cut.
  std::map<std::pair<int, uint64_t>, uint64_t> unsynced_tiles_;
  std::set<std::string> directories_;  // known to exist
  size_t unsynced_bytes_ = 0;
  int unsynced_groups_ = 0;
  bool needs_recovery_ = true;
  bool is_stopped_ = false;
};

}  // namespace fleetseal::translog

#include "translog/adopt_files.h"

#include <algorithm>
#include <iterator>

#include "translog/log_reader.h"

namespace fleetseal::translog {

Result<LockRow> ReadLockRow(const LogWriter::Options& options) {
  const auto lock = MakeSqlLockStore(options.database, options.origin);
  TRY_ASSIGN(const LockState state, lock->Load());
  return state.row;
}

Result<AdoptedFiles> LookAtFiles(const LogWriter::Options& options) {
  AdoptedFiles files;
  TRY_ASSIGN(files.from, ReadLockRow(options));
  TRY_ASSIGN(const auto key, merkle::Vkey::FromEd25519(options.origin, options.signer.public_key().x()));
  const merkle::LogPolicy policy{options.origin, {key}, {}, 0};
  const LogReader reader = LogReader::OfDirectory(options.directory);
  TRY_ASSIGN(const LogReader::Head head, reader.ReadCheckpoint(policy));
  if (head.checkpoint.size <= files.from.size) return Fail(ErrorCode::kConflict, "the log files are not ahead");
  TRY_CONTEXT(reader.Fsck(policy), "the log files");
  TRY_ASSIGN(const auto proof, reader.ConsistencyProof(files.from.size, head.checkpoint));
  if (files.from.size > 0 &&
      !merkle::VerifyConsistency(files.from.size, head.checkpoint.size, files.from.root, head.checkpoint.root, proof)) {
    return Fail(ErrorCode::kLogForked, "the log files do not begin with the log of this database");
  }
  for (uint64_t from = files.from.size; from < head.checkpoint.size;) {
    const uint64_t to = std::min(head.checkpoint.size, from + kReadEntriesMax);
    TRY_ASSIGN(auto entries, reader.ReadEntries(from, to, head.checkpoint));
    std::ranges::move(entries, std::back_inserter(files.leaves));
    from = to;
  }
  files.to = {head.checkpoint.size, head.checkpoint.root, head.note};
  return files;
}

Status AdoptFiles(const LogWriter::Options& options, const AdoptedFiles& files) {
  const auto lock = MakeSqlLockStore(options.database, options.origin);
  // Nothing is staged: every leaf is in the files, and what the old row had staged is forgotten with this.
  return lock->Advance(files.from, files.to, {files.to.size, {}}, files.to.size);
}

}  // namespace fleetseal::translog

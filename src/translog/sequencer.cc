#include "translog/sequencer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "merkle/hash.h"
#include "sys/errors.h"
#include "sys/faults.h"
#include "translog/log_reader.h"

namespace fleetseal::translog {
namespace {

constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0644;
constexpr mode_t kStagedMode = 0600;
constexpr const char* kCheckpointName = "checkpoint";
// Not a path of the format, so a static file server that follows it never shows these.
constexpr const char* kTemporaryPrefix = ".writing-";
constexpr const char* kLockName = ".writer-lock";
// Files are fsynced after so many groups or bytes: more staged leaves cost a longer start after a crash, fewer cost
// fsyncs.
constexpr int kUnsyncedGroupsMax = 64;
constexpr size_t kUnsyncedBytesMax = 8 * 1024 * 1024;

constexpr const char* kOtherHistory = "the published checkpoint shows another history than the lock row";

// One for each file of a group: they are written together and renamed together.
std::string TemporaryPath(const std::string& directory, size_t place) {
  return sys::JoinPath(directory, kTemporaryPrefix + std::to_string(place));
}

ErrorCode CodeOf(const Status& status) { return status ? ErrorCode{} : status.error().code; }

// The lock row or the files contradict each other: no later try can mend that.
bool IsFinal(ErrorCode code) {
  return code == ErrorCode::kLogForked || code == ErrorCode::kCorrupt || code == ErrorCode::kKeyInvalid;
}

}  // namespace

Status Sequencer::Create(const Options& options) {
  TRY(sys::MakeDirectories(options.directory, kDirectoryMode));
  if (sys::FileExists(sys::JoinPath(options.directory, kCheckpointName))) {
    return Fail(ErrorCode::kConflict, "the directory holds a log already");
  }
  Sequencer sequencer(options);
  TRY_ASSIGN(const LockRow row, sequencer.SignedRow(TreeBuilder()));
  TRY_CONTEXT(options.lock.Create(row), "creating log " + options.origin);
  return sys::WriteFileDurably(sys::JoinPath(options.directory, kCheckpointName), AsBytes(row.checkpoint_note),
                               kFileMode);
}

Result<std::unique_ptr<Sequencer>> Sequencer::Open(const Options& options) {
  std::unique_ptr<Sequencer> sequencer(new Sequencer(options));
  TRY_ASSIGN_CONTEXT(sequencer->writer_lock_, sys::FileLock::Acquire(sys::JoinPath(options.directory, kLockName)),
                     "opening log " + options.origin);
  TRY_CONTEXT(sequencer->Recover(), "opening log " + options.origin);
  return sequencer;
}

Result<LockRow> Sequencer::SignedRow(const TreeBuilder& tree) const {
  LockRow row{tree.size(), tree.Root(), {}};
  if (!merkle::IsKeyName(options_.origin)) return Fail(ErrorCode::kInvalidArgument, "log origin");
  const std::string text = merkle::BuildCheckpoint({options_.origin, row.size, row.root});
  TRY_ASSIGN(row.checkpoint_note, merkle::SignNote(text, options_.origin, options_.signer));
  return row;
}

Result<merkle::Checkpoint> Sequencer::VerifyOwn(const std::string& note) const {
  TRY_ASSIGN(const auto key, merkle::Vkey::FromEd25519(options_.origin, options_.signer.public_key().x()));
  auto checkpoint = merkle::VerifyCheckpoint(note, {options_.origin, {key}, {}, 0});
  if (!checkpoint)
    return Fail(ErrorCode::kCorrupt, "a checkpoint is not by this log's key: " + checkpoint.error().ToString());
  return checkpoint;
}

Result<std::optional<merkle::Checkpoint>> Sequencer::ReadPublished() const {
  const auto text = sys::ReadTextFile(sys::JoinPath(options_.directory, kCheckpointName), merkle::kNoteBytesMax);
  // Published files are not durable at once: after a power cut the newest may be missing or empty.
  if (!text && text.error().code == ErrorCode::kNotFound) return std::nullopt;
  if (!text) return tl::unexpected(text.error());
  if (text->empty()) return std::nullopt;
  TRY_ASSIGN(auto checkpoint, VerifyOwn(*text));
  return checkpoint;
}

Result<Bytes> Sequencer::ReadTile(const merkle::TileId& id) const {
  const auto read = [&](const merkle::TileId& tile) {
    return sys::ReadFile(sys::JoinPath(options_.directory, merkle::TilePath(tile)), kTileFileBytesMax);
  };
  auto bytes = read(id);
  // A partial tile goes when its full one is durable.
  if (!bytes && bytes.error().code == ErrorCode::kNotFound && id.width < merkle::kTileWidth) {
    bytes = read({id.level, id.number, merkle::kTileWidth});
  }
  if (!bytes && bytes.error().code == ErrorCode::kNotFound)
    return Fail(ErrorCode::kCorrupt, "missing " + merkle::TilePath(id));
  return bytes;
}

Status Sequencer::Recover() {
  if (options_.signer.public_key().type() != crypto::KeyType::kEd25519) {
    return Fail(ErrorCode::kKeyInvalid, "a log's key is Ed25519");
  }
  needs_recovery_ = true;
  directories_.clear();  // a failed clean-up may have removed some
  TRY_ASSIGN(const LockState state, options_.lock.Load());
  TRY_ASSIGN(const merkle::Checkpoint locked, VerifyOwn(state.row.checkpoint_note));
  if (locked.size != state.row.size || locked.root != state.row.root) {
    return Fail(ErrorCode::kCorrupt, "the lock row's checkpoint is not of its size and root");
  }
  TRY_ASSIGN(const auto published, ReadPublished());
  if (published && published->size > locked.size) {
    return Fail(ErrorCode::kLogForked,
                "the published checkpoint is ahead of the lock row: the database is an old copy");
  }
  TRY(Replay(state, published));
  row_ = state.row;
  checkpoint_ = locked;
  TRY(WriteFile(kCheckpointName, AsBytes(row_.checkpoint_note)));
  TRY(SyncFiles());
  needs_recovery_ = false;
  return {};
}

// Builds the tree of the lock row from the files and the staged leaves, and writes the files of the latter again.
Status Sequencer::Replay(const LockState& state, const std::optional<merkle::Checkpoint>& published) {
  const uint64_t base = state.staged.empty() ? state.row.size : state.staged.front().first;
  const auto read = [this](const merkle::TileId& id) { return ReadTile(id); };
  TRY_ASSIGN(TreeBuilder tree, TreeBuilder::Load(base, read));
  const auto check_published = [&]() -> Status {
    if (!published || published->size != tree.size() || published->root == tree.Root()) return {};
    return Fail(ErrorCode::kLogForked, kOtherHistory);
  };
  if (published && published->size < base) {
    const merkle::TileHashReader hashes(base, [&](const merkle::TileId& id) -> Result<std::vector<Sha256>> {
      TRY_ASSIGN(Bytes bytes, ReadTile(id));
      bytes.resize(std::min(bytes.size(), id.width * Sha256::kSize));
      return merkle::DecodeTile(bytes, id.width);
    });
    TRY_ASSIGN(const Sha256 root, merkle::RootAt(published->size, hashes));
    if (root != published->root) return Fail(ErrorCode::kLogForked, kOtherHistory);
  }
  TRY(check_published());
  std::vector<TileFile> files;
  for (const StagedGroup& group : state.staged) {
    if (group.first != tree.size()) return Fail(ErrorCode::kCorrupt, "staged leaves have a gap");
    const uint64_t old_size = tree.size();
    for (const Bytes& leaf : group.leaves) {
      tree.Append(leaf, files);
      TRY(check_published());
    }
    tree.AddPartialTiles(old_size, files);
  }
  if (tree.size() != state.row.size || tree.Root() != state.row.root) {
    return Fail(ErrorCode::kCorrupt, "the files and staged leaves do not make the tree of the lock row");
  }
  TRY(WriteTiles(files));
  tree_ = std::move(tree);
  return {};
}

// What becomes of one group; the last four are made anew each time the transaction runs.
struct Sequencer::Group {
  const std::vector<LogEntry>& entries;
  TreeBuilder next;
  std::vector<TileFile> files;
  LockRow to;
  std::vector<Result<uint64_t>> outcomes;
};

Result<uint64_t> Sequencer::Append(std::vector<Bytes> leaves) {
  CHECK(!leaves.empty());
  TRY_ASSIGN(auto outcomes, Append(std::vector<LogEntry>{{std::move(leaves), {}}}));
  return std::move(outcomes.front());
}

Result<std::vector<Result<uint64_t>>> Sequencer::Append(const std::vector<LogEntry>& entries) {
  const auto refuse = [](const Error& error) { return Fail(ErrorCode::kLogNotWritable, error.ToString()); };
  if (is_stopped_) return Fail(ErrorCode::kLogNotWritable, "the log is stopped since it was found forked or damaged");
  if (needs_recovery_) {
    const Status recovered = Recover();
    if (!recovered) {
      is_stopped_ = IsFinal(recovered.error().code);
      return refuse(recovered.error());
    }
  }
  Group group{entries, {}, {}, {}, {}};
  // Nothing to write: what came before is published, or was by the recovery.
  if (std::ranges::all_of(entries, [](const LogEntry& entry) { return entry.leaves.empty(); })) {
    group.outcomes.assign(entries.size(), tree_.size());
    return std::move(group.outcomes);
  }
  const Status committed = CommitGroup(group);
  if (!committed) {
    needs_recovery_ = true;
    // Another writer took over: this one must never write again by itself.
    is_stopped_ = CodeOf(committed) == ErrorCode::kLogForked;
    return refuse(committed.error());
  }
  return std::move(group.outcomes);
}

// Inside the transaction: the rows of each entry behind a savepoint of their own, so that one which cannot be stored
// keeps nobody else from the log; the leaves of the others make the next tree.
Result<LockMove> Sequencer::MakeMove(storage::Session& session, Group& group) {
  group.next = tree_;
  group.files.clear();
  group.outcomes.clear();
  StagedGroup staged{tree_.size(), {}};
  for (const LogEntry& entry : group.entries) {
    const uint64_t first = group.next.size();
    Status stored;
    if (entry.store) {
      TRY(storage::RunPart(
          session, [&](storage::Session& part) { return entry.store(part, first); }, stored));
    }
    if (!stored) {
      group.outcomes.emplace_back(tl::unexpected(stored.error()));
      continue;
    }
    for (const Bytes& leaf : entry.leaves) {
      group.next.Append(leaf, group.files);
      staged.leaves.push_back(leaf);
    }
    group.outcomes.emplace_back(first);
  }
  if (group.next.size() > merkle::kTreeSizeMax) return Fail(ErrorCode::kLimitExceeded, "the log is full");
  group.next.AddPartialTiles(tree_.size(), group.files);
  TRY_ASSIGN(group.to, SignedRow(group.next));
  TRY(StageFiles(group));
  return LockMove{group.to, std::move(staged)};
}

Status Sequencer::CommitGroup(Group& group) {
  TRY(options_.lock.Advance(row_, files_durable_size_,
                            [&](storage::Session& session) { return MakeMove(session, group); }));
  TRY(PublishFiles(group));
  row_ = group.to;
  checkpoint_ = {options_.origin, group.to.size, group.to.root};
  tree_ = std::move(group.next);
  ++unsynced_groups_;
  return {};
}

Status Sequencer::StageFiles(const Group& group) {
  size_t place = 0;
  for (const TileFile& file : group.files) TRY(StageFile(place++, merkle::TilePath(file.id), file.bytes));
  return StageFile(place, kCheckpointName, AsBytes(group.to.checkpoint_note));
}

Status Sequencer::PublishFiles(const Group& group) {
  size_t place = 0;
  for (const TileFile& file : group.files) {
    TRY(PublishFile(place++, merkle::TilePath(file.id)));
    NoteUnsynced(file);
  }
  return PublishFile(place, kCheckpointName);
}

void Sequencer::NoteUnsynced(const TileFile& file) {
  uint64_t& width = unsynced_tiles_[{file.id.level, file.id.number}];
  width = std::max(width, file.id.width);
}

Status Sequencer::WriteTiles(const std::vector<TileFile>& files) {
  for (const TileFile& file : files) {
    TRY(WriteFile(merkle::TilePath(file.id), file.bytes));
    NoteUnsynced(file);
  }
  return {};
}

// Whole or not at all for readers; durable only after SyncFiles.
Status Sequencer::WriteFile(const std::string& name, ByteView bytes) {
  TRY(StageFile(0, name, bytes));
  return PublishFile(0, name);
}

// Takes the space that `name` will need, the directory included, and leaves what is there under that name.
Status Sequencer::StageFile(size_t place, const std::string& name, ByteView bytes) {
  const std::string parent = sys::ParentDirectory(sys::JoinPath(options_.directory, name));
  if (!directories_.contains(parent)) {
    TRY(sys::MakeDirectories(parent, kDirectoryMode));
    directories_.insert(parent);
  }
  const std::string temporary = TemporaryPath(options_.directory, place);
  TRY_ASSIGN(const sys::FileDescriptor file, sys::OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, kStagedMode));
  // Nobody else reads a checkpoint that may never be committed: with the one that is, it would look like a fork.
  if (fchmod(file.get(), kStagedMode) != 0) return sys::FailErrno("chmod", temporary, errno);
  TRY(sys::WriteAll(file.get(), bytes));
  unsynced_bytes_ += bytes.size();
  return {};
}

Status Sequencer::PublishFile(size_t place, const std::string& name) {
  const std::string temporary = TemporaryPath(options_.directory, place);
  const std::string path = sys::JoinPath(options_.directory, name);
  // The log is public, whatever the umask of its writer.
  if (::chmod(temporary.c_str(), kFileMode) != 0) return sys::FailErrno("chmod", temporary, errno);
  if (sys::WithFaults(sys::FaultPoint::kRename, [&] { return ::rename(temporary.c_str(), path.c_str()); }) != 0) {
    return sys::FailErrno("rename", path, errno);
  }
  return {};
}

Status Sequencer::SyncFiles() {
  std::vector<std::string> paths{sys::JoinPath(options_.directory, kCheckpointName)};
  std::vector<std::string> superseded;
  for (const auto& [place, width] : unsynced_tiles_) {
    const auto& [level, number] = place;
    paths.push_back(sys::JoinPath(options_.directory, merkle::TilePath({level, number, width})));
    if (width == merkle::kTileWidth) superseded.push_back(paths.back() + ".p");
  }
  std::set<std::string> directories;
  for (const std::string& path : paths) {
    TRY_ASSIGN(const sys::FileDescriptor file, sys::OpenFile(path, O_RDONLY));
    TRY(sys::FsyncFile(file.get()));
    // The names on the way up may be new too.
    for (std::string parent = sys::ParentDirectory(path); parent.size() >= options_.directory.size();
         parent = sys::ParentDirectory(parent)) {
      if (!directories.insert(parent).second) break;
    }
  }
  for (const std::string& directory : directories) TRY(sys::FsyncDirectory(directory));
  unsynced_tiles_.clear();
  unsynced_bytes_ = 0;
  unsynced_groups_ = 0;
  files_durable_size_ = row_.size;
  // The full tile is durable now and stands for its partial ones.
  for (const std::string& path : superseded) {
    TRY(sys::RemoveTree(path));
    directories_.erase(path);
  }
  return {};
}

void Sequencer::Maintain(bool is_forced) {
  if (needs_recovery_ || unsynced_tiles_.empty()) return;
  if (!is_forced && unsynced_groups_ < kUnsyncedGroupsMax && unsynced_bytes_ < kUnsyncedBytesMax) return;
  // After a failed fsync the kernel may have dropped the pages: only writing again from the staged leaves is sound.
  if (!SyncFiles()) needs_recovery_ = true;
}

}  // namespace fleetseal::translog

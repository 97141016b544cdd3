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
constexpr const char* kCheckpointName = "checkpoint";
// Not a path of the format, so a static file server that follows it never shows these.
constexpr const char* kTemporaryName = ".writing";
constexpr const char* kLockName = ".writer-lock";
// Files are fsynced after so many groups or bytes: more staged leaves cost a longer start after a crash, fewer cost
// fsyncs.
constexpr int kUnsyncedGroupsMax = 64;
constexpr size_t kUnsyncedBytesMax = 8 * 1024 * 1024;

constexpr const char* kOtherHistory = "the published checkpoint shows another history than the lock row";

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

Result<uint64_t> Sequencer::Append(std::vector<Bytes> leaves) {
  CHECK(!leaves.empty() && leaves.size() <= kGroupLeavesMax);
  const auto refuse = [](const Error& error) { return Fail(ErrorCode::kLogNotWritable, error.ToString()); };
  if (is_stopped_) return Fail(ErrorCode::kLogNotWritable, "the log is stopped since it was found forked or damaged");
  if (needs_recovery_) {
    const Status recovered = Recover();
    if (!recovered) {
      is_stopped_ = IsFinal(recovered.error().code);
      return refuse(recovered.error());
    }
  }
  const uint64_t first = tree_.size();
  const Status committed = CommitGroup(std::move(leaves));
  if (!committed) {
    needs_recovery_ = true;
    // Another writer took over: this one must never write again by itself.
    is_stopped_ = CodeOf(committed) == ErrorCode::kLogForked;
    return refuse(committed.error());
  }
  return first;
}

Status Sequencer::CommitGroup(std::vector<Bytes> leaves) {
  TreeBuilder next = tree_;
  std::vector<TileFile> files;
  for (const Bytes& leaf : leaves) next.Append(leaf, files);
  next.AddPartialTiles(tree_.size(), files);
  if (next.size() > merkle::kTreeSizeMax) return Fail(ErrorCode::kLimitExceeded, "the log is full");
  TRY_ASSIGN(const LockRow to, SignedRow(next));
  TRY(options_.lock.Advance(row_, to, {tree_.size(), std::move(leaves)}, files_durable_size_));
  TRY(WriteTiles(files));
  TRY(WriteFile(kCheckpointName, AsBytes(to.checkpoint_note)));
  row_ = to;
  checkpoint_ = {options_.origin, to.size, to.root};
  tree_ = std::move(next);
  ++unsynced_groups_;
  return {};
}

Status Sequencer::WriteTiles(const std::vector<TileFile>& files) {
  for (const TileFile& file : files) {
    TRY(WriteFile(merkle::TilePath(file.id), file.bytes));
    uint64_t& width = unsynced_tiles_[{file.id.level, file.id.number}];
    width = std::max(width, file.id.width);
  }
  return {};
}

// Whole or not at all for readers, by rename; durable only after SyncFiles.
Status Sequencer::WriteFile(const std::string& name, ByteView bytes) {
  const std::string path = sys::JoinPath(options_.directory, name);
  const std::string parent = sys::ParentDirectory(path);
  if (!directories_.contains(parent)) {
    TRY(sys::MakeDirectories(parent, kDirectoryMode));
    directories_.insert(parent);
  }
  const std::string temporary = sys::JoinPath(options_.directory, kTemporaryName);
  TRY_ASSIGN(const sys::FileDescriptor file, sys::OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, kFileMode));
  // The log is public, whatever the umask of its writer.
  if (fchmod(file.get(), kFileMode) != 0) return sys::FailErrno("chmod", temporary, errno);
  TRY(sys::WriteAll(file.get(), bytes));
  if (sys::WithFaults(sys::FaultPoint::kRename, [&] { return ::rename(temporary.c_str(), path.c_str()); }) != 0) {
    return sys::FailErrno("rename", path, errno);
  }
  unsynced_bytes_ += bytes.size();
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

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "cli/backup.h"
#include "cli/progress.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "sealing/sealed_file.h"
#include "sys/file.h"
#include "sys/users.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kPieceBytes = 256 * 1024;
constexpr mode_t kModesMax = 07777;

struct Entry {
  std::string name;
  bool is_directory = false;
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t size = 0;
};

// Takes the plain bytes of a backup in pieces of any size and builds the directory.
class Unpacker {
 public:
  explicit Unpacker(std::string root) : root_(std::move(root)) {}

  Status Take(ByteView bytes) {
    while (!bytes.empty()) {
      const size_t wanted = static_cast<size_t>(std::min<uint64_t>(Wanted(), bytes.size()));
      TRY(TakePart(bytes.first(wanted)));
      bytes = bytes.subspan(wanted);
    }
    return {};
  }
  // Rights of directories come last: a read-only one could not be filled. Truncated unless all items came.
  Status Finish() {
    if (!manifest_ || done_ != items_ || step_ != Step::kLength || !part_.empty())
      return Fail(ErrorCode::kTruncated, "the backup does not hold what its manifest says");
    for (auto it = directories_.rbegin(); it != directories_.rend(); ++it) {
      TRY(Own(*it));
      TRY(sys::FsyncDirectory(sys::JoinPath(root_, it->name)));
    }
    return sys::FsyncDirectory(root_);
  }
  const codec::Json& manifest() const { return *manifest_; }
  const Entry* Find(std::string_view name) const {
    const auto found = std::ranges::find_if(directories_, [&](const Entry& entry) { return entry.name == name; });
    return found == directories_.end() ? nullptr : &*found;
  }

 private:
  enum class Step : uint8_t { kLength, kHeader, kBytes, kHash };

  uint64_t Wanted() const {
    if (step_ == Step::kBytes) return left_;
    const uint64_t size = step_ == Step::kLength ? 4 : step_ == Step::kHeader ? left_ : Sha256::kSize;
    return size - part_.size();
  }

  Status TakePart(ByteView bytes) {
    if (step_ == Step::kBytes) {
      hasher_.Update(bytes);
      TRY(sys::WriteAll(file_.get(), bytes));
      left_ -= bytes.size();
      if (left_ == 0) step_ = Step::kHash;
      return {};
    }
    part_.insert(part_.end(), bytes.begin(), bytes.end());
    if (Wanted() > 0) return {};
    const Bytes whole = std::exchange(part_, {});
    if (step_ == Step::kLength) return OnLength(whole);
    if (step_ == Step::kHeader) return OnHeader(AsText(whole));
    return OnHash(whole);
  }

  Status OnLength(const Bytes& whole) {
    left_ = 0;
    for (const uint8_t byte : whole) left_ = left_ << 8 | byte;
    if (left_ == 0 || left_ > kBackupHeaderMax) return Fail(ErrorCode::kCorrupt, "a header of the backup");
    step_ = Step::kHeader;
    return {};
  }

  Status OnHeader(std::string_view text) {
    TRY_ASSIGN_CONTEXT(const codec::Json json, codec::ParseJson(text), "a header of the backup");
    codec::ObjectReader reader(json, "backup");
    if (!manifest_) {
      reader.Integer("format", 1, 1);
      reader.Integer("created");
      reader.Integer("logSize");
      reader.Integer("registerSequence");
      items_ = reader.Integer("items");
      TRY(reader.Finish());
      manifest_ = json;
      step_ = Step::kLength;
      return {};
    }
    entry_.name = reader.String("name", 4096);
    entry_.is_directory = reader.Bool("directory");
    entry_.mode = static_cast<mode_t>(reader.Integer("mode", 0, kModesMax));
    entry_.uid = static_cast<uid_t>(reader.Integer("uid", 0, kBackupIdMax));
    entry_.gid = static_cast<gid_t>(reader.Integer("gid", 0, kBackupIdMax));
    entry_.size = static_cast<uint64_t>(reader.Integer("size"));
    TRY(reader.Finish());
    return Begin();
  }

  // Only names below the target, and each once.
  Status Begin() {
    const std::string framed = "/" + entry_.name + "/";
    const bool is_bad = framed.find("//") != std::string::npos || framed.find("/./") != std::string::npos ||
                        framed.find("/../") != std::string::npos || framed.find('\0') != std::string::npos;
    if (is_bad || done_ >= items_ || !names_.insert(entry_.name).second)
      return Fail(ErrorCode::kCorrupt, "the backup names " + entry_.name);
    const std::string path = sys::JoinPath(root_, entry_.name);
    hasher_ = crypto::Sha256Hasher();
    left_ = entry_.size;
    step_ = left_ == 0 ? Step::kHash : Step::kBytes;
    if (entry_.is_directory) {
      if (entry_.size != 0) return Fail(ErrorCode::kCorrupt, "the backup names " + entry_.name);
      return sys::MakeDirectories(path, 0700);
    }
    TRY(sys::MakeDirectories(sys::ParentDirectory(path), 0700));
    TRY_ASSIGN(file_, sys::OpenFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    return {};
  }

  Status OnHash(const Bytes& whole) {
    if (!std::ranges::equal(whole, hasher_.Finish().view()))
      return Fail(ErrorCode::kCorrupt, entry_.name + " is not what was backed up");
    if (entry_.is_directory) {
      directories_.push_back(entry_);
    } else {
      TRY(sys::FsyncFile(file_.get()));
      file_.Reset();
      TRY(Own(entry_));
    }
    ++done_;
    step_ = Step::kLength;
    return {};
  }

  Status Own(const Entry& entry) const {
    const bool is_root = sys::IsRoot();
    return sys::SetOwner(sys::JoinPath(root_, entry.name), is_root ? entry.uid : ::geteuid(),
                         is_root ? entry.gid : ::getegid(), entry.mode);
  }

  const std::string root_;
  Step step_ = Step::kLength;
  Bytes part_;
  uint64_t left_ = 0;
  std::optional<codec::Json> manifest_;
  int64_t items_ = 0;
  int64_t done_ = 0;
  Entry entry_;
  std::set<std::string> names_;
  std::vector<Entry> directories_;
  sys::FileDescriptor file_;
  crypto::Sha256Hasher hasher_;
};

Status Unpack(const Context& context, const std::string& path, const SecretBytes& key, Unpacker& unpacker) {
  TRY_ASSIGN(const auto file, sys::OpenFile(path, O_RDONLY));
  TRY_ASSIGN(const ByteCount size, sys::SizeOf(file.get()));
  Bytes piece(kPieceBytes);
  TRY_ASSIGN(const size_t header_size, sys::ReadUpToAt(file.get(), std::span(piece).first(sealing::kHeaderBytes), 0));
  TRY_ASSIGN_CONTEXT(const auto header, sealing::SealedHeader::Parse(ByteView(piece).first(header_size)),
                     path + " is no backup");
  const Sha256 label = crypto::HashSha256(kBackupLabel);
  TRY_ASSIGN(const FileId id, FileId::Parse("backup"));
  const auto opener = sealing::Opener::Start({key, label, id}, header.plain_size);
  const sealing::Sink sink = [&](ByteView bytes) { return unpacker.Take(bytes); };
  ProgressLine progress(context, "restore", size.value);
  for (uint64_t done = 0;;) {
    TRY_ASSIGN(const size_t got, sys::ReadUpTo(file.get(), piece));
    if (got == 0) break;
    TRY_CONTEXT(opener->Push(ByteView(piece).first(got), sink), "wrong key, or the backup was changed");
    done += got;
    progress.Update(done);
  }
  TRY_CONTEXT(opener->Finish(), "the backup is not whole");
  progress.Finish();
  return unpacker.Finish();
}

// The signer that finds it halts: a copy must never go on as if nothing had happened since (ADR 0009).
Status LeaveMark(const std::string& root, const Unpacker& unpacker) {
  const std::string path = root + "/signer/restored";
  TRY(sys::WriteFileDurably(path, AsBytes(unpacker.manifest().Serialize() + "\n"), 0600));
  const Entry* folder = unpacker.Find("signer");
  if (folder == nullptr) return Fail(ErrorCode::kCorrupt, "the backup holds no signer");
  if (!sys::IsRoot()) return {};
  return sys::SetOwner(path, folder->uid, folder->gid, 0600);
}

Status RestoreInto(const Context& context, const RestoreOptions& options, const SecretBytes& key,
                   const std::string& target, const std::string& partial, codec::Json& manifest) {
  TRY(sys::RemoveTree(partial));
  TRY(sys::MakeDirectories(partial, 0755));
  Unpacker unpacker(partial);
  TRY(Unpack(context, options.file, key, unpacker));
  TRY(LeaveMark(partial, unpacker));
  manifest = unpacker.manifest();
  if (sys::DirectoryExists(target) && ::rmdir(target.c_str()) != 0)
    return Fail(ErrorCode::kAlreadyExists, target + " is not empty");
  return sys::RenameDurably(partial, target);
}

}  // namespace

Status Restore(Context& context, const RestoreOptions& options) {
  std::string target = options.data;
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
  if (sys::FileExists(target)) return Fail(ErrorCode::kAlreadyExists, target + " is a file");
  if (sys::DirectoryExists(target)) {
    TRY_ASSIGN(const auto names, sys::ListDirectory(target));
    if (!names.empty()) return Fail(ErrorCode::kAlreadyExists, target + " is not empty: restore into a new directory");
  }
  TRY_ASSIGN(const SecretBytes key, ReadBackupKey(options.key_file));
  const std::string partial = target + ".restoring";
  codec::Json manifest;
  const Status restored = RestoreInto(context, options, key, target, partial, manifest);
  if (!restored) (void)sys::RemoveTree(partial);
  TRY(restored);
  manifest.Set("data", target).Set("isHalted", true);
  Answer(context, manifest,
         "restored into " + target +
             ". The signer will not sign anything yet: it cannot know what happened since the "
             "backup.\nnext:\n  fleetseal recover show --data " +
             target + "\n  fleetseal recover continue --data " + target +
             " --identities DIR --as SECURITY\n  fleetseal run --data " + target);
  return {};
}

}  // namespace fleetseal::cli

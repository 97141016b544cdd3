#include "cli/backup.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "cli/admin_client.h"
#include "cli/progress.h"
#include "cli/recover.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "merkle/tiles.h"
#include "sealing/sealed_file.h"
#include "storage/maintenance.h"
#include "sys/errors.h"
#include "sys/users.h"
#include "translog/log_reader.h"
#include "translog/places.h"
#include "translog/store/lock_store.h"

namespace fleetseal::cli {
namespace {

constexpr std::string_view kKeyPrefix = "fleetseal-backup-key-v1:";
constexpr size_t kSmallFileMax = 1024 * 1024;
constexpr size_t kPieceBytes = 256 * 1024;

struct Reader {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Run as root: reads with no more rights than the program whose folder it is, which may have put links there or be
// changing names at this moment. One thread, as the whole CLI.
class ReadingAs {
 public:
  explicit ReadingAs(const Reader& reader) : is_changed_(sys::IsRoot() && reader.uid != 0) {
    if (!is_changed_) return;
    const int count = getgroups(0, nullptr);
    groups_.resize(count > 0 ? static_cast<size_t>(count) : 0);
    CHECK(count == 0 || getgroups(count, groups_.data()) == count);
    CHECK(setgroups(0, nullptr) == 0 && setegid(reader.gid) == 0 && seteuid(reader.uid) == 0);
  }
  ~ReadingAs() {
    if (is_changed_) CHECK(seteuid(0) == 0 && setegid(getgid()) == 0 && setgroups(groups_.size(), groups_.data()) == 0);
  }
  ReadingAs(const ReadingAs&) = delete;
  ReadingAs& operator=(const ReadingAs&) = delete;

 private:
  const bool is_changed_;
  std::vector<gid_t> groups_;
};

struct Item {
  std::string name;  // below the data directory
  Reader reader;
  bool is_directory = false;
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t size = 0;
  std::string path;  // where to read it; empty: `bytes`
  Bytes bytes;

  std::string Header() const {
    return codec::Json::MakeObject()
        .Set("name", name)
        .Set("directory", is_directory)
        .Set("mode", static_cast<int64_t>(mode))
        .Set("uid", static_cast<int64_t>(uid))
        .Set("gid", static_cast<int64_t>(gid))
        .Set("size", size)
        .Serialize();
  }
};

struct Plan {
  std::string data;
  std::string scratch;  // removed at the end
  Reader reader;        // whose folder is being read
  std::vector<Item> items;
  std::string manifest;
};

Result<Item> Describe(const std::string& data, const std::string& name) {
  const std::string path = sys::JoinPath(data, name);
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) return sys::FailErrno("look at", path, errno);
  Item item;
  item.name = name;
  item.is_directory = S_ISDIR(facts.st_mode);
  if (!item.is_directory && !S_ISREG(facts.st_mode))
    return Fail(ErrorCode::kUnsupported, path + " is neither file nor directory: a backup holds only those");
  item.mode = facts.st_mode & 07777;
  item.uid = facts.st_uid;
  item.gid = facts.st_gid;
  item.size = item.is_directory ? 0 : static_cast<uint64_t>(facts.st_size);
  item.path = path;
  // What a restore would refuse must not get into a backup: nobody would know before the day it is needed.
  const auto header = codec::ParseJson(item.Header());
  if (!header || header->Find("name")->as_string() != name || item.uid > kBackupIdMax || item.gid > kBackupIdMax) {
    return Fail(ErrorCode::kUnsupported, "a backup cannot hold the name or owner of a file in " +
                                             sys::ParentDirectory(path) + ": it is none of ours, remove it");
  }
  return item;
}

// Databases are copied as such; the rest is made anew by whoever needs it.
bool IsLeftOut(const std::string& name) {
  if (name == "server/content/incoming" || name == "server/content/quarantine") return true;
  for (const std::string_view end : {".db", ".db-wal", ".db-shm", "/lock", ".lock", "/ports.json", "/adopt", ".tmp"}) {
    if (name.ends_with(end)) return true;
  }
  return name == "signer/restored";
}

// Small files may be replaced at any moment: they are read now. Large ones are never changed.
Status Walk(Plan& plan, const std::string& name) {
  auto item = Describe(plan.data, name);
  TRY(item);
  item->reader = plan.reader;
  if (!item->is_directory && item->size <= kSmallFileMax) {
    TRY_ASSIGN(item->bytes, sys::ReadFile(item->path, kSmallFileMax));
    item->size = item->bytes.size();
    item->path.clear();
  }
  const bool is_directory = item->is_directory;
  plan.items.push_back(*std::move(item));
  if (!is_directory) return {};
  TRY_ASSIGN(const auto names, sys::ListDirectory(sys::JoinPath(plan.data, name)));
  for (const auto& child : names) {
    const std::string below = name + "/" + child;
    if (IsLeftOut(below)) continue;
    const Status walked = Walk(plan, below);
    // A temporary file that has become what it was meant to be.
    if (!walked && walked.error().code != ErrorCode::kNotFound) return walked;
  }
  return {};
}

Status WalkAsOwner(Plan& plan, const std::string& name) {
  TRY_ASSIGN(const Item top, Describe(plan.data, name));
  plan.reader = {top.uid, top.gid};
  const ReadingAs reading(plan.reader);
  return Walk(plan, name);
}

Status CopyDatabase(Plan& plan, const std::string& name) {
  TRY_ASSIGN_CONTEXT(Item item, Describe(plan.data, name), "only organisations on SQLite are backed up");
  const std::string copy = sys::JoinPath(plan.scratch, std::to_string(plan.items.size()) + ".db");
  TRY_CONTEXT(storage::CopyDatabase("sqlite:" + item.path, copy), "copying " + name);
  TRY_ASSIGN(const auto copied, Describe(sys::ParentDirectory(copy), copy.substr(copy.rfind('/') + 1)));
  item.path = copy;
  item.size = copied.size;
  plan.items.push_back(std::move(item));
  return {};
}

// A partial tile may have given way to the full one, which begins with it.
Result<Bytes> ReadTile(const std::string& folder, const merkle::TileId& id) {
  auto bytes = sys::ReadFile(sys::JoinPath(folder, merkle::TilePath(id)), translog::kTileFileBytesMax);
  if (bytes || bytes.error().code != ErrorCode::kNotFound || id.width == merkle::kTileWidth) return bytes;
  const merkle::TileId full{id.level, id.number, merkle::kTileWidth};
  TRY_ASSIGN(Bytes whole, sys::ReadFile(sys::JoinPath(folder, merkle::TilePath(full)), translog::kTileFileBytesMax));
  if (id.level != merkle::kEntriesLevel) {
    whole.resize(std::min(whole.size(), id.width * Sha256::kSize));
    return whole;
  }
  TRY_ASSIGN(auto entries, merkle::DecodeEntries(whole, merkle::kTileWidth));
  entries.resize(id.width);
  return merkle::EncodeEntries(entries);
}

// Exactly the tree that the copied lock row stands on: later leaves are staged beside it or unknown to it. The signer
// writes the checkpoint file itself when it starts.
Result<uint64_t> AddLog(Plan& plan, const std::string& signer_copy, const std::string& origin) {
  TRY_ASSIGN(const auto database, storage::Database::Open({.url = "sqlite:" + signer_copy, .sessions = 1}));
  TRY_ASSIGN_CONTEXT(const auto state, translog::MakeSqlLockStore(*database, origin)->Load(), "the log " + origin);
  const uint64_t size = state.staged.empty() ? state.row.size : state.staged.front().first;
  TRY_ASSIGN(Item folder, Describe(plan.data, "log"));
  folder.reader = {folder.uid, folder.gid};
  plan.items.push_back(folder);
  const ReadingAs reading(folder.reader);
  const std::string tiles = translog::DirectoryOf(folder.path, origin);
  const std::string prefix = "log" + tiles.substr(folder.path.size()) + "/";
  std::vector<std::string> directories;
  for (const auto& id : merkle::NewTiles(0, size)) {
    Item item = folder;
    item.name = prefix + merkle::TilePath(id);
    item.is_directory = false;
    item.mode = 0644;
    if (id.width == merkle::kTileWidth) {
      TRY_ASSIGN(item, Describe(plan.data, item.name));
      item.reader = folder.reader;
    } else {
      item.path.clear();
      TRY_ASSIGN_CONTEXT(item.bytes, ReadTile(tiles, id), "log");
      item.size = item.bytes.size();
    }
    for (size_t slash = item.name.find('/', 4); slash != std::string::npos; slash = item.name.find('/', slash + 1)) {
      std::string parent = item.name.substr(0, slash);
      if (std::ranges::find(directories, parent) != directories.end()) continue;
      Item made = folder;
      made.name = parent;
      directories.push_back(std::move(parent));
      plan.items.push_back(std::move(made));
    }
    plan.items.push_back(std::move(item));
  }
  return state.row.size;
}

Status Collect(Context& context, Plan& plan) {
  TRY_ASSIGN_CONTEXT(const auto answer, AskProgram(plan.data, "signer", {"--recovery"}), "asking the signer");
  TRY_ASSIGN(const auto state, codec::ParseJson(answer));
  TRY(CopyDatabase(plan, "signer/signer.db"));
  const std::string signer_copy = plan.items.back().path;
  TRY(CopyDatabase(plan, "server/server.db"));
  std::vector<Item> databases;
  databases.swap(plan.items);
  for (const char* name : {"fleetseal.toml", "signer", "sealer", "server"})
    TRY_CONTEXT(WalkAsOwner(plan, name), "reading");
  for (const char* name : {"run", "run/signer", "run/sealer"}) {
    TRY_ASSIGN(Item item, Describe(plan.data, name));
    plan.items.push_back(std::move(item));
  }
  std::ranges::move(databases, std::back_inserter(plan.items));
  TRY_ASSIGN(const uint64_t log_size, AddLog(plan, signer_copy, TextOr(state, "logOrigin", "")));
  TRY_ASSIGN(const auto config, sys::ReadTextFile(plan.data + "/fleetseal.toml", kSmallFileMax));
  const codec::Json* sequence = state.Find("registerSequence");
  plan.manifest = codec::Json::MakeObject()
                      .Set("format", 1)
                      .Set("created", context.clock.Now().value)
                      .Set("logSize", log_size)
                      .Set("registerSequence", sequence == nullptr ? codec::Json(0) : *sequence)
                      .Set("items", static_cast<int64_t>(plan.items.size()))
                      .Serialize();
  return {};
}

Bytes Framed(const std::string& text) {
  Bytes bytes;
  const auto size = static_cast<uint32_t>(text.size());
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<uint8_t>(size >> shift));
  bytes.insert(bytes.end(), text.begin(), text.end());
  return bytes;
}

uint64_t PlainSize(const Plan& plan) {
  uint64_t size = 4 + plan.manifest.size();
  for (const Item& item : plan.items) size += 4 + item.Header().size() + item.size + Sha256::kSize;
  return size;
}

using Push = std::function<Status(ByteView)>;

Result<sys::FileDescriptor> OpenItem(const Item& item) {
  const ReadingAs reading(item.reader);
  return sys::OpenFile(item.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

// Exactly the bytes that were announced: a file that has grown or shrunk was no file of ours.
Status PushContent(const Item& item, const Push& push) {
  if (item.is_directory) return push(crypto::HashSha256(ByteView()).view());
  if (item.path.empty()) {
    TRY(push(item.bytes));
    return push(crypto::HashSha256(item.bytes).view());
  }
  TRY_ASSIGN(const auto file, OpenItem(item));
  crypto::Sha256Hasher hasher;
  Bytes piece(kPieceBytes);
  for (uint64_t done = 0; done < item.size;) {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(piece.size(), item.size - done));
    TRY_ASSIGN(const size_t got, sys::ReadUpTo(file.get(), std::span(piece).first(wanted)));
    if (got == 0) return Fail(ErrorCode::kConflict, item.name + " became shorter while it was read: try again");
    const ByteView bytes = ByteView(piece).first(got);
    hasher.Update(bytes);
    TRY(push(bytes));
    done += got;
  }
  return push(hasher.Finish().view());
}

Status Write(Context& context, const Plan& plan, const SecretBytes& key, int fd) {
  const Sha256 label = crypto::HashSha256(kBackupLabel);
  TRY_ASSIGN(const FileId id, FileId::Parse("backup"));
  const sealing::SealedHeader header{{PlainSize(plan)}, sealing::RandomSealId()};
  TRY_ASSIGN(const auto sealer, sealing::Sealer::Start({key, label, id}, header));
  const sealing::Sink sink = [&](ByteView bytes) { return sys::WriteAll(fd, bytes); };
  ProgressLine progress(context, "backup", header.plain_size.value);
  uint64_t done = 0;
  const Push push = [&](ByteView bytes) -> Status {
    TRY(sealer->Push(bytes, sink));
    done += bytes.size();
    progress.Update(done);
    return {};
  };
  TRY(push(Framed(plan.manifest)));
  for (const Item& item : plan.items) {
    TRY(push(Framed(item.Header())));
    TRY_CONTEXT(PushContent(item, push), item.name);
  }
  TRY(sealer->Finish(sink));
  progress.Finish();
  return sys::FsyncFile(fd);
}

Status WriteWhole(Context& context, const Plan& plan, const SecretBytes& key, const std::string& output) {
  const std::string partial = output + ".part";
  const auto write = [&]() -> Status {
    TRY_ASSIGN(const auto file, sys::OpenFile(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    TRY(Write(context, plan, key, file.get()));
    return sys::RenameDurably(partial, output);
  };
  const Status written = write();
  if (!written) (void)sys::RemoveFile(partial);
  return written;
}

Status MakeKey(Context& context, const std::string& path) {
  const std::string text = std::string(kKeyPrefix) + codec::EncodeBase64Url(crypto::RandomBytes(32)) + "\n";
  TRY(sys::CreateFileDurably(path, AsBytes(text), 0400));
  Answer(context, codec::Json::MakeObject().Set("key", path),
         "backup key in " + path + ": keep it away from the backups; without it they cannot be read");
  return {};
}

}  // namespace

Result<SecretBytes> ReadBackupKey(const std::string& path) {
  TRY_ASSIGN_CONTEXT(const SecretBytes secret, sys::ReadSecretFile(path, 4096), "reading the backup key");
  std::string_view text = AsText(secret.reveal());
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (!text.starts_with(kKeyPrefix))
    return Fail(ErrorCode::kKeyInvalid, path + " is no backup key; make one with `fleetseal backup --new-key FILE`");
  TRY_ASSIGN(Bytes bytes, codec::DecodeBase64Url(text.substr(kKeyPrefix.size())));
  if (bytes.size() != sealing::kUpdateKeyBytes) return Fail(ErrorCode::kKeyInvalid, path + " has the wrong length");
  return SecretBytes::CopyOf(bytes);
}

Status Backup(Context& context, const BackupOptions& options) {
  if (!options.new_key_file.empty()) return MakeKey(context, options.new_key_file);
  if (options.data.empty() || options.output.empty() || options.key_file.empty())
    return Fail(ErrorCode::kInvalidArgument, "a backup needs --data, --key and --output (or --new-key alone)");
  if (!sys::FileExists(options.data + "/fleetseal.toml"))
    return Fail(ErrorCode::kNotFound, options.data + " holds no organisation");
  if (sys::FileExists(options.output)) return Fail(ErrorCode::kAlreadyExists, options.output);
  TRY_ASSIGN(const SecretBytes key, ReadBackupKey(options.key_file));
  Plan plan{options.data, options.output + ".databases", {}, {}, {}};
  TRY(sys::RemoveTree(plan.scratch));
  TRY(sys::MakeDirectories(plan.scratch, 0700));
  Status outcome = Collect(context, plan);
  if (outcome) outcome = WriteWhole(context, plan, key, options.output);
  TRY(sys::RemoveTree(plan.scratch));
  TRY(outcome);
  TRY_ASSIGN(codec::Json json, codec::ParseJson(plan.manifest));
  json.Set("file", options.output);
  Answer(context, json,
         "backup in " + options.output + ": signer, sealer, server and log (" + std::to_string(plan.items.size()) +
             " files and directories).\nIt holds no root keys (offline/) and no identities: keep copies of those "
             "elsewhere.");
  return {};
}

}  // namespace fleetseal::cli

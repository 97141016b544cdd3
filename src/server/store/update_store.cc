#include "server/store/update_store.h"

#include <algorithm>
#include <array>

#include "codec/hex.h"

namespace fleetseal::server {
namespace {

using storage::Params;
using storage::Row;
using storage::Rows;
using storage::Session;

constexpr std::string_view kSelectFollowed = "SELECT origin FROM followed_log WHERE id = 1";
constexpr std::string_view kPutFollowed =
    "INSERT INTO followed_log (id, origin) VALUES (1, :origin) ON CONFLICT (id) DO UPDATE SET origin = excluded.origin";
constexpr std::string_view kSelectUpdate =
    "SELECT manifest_sha256, request_id, product, version, state, requester, created, manifest, signature, log_index, "
    "release_counter, number FROM updates WHERE manifest_sha256 = :manifest";
constexpr std::string_view kSelectByRequest = "SELECT manifest_sha256 FROM updates WHERE request_id = :request";
constexpr std::string_view kSelectPage =
    "SELECT manifest_sha256, request_id, product, version, state, requester, created, manifest, signature, log_index, "
    "release_counter, number FROM updates WHERE number < :cursor ORDER BY number DESC LIMIT :limit";
constexpr std::string_view kSelectFiles =
    "SELECT file_id, file_name, size, sha256, sealed_sha256, sealed_size FROM update_files WHERE manifest_sha256 = "
    ":manifest "
    "ORDER BY position";
constexpr std::string_view kNextNumber = "SELECT CAST(COALESCE(MAX(number), 0) + 1 AS BIGINT) FROM updates";
constexpr std::string_view kInsertUpdate =
    "INSERT INTO updates (manifest_sha256, number, request_id, product, version, state, requester, created, manifest) "
    "VALUES (:manifest_sha256, :number, :request_id, :product, :version, :state, :requester, :created, :manifest)";
constexpr std::string_view kInsertFile =
    "INSERT INTO update_files (manifest_sha256, position, file_id, file_name, size, sha256) "
    "VALUES (:manifest_sha256, :position, :file_id, :file_name, :size, :sha256)";
constexpr std::string_view kResubmit =
    "UPDATE updates SET request_id = :request_id, state = :state, requester = :requester, created = :created "
    "WHERE manifest_sha256 = :manifest";
constexpr std::string_view kSetSigned =
    "UPDATE updates SET state = :state, signature = :signature, log_index = :log_index, release_counter = "
    ":release_counter "
    "WHERE manifest_sha256 = :manifest";
constexpr std::string_view kSetNewestSignature =
    "UPDATE updates SET signature = :signature, log_index = :log_index WHERE manifest_sha256 = :manifest";
constexpr std::string_view kSetState = "UPDATE updates SET state = :state WHERE manifest_sha256 = :manifest";
constexpr std::string_view kSetSealed =
    "UPDATE update_files SET sealed_sha256 = :sealed_sha256, sealed_size = :sealed_size "
    "WHERE manifest_sha256 = :manifest AND file_id = :file_id";
constexpr std::string_view kSelectBySealed =
    "SELECT DISTINCT manifest_sha256 FROM update_files WHERE sealed_sha256 = :sealed ORDER BY manifest_sha256";
constexpr std::string_view kClearSealed =
    "UPDATE update_files SET sealed_sha256 = NULL, sealed_size = NULL WHERE sealed_sha256 = :sealed";
constexpr std::string_view kTakeBack =
    "UPDATE updates SET state = :state WHERE manifest_sha256 = :manifest AND state = :before";

constexpr std::array<std::string_view, 6> kStateNames = {"submitted", "rejected",   "expired",
                                                         "signed",    "deployable", "withdrawn"};

Result<StoredUpdate> ReadUpdate(const Row& row) {
  StoredUpdate update;
  TRY_ASSIGN(update.manifest_sha256, codec::DecodeHexSha256(row.Text(0)));
  TRY_ASSIGN(update.request_id, RequestId::Parse(row.Text(1)));
  TRY_ASSIGN(update.product, ProductName::Parse(row.Text(2)));
  update.version = row.Text(3);
  TRY_ASSIGN(update.state, UpdateStateFromName(row.Text(4)));
  TRY_ASSIGN(update.requester, PersonId::Parse(row.Text(5)));
  update.created = UnixSeconds{row.Integer(6)};
  update.manifest = row.Text(7);
  update.signature = row.OptionalText(8);
  update.log_index = row.OptionalInteger(9);
  update.release_counter = row.OptionalInteger(10);
  update.number = row.Integer(11);
  return update;
}

Status ReadFiles(Session& session, StoredUpdate& update) {
  TRY_ASSIGN(const Rows rows, session.Query(kSelectFiles, {codec::EncodeHex(update.manifest_sha256)}));
  for (const Row& row : rows) {
    StoredFile file;
    TRY_ASSIGN(file.file_id, FileId::Parse(row.Text(0)));
    file.file_name = row.Text(1);
    file.size = row.Integer(2);
    TRY_ASSIGN(file.sha256, codec::DecodeHexSha256(row.Text(3)));
    if (const auto sealed = row.OptionalText(4)) {
      TRY_ASSIGN(file.sealed_sha256, codec::DecodeHexSha256(*sealed));
    }
    file.sealed_size = row.OptionalInteger(5);
    update.files.push_back(std::move(file));
  }
  return {};
}

Result<StoredUpdate> FindIn(Session& session, const Sha256& manifest) {
  TRY_ASSIGN(const Row row, session.QueryRow(kSelectUpdate, {codec::EncodeHex(manifest)}));
  TRY_ASSIGN(StoredUpdate update, ReadUpdate(row));
  TRY(ReadFiles(session, update));
  return update;
}

bool IsStepAllowed(UpdateState from, UpdateState to) {
  switch (to) {
    case UpdateState::kRejected:
    case UpdateState::kExpired:
      return from == UpdateState::kSubmitted;
    case UpdateState::kDeployable:
      return from == UpdateState::kSigned;
    case UpdateState::kWithdrawn:
      return from == UpdateState::kSigned || from == UpdateState::kDeployable;
    case UpdateState::kSubmitted:
    case UpdateState::kSigned:
      return false;  // Submit and SetSigned
  }
  return false;
}

Status InsertUpdate(Session& session, const StoredUpdate& update) {
  TRY_ASSIGN(const Row next, session.QueryRow(kNextNumber));
  const std::string manifest = codec::EncodeHex(update.manifest_sha256);
  TRY(session.Execute(kInsertUpdate, {manifest, next.Integer(0), update.request_id.text(), update.product.text(),
                                      update.version, UpdateStateName(UpdateState::kSubmitted), update.requester.text(),
                                      update.created.value, update.manifest}));
  std::vector<Params> files;
  for (const StoredFile& file : update.files) {
    files.push_back({manifest, static_cast<int64_t>(files.size()), file.file_id.text(), file.file_name, file.size,
                     codec::EncodeHex(file.sha256)});
  }
  return session.ExecuteBatch(kInsertFile, files);
}

}  // namespace

std::string_view UpdateStateName(UpdateState state) { return kStateNames[static_cast<size_t>(state)]; }

Result<UpdateState> UpdateStateFromName(std::string_view name) {
  const auto found = std::find(kStateNames.begin(), kStateNames.end(), name);
  if (found == kStateNames.end()) return Fail(ErrorCode::kValueOutOfRange, "no state of an update");
  return static_cast<UpdateState>(found - kStateNames.begin());
}

bool StoredUpdate::has_all_files() const {
  return std::all_of(files.begin(), files.end(), [](const StoredFile& file) { return file.sealed_sha256.has_value(); });
}

const StoredFile* StoredUpdate::FindFile(std::string_view file_id) const {
  for (const StoredFile& file : files) {
    if (file.file_id.text() == file_id) return &file;
  }
  return nullptr;
}

Status UpdateStore::Submit(const StoredUpdate& update) {
  return database_.WithTransaction([&](Session& session) -> Status {
    const Result<StoredUpdate> known = FindIn(session, update.manifest_sha256);
    if (!known && known.error().code == ErrorCode::kNotFound) return InsertUpdate(session, update);
    TRY(known);
    if (known->request_id == update.request_id) return {};
    if (known->state != UpdateState::kRejected && known->state != UpdateState::kExpired) {
      return Fail(ErrorCode::kConflict, "the manifest is known under another request");
    }
    TRY(session.Execute(kResubmit,
                        {update.request_id.text(), UpdateStateName(UpdateState::kSubmitted), update.requester.text(),
                         update.created.value, codec::EncodeHex(update.manifest_sha256)}));
    return {};
  });
}

Status UpdateStore::SetSigned(const Sha256& manifest, std::string_view signature, int64_t log_index,
                              int64_t release_counter) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY_ASSIGN(const StoredUpdate known, FindIn(session, manifest));
    if (known.signature && *known.signature == signature) return {};
    if (known.state != UpdateState::kSubmitted)
      return Fail(ErrorCode::kConflict, "the update is not waiting for a signature");
    TRY(session.Execute(kSetSigned, {UpdateStateName(UpdateState::kSigned), signature, log_index, release_counter,
                                     codec::EncodeHex(manifest)}));
    return {};
  });
}

Status UpdateStore::SetNewestSignature(const Sha256& manifest, std::string_view signature, int64_t log_index) {
  const Status stored = database_.WithTransaction([&](Session& session) -> Status {
    TRY_ASSIGN(const StoredUpdate known, FindIn(session, manifest));
    if (!known.signature) return Fail(ErrorCode::kConflict, "the update is not signed");
    TRY(session.Execute(kSetNewestSignature, {signature, log_index, codec::EncodeHex(manifest)}));
    return {};
  });
  if (stored) ++changed_;
  return stored;
}

Result<std::optional<std::string>> UpdateStore::FollowedLog() {
  return database_.WithSnapshot([](Session& session) -> Result<std::optional<std::string>> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectFollowed));
    if (rows.empty()) return std::optional<std::string>();
    return std::optional(rows.front().Text(0));
  });
}

Status UpdateStore::SetFollowedLog(std::string_view origin) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY(session.Execute(kPutFollowed, {origin}));
    return {};
  });
}

Status UpdateStore::Move(const Sha256& manifest, UpdateState to) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY_ASSIGN(const StoredUpdate known, FindIn(session, manifest));
    if (known.state == to) return {};
    if (!IsStepAllowed(known.state, to)) {
      return Fail(ErrorCode::kConflict, "an update cannot go from " + std::string(UpdateStateName(known.state)) +
                                            " to " + std::string(UpdateStateName(to)));
    }
    // Whoever asked saw them all: one may be lost since.
    if (to == UpdateState::kDeployable && !known.has_all_files())
      return Fail(ErrorCode::kConflict, "a file of the update is missing; upload it again");
    TRY(session.Execute(kSetState, {UpdateStateName(to), codec::EncodeHex(manifest)}));
    return {};
  });
}

Status UpdateStore::SetSealed(const Sha256& manifest, const FileId& file, const std::optional<Sealed>& sealed) {
  return database_.WithTransaction([&](Session& session) -> Status {
    storage::Value hash;
    storage::Value size;
    if (sealed) {
      hash = codec::EncodeHex(sealed->sha256);
      size = sealed->size;
    }
    TRY_ASSIGN(const int64_t changed,
               session.Execute(kSetSealed, {hash, size, codec::EncodeHex(manifest), file.text()}));
    if (changed == 0) return Fail(ErrorCode::kNotFound, "the update has no such file");
    return {};
  });
}

Result<std::vector<Sha256>> UpdateStore::LoseContent(const Sha256& sealed) {
  auto lost = database_.WithTransaction([&](Session& session) -> Result<std::vector<Sha256>> {
    const std::string name = codec::EncodeHex(sealed);
    TRY_ASSIGN(const Rows rows, session.Query(kSelectBySealed, {name}));
    std::vector<Sha256> manifests;
    for (const Row& row : rows) {
      TRY_ASSIGN(const Sha256 manifest, codec::DecodeHexSha256(row.Text(0)));
      manifests.push_back(manifest);
      TRY(session.Execute(
          kTakeBack, {UpdateStateName(UpdateState::kSigned), row.Text(0), UpdateStateName(UpdateState::kDeployable)}));
    }
    TRY(session.Execute(kClearSealed, {name}));
    return manifests;
  });
  if (lost) ++changed_;
  return lost;
}

Result<StoredUpdate> UpdateStore::Find(const Sha256& manifest) {
  return database_.WithSnapshot([&](Session& session) { return FindIn(session, manifest); });
}

Result<StoredUpdate> UpdateStore::FindByRequest(const RequestId& request) {
  return database_.WithSnapshot([&](Session& session) -> Result<StoredUpdate> {
    TRY_ASSIGN(const Row row, session.QueryRow(kSelectByRequest, {request.text()}));
    TRY_ASSIGN(const Sha256 manifest, codec::DecodeHexSha256(row.Text(0)));
    return FindIn(session, manifest);
  });
}

Result<UpdatePage> UpdateStore::List(std::optional<int64_t> cursor, int64_t limit) {
  return database_.WithSnapshot([&](Session& session) -> Result<UpdatePage> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectPage, {cursor.value_or(INT64_MAX), limit}));
    UpdatePage page;
    for (const Row& row : rows) {
      TRY_ASSIGN(StoredUpdate update, ReadUpdate(row));
      TRY(ReadFiles(session, update));
      page.updates.push_back(std::move(update));
    }
    if (static_cast<int64_t>(page.updates.size()) == limit) page.cursor = page.updates.back().number;
    return page;
  });
}

}  // namespace fleetseal::server

// The switch to a new log, with the package that names it.
#include <algorithm>
#include <functional>

#include "codec/base64.h"
#include "log/log.h"
#include "manifest/log_change_leaf.h"
#include "signer/new_log.h"
#include "signer/store/device_store.h"
#include "signer/store/key_store.h"
#include "signer/store/recovery_store.h"
#include "sys/file.h"
#include "translog/store/lock_store.h"

namespace fleetseal::signer {
namespace {

// So many records are handed to the log at once.
constexpr size_t kRecordsAtOnce = 4096;

Status RequireVkey(const manifest::PackageLog& log, const std::string& vkey) {
  for (const auto& text : log.vkeys) {
    TRY_ASSIGN(const std::string standard, manifest::VkeyFromPackage(text));
    if (standard == vkey) return {};
  }
  return Fail(ErrorCode::kConflict,
              "the package lists another key for the log " + log.origin + " than the signer's: " + vkey);
}

using Texts = std::vector<std::string>;
using Append = std::function<Result<std::vector<int64_t>>(const Texts&)>;

Result<std::vector<int64_t>> AppendTo(translog::LogWriter& writer, const Texts& leaves) {
  std::vector<Bytes> bytes;
  bytes.reserve(leaves.size());
  for (const auto& leaf : leaves) bytes.push_back(ToBytes(leaf));
  auto appended = writer.AppendDurable(std::move(bytes));
  if (!appended) return Fail(ErrorCode::kLogNotWritable, appended.error().ToString());
  std::vector<int64_t> indices;
  for (const auto& leaf : *appended) indices.push_back(static_cast<int64_t>(leaf.index));
  return indices;
}

Result<std::vector<int64_t>> AppendAll(const Texts& leaves, const Append& append) {
  std::vector<int64_t> indices;
  for (size_t from = 0; from < leaves.size(); from += kRecordsAtOnce) {
    const size_t to = std::min(leaves.size(), from + kRecordsAtOnce);
    const Texts some(leaves.begin() + static_cast<ptrdiff_t>(from), leaves.begin() + static_cast<ptrdiff_t>(to));
    TRY_ASSIGN(const auto appended, append(some));
    indices.insert(indices.end(), appended.begin(), appended.end());
  }
  return indices;
}

}  // namespace

Result<std::optional<LogChange>> LogChange::Prepare(const Core& core, const manifest::RootPackage& package) {
  std::optional<LogChange> none;
  if (package.logs.empty()) return none;
  const auto& log = package.logs.front();
  const LogPlace current = core.log_place();
  if (log.origin == current.origin && !current.is_awaiting) {
    TRY(RequireVkey(log, current.vkey));
    return none;
  }
  TRY_ASSIGN(const auto row, ReadPendingLog(core.database()));
  if (!row || row->origin != log.origin)
    return Fail(ErrorCode::kConflict, "the package names the log " + log.origin + " first, and this signer writes " +
                                          current.origin + ": a new log is made with `fleetseal recover new-log`");
  LogChange change;
  change.row_ = *row;
  change.place_ = {row->origin, LogDirectoryOf(core.config(), row->origin), {}, 0, false};
  if (current.is_awaiting) {
    // A backup of such a signer has a halt of its own, which nobody decided on.
    TRY_ASSIGN(const auto recovery,
               core.database().WithSnapshot([](storage::Session& session) { return store::ReadRecovery(session); }));
    if (recovery.is_halted && recovery.halt_id != row->halt_id)
      return Fail(ErrorCode::kSignerHalted, "the new log was decided on for another halt");
    change.place_.vkey = current.vkey;
  } else {
    TRY_ASSIGN(change.key_, FindLogKey(core.keystore(), core.database(), row->origin));
    TRY_ASSIGN(change.place_.vkey, VkeyOf(row->origin, *change.key_));
  }
  TRY(RequireVkey(log, change.place_.vkey));
  change.row_.first_version = package.version;
  if (!current.is_awaiting) {
    TRY(sys::MakeDirectories(change.place_.directory, 0755));
    TRY_ASSIGN_CONTEXT(change.writer_,
                       translog::LogWriter::Open(
                           {change.place_.directory, row->origin, core.database(), change.key_->checkpoint_signer()}),
                       "open the new log");
  }
  TRY_ASSIGN(change.moved_, CollectRecords(core, !row->is_previous_lost));
  return std::optional(std::move(change));
}

Result<int64_t> LogChange::Record(const Core& core, const std::string& package_leaf) {
  TRY(core.RequireClock());
  row_.state = "current";
  row_.since_sequence = std::max({core.NowMs(), core.sequence_floor(), int64_t{1}});
  place_.since_sequence = row_.since_sequence;
  manifest::LogSwitchLeaf leaf;
  leaf.time = core.Now();
  leaf.origin = row_.origin;
  leaf.version = row_.first_version;
  leaf.previous_origin = row_.previous_origin;
  if (row_.is_previous_lost) {
    leaf.previous_size = row_.previous_size;
    TRY_ASSIGN(leaf.previous_root, codec::DecodeBase64UrlSha256(row_.previous_root));
  } else {
    TRY(core.Record(package_leaf));
    const auto last = core.LogCheckpoint();
    leaf.previous_size = static_cast<int64_t>(last.size);
    leaf.previous_root = last.root;
    TRY(core.Record(leaf.Build()));
  }
  std::vector<std::string> leaves{leaf.Build(), package_leaf};
  for (const auto& record : moved_) leaves.push_back(record.leaf);
  TRY_ASSIGN(indices_, AppendAll(leaves, [&](const Texts& some) {
               return writer_ != nullptr ? AppendTo(*writer_, some) : core.RecordAwaited(some);
             }));
  const int64_t package_index = indices_[1];
  indices_.erase(indices_.begin(), indices_.begin() + 2);
  return package_index;
}

Status LogChange::Store(storage::Session& session, const Core& core) const {
  for (size_t i = 0; i < moved_.size(); ++i) {
    const MovedRecord& record = moved_[i];
    if (record.content) {
      store::ContentRow content = *record.content;
      content.log_index = indices_[i];
      TRY(store::PutContent(session, content));
      continue;
    }
    if (record.number) TRY(store::SetSignatureLogIndex(session, record.request_id, *record.number, indices_[i]));
    if (record.newest) TRY(store::SetNewestSignature(session, record.request_id, *record.newest, indices_[i]));
  }
  TRY_ASSIGN(const auto rows, store::ListLogs(session));
  for (auto old : rows) {
    if (old.state != "current") continue;
    old.state = "left";
    TRY(store::PutLog(session, old));
  }
  TRY(store::PutLog(session, row_));
  // Times of records of the old log, and sizes of it, say nothing about the new one.
  TRY(store::PutClockAccepted(session, 0, core.Now().value));
  TRY(store::RemoveSuspects(session));
  if (!row_.is_previous_lost) return {};
  TRY_ASSIGN(auto recovery, store::ReadRecovery(session));
  recovery.is_halted = false;
  TRY(store::PutRecovery(session, recovery));
  return row_.was_halted ? store::ForgetReceiptChains(session) : Status{};
}

Status LogChange::Finish(Core& core) && {
  log::Event(
      log::Level::kWarning, "log.switched",
      {{"origin", place_.origin}, {"previous", row_.previous_origin}, {"moved", static_cast<int64_t>(moved_.size())}});
  core.SwitchLog(std::move(writer_), std::move(key_), std::move(place_));
  return core.ReloadRecovery();
}

}  // namespace fleetseal::signer

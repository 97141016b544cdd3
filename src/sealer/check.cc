#include "sealer/check.h"

#include "codec/hex.h"
#include "sealer/update_store.h"

namespace fleetseal::sealer {
namespace {

Status CheckUpdate(const UpdateStore& store, std::string_view name) {
  if (!name.ends_with(".json")) return Fail(ErrorCode::kCorrupt, "no update record: left over, or put there by hand");
  TRY_ASSIGN(const Sha256 manifest, codec::DecodeHexSha256(name.substr(0, name.size() - 5)));
  TRY_ASSIGN(const UpdateRecord record, store.Read(manifest));
  TRY(store.UpdateKey(record));
  return {};
}

}  // namespace

config::Findings CheckSealer(const Config& config) {
  config::Findings findings;
  findings.FreeSpace(config.data);
  const auto store = UpdateStore::OpenForReading(config.data);
  if (!store) {
    findings.Failed(config.data, store.error());
    return findings;
  }
  const std::string folder = sys::JoinPath(config.data, "updates");
  const auto names = sys::ListDirectory(folder);
  if (!names) {
    findings.Failed(folder, names.error());
    return findings;
  }
  for (const auto& name : *names) {
    const Status checked = CheckUpdate(**store, name);
    // A record on its way is gone by now.
    if (!checked && sys::FileExists(sys::JoinPath(folder, name)))
      findings.Problem(sys::JoinPath(folder, name), checked.error().ToString(),
                       "bring it back from a backup, or import the update's files again");
  }
  findings.Checked("sealing key and " + std::to_string(names->size()) + " update keys");
  return findings;
}

}  // namespace fleetseal::sealer

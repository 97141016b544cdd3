// receipts: each follows from the device's last one, or the device is a copy or was turned back.
#include <algorithm>
#include <map>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "crypto/low_s.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/receipt.h"
#include "manifest/typ.h"
#include "merkle/hash.h"
#include "signer/device_rules.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::ReceiptResult;
using api::signing::ReceiptsAnswer;

struct ParsedReceipt {
  jose::UnverifiedJws jws;
  manifest::Receipt receipt;
};

// The work of one call: devices as they will be, receipts to store.
struct Batch {
  int64_t epoch = 0;
  std::map<std::string, store::DeviceRow> devices;
  std::vector<store::ReceiptRow> receipts;
  std::vector<std::string> quarantined;
};

Result<ParsedReceipt> Parse(const std::string& compact) {
  TRY_ASSIGN(jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(compact));
  if (jws.header().typ != manifest::kTypReceipt) return Fail(ErrorCode::kTypMismatch, jws.header().typ);
  if (jws.header().sjwk || !jws.header().kid)
    return Fail(ErrorCode::kHeaderNotAllowed, "a receipt has alg, typ and kid");
  TRY_ASSIGN(manifest::Receipt receipt, manifest::Receipt::Parse(AsText(jws.unverified_payload())));
  return ParsedReceipt{std::move(jws), std::move(receipt)};
}

Status Verify(const store::DeviceRow& device, const ParsedReceipt& parsed) {
  if (!device.receipt_jwk || parsed.jws.header().kid != device.receipt_kid) {
    return Fail(ErrorCode::kReceiptInvalid, "the receipt is of another key");
  }
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(*device.receipt_jwk));
  TRY_ASSIGN(const jose::Jwk jwk, jose::ParseJwk(json));
  TRY(parsed.jws.Verify(jwk.key, jwk.key.default_algorithm()));
  // Else whoever carries a receipt could make a second one of it, and have the device taken for a clone.
  if (parsed.jws.header().alg == crypto::SignatureAlgorithm::kEs256 && !crypto::IsLowS(parsed.jws.signature())) {
    return Fail(ErrorCode::kReceiptInvalid, "the signature is not in the lower form");
  }
  if (parsed.receipt.generation != device.generation)
    return Fail(ErrorCode::kReceiptInvalid, "the receipt is of another generation");
  if (device.state == "revoked") return Fail(ErrorCode::kDeviceRevoked, device.id);
  if (device.state == "quarantined") return Fail(ErrorCode::kDeviceQuarantined, device.id);
  return {};
}

enum class Chain : uint8_t { kNext, kKnown, kFork, kGap };

// Where the receipt stands in the chain of the device's receipts (trust model section 9, last paragraph).
Chain Judge(const store::DeviceRow& device, const manifest::Receipt& receipt, const std::optional<std::string>& known,
            const std::string& sha256) {
  if (known) return *known == sha256 ? Chain::kKnown : Chain::kFork;
  const bool is_first_of_generation = device.receipt_generation != device.generation;
  if (is_first_of_generation && receipt.number == 1 && receipt.previous == Sha256{}) return Chain::kNext;
  if (receipt.number <= device.receipt_number) return is_first_of_generation ? Chain::kGap : Chain::kFork;
  if (receipt.number > device.receipt_number + 1) return Chain::kGap;
  const bool is_linked =
      device.receipt_sha256 ? Text(receipt.previous) == *device.receipt_sha256 : receipt.previous == Sha256{};
  return is_linked ? Chain::kNext : Chain::kFork;
}

Result<std::optional<std::string>> FindKnown(const Core& core, const Batch& batch, const manifest::Receipt& receipt) {
  for (const auto& row : batch.receipts) {
    if (row.device_id == receipt.device_id.text() && row.generation == receipt.generation &&
        row.number == receipt.number) {
      return std::optional(row.sha256);
    }
  }
  return core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindReceiptHash(session, receipt.device_id.text(), receipt.generation, receipt.number);
  });
}

void TakeNext(Batch& batch, store::DeviceRow& device, const manifest::Receipt& receipt, const std::string& compact) {
  const std::string sha256 = HashText(compact);
  device.receipt_generation = receipt.generation;
  device.receipt_number = receipt.number;
  device.receipt_sha256 = sha256;
  // Numbers of another epoch say nothing about this one's (trust model section 5).
  if (receipt.epoch == batch.epoch) device.receipt_sequence = std::max(device.receipt_sequence, receipt.sequence);
  batch.receipts.push_back({device.id, receipt.generation, receipt.number, sha256, compact, NewSalt(), 0});
}

Status Take(const Core& core, Batch& batch, const std::string& compact) {
  TRY_ASSIGN(const ParsedReceipt parsed, Parse(compact));
  const auto found = batch.devices.find(parsed.receipt.device_id.text());
  if (found == batch.devices.end()) return Fail(ErrorCode::kDeviceUnknown, parsed.receipt.device_id.text());
  store::DeviceRow& device = found->second;
  TRY(Verify(device, parsed));
  TRY_ASSIGN(const auto known, FindKnown(core, batch, parsed.receipt));
  switch (Judge(device, parsed.receipt, known, HashText(compact))) {
    case Chain::kKnown:
      return {};
    case Chain::kNext:
      TakeNext(batch, device, parsed.receipt, compact);
      return {};
    case Chain::kGap:
      return Fail(ErrorCode::kReceiptInvalid, "receipts between it and the last one are missing");
    case Chain::kFork:
      break;
  }
  device.state = "quarantined";
  batch.quarantined.push_back(device.id);
  return Fail(ErrorCode::kReceiptInvalid,
              "two receipts of " + device.id + " have one place: a clone, or its state was turned back");
}

std::string BatchLeaf(const Core& core, const Batch& batch) {
  std::vector<Sha256> hashes;
  for (const auto& row : batch.receipts) hashes.push_back(merkle::LeafHash(AsBytes(row.salt + row.sha256)));
  return manifest::ReceiptBatchLeaf{core.Now(), merkle::RootOf(hashes), static_cast<int64_t>(hashes.size())}.Build();
}

Status Store(const Core& core, const Batch& batch) {
  std::vector<std::string> leaves;
  if (!batch.receipts.empty()) leaves.push_back(BatchLeaf(core, batch));
  for (size_t i = 0; i < batch.quarantined.size(); ++i) {
    leaves.push_back(manifest::RefusalLeaf{core.Now(), "ReceiptInvalid", "receipt"}.Build());
  }
  if (leaves.empty()) return {};
  // Acknowledged only after the record; a device keeps a receipt until then.
  TRY_ASSIGN(const auto indices, core.Record(leaves));
  return core.database().WithTransaction([&](storage::Session& session) -> Status {
    for (auto row : batch.receipts) {
      row.log_index = indices.front();
      TRY(store::InsertReceipt(session, row));
    }
    for (const auto& [id, device] : batch.devices) TRY(store::PutDevice(session, device));
    return {};
  });
}

std::vector<std::string> DeviceIdsOf(const std::vector<std::string>& receipts) {
  std::vector<std::string> ids;
  for (const auto& compact : receipts) {
    const auto parsed = Parse(compact);
    if (parsed) ids.push_back(parsed->receipt.device_id.text());
  }
  return ids;
}

Result<Batch> ReadBatch(const Core& core, const std::vector<std::string>& ids) {
  Batch batch;
  TRY_ASSIGN(const auto trust, core.Trust());
  batch.epoch = trust->root_package().director_epoch;
  for (const auto& text : ids) {
    TRY_ASSIGN(const DeviceId id, DeviceId::Parse(text));
    TRY_ASSIGN(const auto device, FindDevice(core, id));
    if (device) batch.devices.emplace(text, *device);
  }
  return batch;
}

}  // namespace

Result<ReceiptsAnswer> TakeReceipts(Core& core, const std::vector<std::string>& receipts) {
  if (receipts.size() > api::signing::kReceiptsMax) return Fail(ErrorCode::kLimitExceeded, "too many receipts at once");
  const std::shared_lock register_lock(core.register_mutex);
  const auto ids = DeviceIdsOf(receipts);
  std::vector<std::string> names;
  for (const auto& id : ids) names.push_back("device:" + id);
  const auto guard = core.objects.Acquire(std::move(names));
  TRY_ASSIGN(Batch batch, ReadBatch(core, ids));
  ReceiptsAnswer answer;
  for (const auto& compact : receipts) {
    const Status taken = Take(core, batch, compact);
    ReceiptResult result{taken.has_value(), {}, {}};
    if (!taken) {
      if (InfoOf(taken.error().code).exit != ExitCode::kRefused) return tl::unexpected(taken.error());
      result.code = taken.error().code;
      result.detail = taken.error().detail;
      log::ErrorEvent(log::Level::kWarning, "receipt.refused", taken.error());
    }
    answer.results.push_back(std::move(result));
  }
  TRY(Store(core, batch));
  return answer;
}

}  // namespace fleetseal::signer

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
#include "signer/receipt_batch.h"
#include "signer/recovery.h"
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
  int64_t gaps = 0;
  std::vector<store::SuspectRow> suspects;  // devices that know more than this signer
  std::vector<std::string> cleared;         // devices that do not
};

Result<ParsedReceipt> Parse(const std::string& compact) {
  TRY_ASSIGN(jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(compact));
  if (jws.header().typ != manifest::kTypReceipt) return Fail(ErrorCode::kTypMismatch, jws.header().typ);
  if (jws.header().sjwk || !jws.header().kid)
    return Fail(ErrorCode::kHeaderNotAllowed, "a receipt has alg, typ and kid");
  TRY_ASSIGN(manifest::Receipt receipt, manifest::Receipt::Parse(AsText(jws.unverified_payload())));
  return ParsedReceipt{std::move(jws), std::move(receipt)};
}

Status VerifySignature(const store::DeviceRow& device, const ParsedReceipt& parsed) {
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
  return {};
}

Status CheckState(const store::DeviceRow& device) {
  if (device.state == "revoked") return Fail(ErrorCode::kDeviceRevoked, device.id);
  if (device.state == "quarantined") return Fail(ErrorCode::kDeviceQuarantined, device.id);
  return {};
}

enum class Chain : uint8_t { kNext, kKnown, kGap, kFilling, kFork };

Result<std::optional<store::ReceiptRow>> FindReceipt(const Core& core, const Batch& batch,
                                                     const manifest::Receipt& receipt, int64_t number) {
  for (const auto& row : batch.receipts) {
    if (row.device_id == receipt.device_id.text() && row.generation == receipt.generation && row.number == number)
      return std::optional(row);
  }
  return core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindReceipt(session, receipt.device_id.text(), receipt.generation, number);
  });
}

// Where the first receipt of a generation stands: the chain goes on, or begins again at 1.
Chain JudgeFirst(const store::DeviceRow& device, const manifest::Receipt& receipt) {
  if (receipt.number == 1 && receipt.previous == Sha256{}) return Chain::kNext;
  if (receipt.number != device.receipt_number + 1) return Chain::kGap;
  const bool is_linked =
      device.receipt_sha256 ? Text(receipt.previous) == *device.receipt_sha256 : receipt.previous == Sha256{};
  return is_linked ? Chain::kNext : Chain::kFork;
}

// Where the receipt stands in the chain of the device's receipts (trust model section 9, last paragraph). Receipts that
// a server has lost or holds back leave a gap, which is told and never closes the way for those behind it; in its free
// place a receipt is taken later too, if its hash and those of the known ones beside it agree.
Result<Chain> Judge(const Core& core, const Batch& batch, const store::DeviceRow& device,
                    const manifest::Receipt& receipt, const std::string& sha256) {
  TRY_ASSIGN(const auto known, FindReceipt(core, batch, receipt, receipt.number));
  if (known) return known->sha256 == sha256 ? Chain::kKnown : Chain::kFork;
  if (device.receipt_generation != device.generation) return JudgeFirst(device, receipt);
  // After a restore the last receipt is not known: the chain goes on from whatever comes next, once (ADR 0009).
  if (!device.receipt_sha256 && receipt.number > device.receipt_number) return Chain::kNext;
  TRY_ASSIGN(const auto before, FindReceipt(core, batch, receipt, receipt.number - 1));
  if (before && Text(receipt.previous) != before->sha256) return Chain::kFork;
  TRY_ASSIGN(const auto after, FindReceipt(core, batch, receipt, receipt.number + 1));
  if (after) {
    TRY_ASSIGN(const ParsedReceipt parsed, Parse(after->compact));
    if (Text(parsed.receipt.previous) != sha256) return Chain::kFork;
  }
  if (receipt.number <= device.receipt_number) return Chain::kFilling;
  return receipt.number == device.receipt_number + 1 ? Chain::kNext : Chain::kGap;
}

void Keep(Batch& batch, store::DeviceRow& device, const manifest::Receipt& receipt, const std::string& compact,
          Chain place) {
  const std::string sha256 = HashText(compact);
  batch.receipts.push_back({device.id, receipt.generation, receipt.number, sha256, compact, NewSalt(), 0, ""});
  // Numbers of another epoch say nothing about this one's (trust model section 5).
  if (receipt.epoch == batch.epoch) device.receipt_sequence = std::max(device.receipt_sequence, receipt.sequence);
  if (place == Chain::kFilling) return;
  if (place == Chain::kGap) {
    batch.gaps += 1;
    log::Event(log::Level::kWarning, "receipt.gap",
               {{"device", device.id}, {"last", device.receipt_number}, {"number", receipt.number}});
  }
  device.receipt_generation = receipt.generation;
  device.receipt_number = receipt.number;
  device.receipt_sha256 = sha256;
}

// `is_final` of a refusal: the receipt can never be taken, whatever a person does about the device.
Status Take(const Core& core, Batch& batch, const std::string& compact, bool& is_final) {
  is_final = true;
  TRY_ASSIGN(const ParsedReceipt parsed, Parse(compact));
  const auto found = batch.devices.find(parsed.receipt.device_id.text());
  is_final = found != batch.devices.end() && parsed.receipt.generation <= found->second.generation;
  if (found == batch.devices.end()) return Fail(ErrorCode::kDeviceUnknown, parsed.receipt.device_id.text());
  store::DeviceRow& device = found->second;
  TRY(VerifySignature(device, parsed));
  is_final = false;
  TRY(CheckState(device));
  // The device keeps it: nothing may follow on a log that is older than what devices know.
  if (auto suspect = ShowsMore(core, device, parsed.receipt, compact)) {
    batch.suspects.push_back(*std::move(suspect));
    return Fail(ErrorCode::kSignerHalted, device.id + " knows more than this signer");
  }
  TRY(core.RequireRunning());
  TRY(core.RequireFreshPackage());
  TRY_ASSIGN(const Chain place, Judge(core, batch, device, parsed.receipt, HashText(compact)));
  if (place == Chain::kKnown) return {};
  if (place != Chain::kFork) {
    Keep(batch, device, parsed.receipt, compact, place);
    batch.cleared.push_back(device.id);
    return {};
  }
  device.state = "quarantined";
  batch.quarantined.push_back(device.id);
  return Fail(ErrorCode::kReceiptInvalid,
              "two receipts of " + device.id + " have one place: a clone, or its state was turned back");
}

// The record of the batch; its root goes into the rows, by which the batch is found again.
std::string BatchLeaf(const Core& core, Batch& batch) {
  SortBatch(batch.receipts);
  const std::vector<Sha256> hashes = LeafHashesOf(batch.receipts);
  const Sha256 root = merkle::RootOf(hashes);
  for (auto& row : batch.receipts) row.batch = Text(root);
  return manifest::ReceiptBatchLeaf{core.Now(), root, std::ssize(hashes)}.Build();
}

Status Store(const Core& core, Batch& batch) {
  std::vector<std::string> leaves;
  if (!batch.receipts.empty()) leaves.push_back(BatchLeaf(core, batch));
  for (size_t i = 0; i < batch.quarantined.size(); ++i) {
    leaves.push_back(manifest::RefusalLeaf{core.Now(), "ReceiptInvalid", "receipt"}.Build());
  }
  for (int64_t i = 0; i < batch.gaps; ++i) {
    leaves.push_back(manifest::RefusalLeaf{core.Now(), "ReceiptInvalid", "receipt-gap"}.Build());
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
    bool is_final = false;
    const Status taken = Take(core, batch, compact, is_final);
    ReceiptResult result{taken.has_value(), !taken && is_final, {}, {}};
    if (!taken) {
      if (InfoOf(taken.error().code).exit != ExitCode::kRefused) return tl::unexpected(taken.error());
      result.code = taken.error().code;
      result.detail = taken.error().detail;
      log::ErrorEvent(log::Level::kWarning, "receipt.refused", taken.error());
    }
    answer.results.push_back(std::move(result));
  }
  TRY(Store(core, batch));
  TRY(WeighEvidence(core, batch.suspects, batch.cleared));
  return answer;
}

}  // namespace fleetseal::signer

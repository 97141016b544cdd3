// evidence: what an auditor asks for about one update on one device. Everything in it is signed or stands on the log.
#include <algorithm>
#include <set>

#include "base/limits.h"
#include "codec/base64.h"
#include "jose/jws.h"
#include "manifest/order.h"
#include "manifest/receipt.h"
#include "signer/receipt_batch.h"
#include "signer/store/device_store.h"
#include "signer/store/key_store.h"
#include "signer/store/plan_store.h"
#include "signer/store/register_store.h"
#include "signer/store/request_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::EvidenceAnswer;
using api::signing::ReceiptEvidence;

// A device that keeps refusing something else makes many, and each may be long.
constexpr int64_t kReceiptsPage = 32;
constexpr int64_t kReceiptsLookedAtMax = 1024;

// The key of whoever signed the document, unless it is not in the register any more.
Status AddKeyOf(storage::Session& session, const std::string& compact, std::vector<std::string>& keys) {
  TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(const auto person, store::FindPersonByKid(session, jws.header().kid.value_or("")));
  if (person && std::find(keys.begin(), keys.end(), person->jwk) == keys.end()) keys.push_back(person->jwk);
  return {};
}

Status AddDecisions(storage::Session& session, const std::string& manifest, EvidenceAnswer& answer) {
  TRY_ASSIGN(const auto row, store::FindSignedByManifest(session, manifest));
  if (!row || !row->manifest_signature || !row->log_index) return Fail(ErrorCode::kUpdateNotSigned, manifest);
  TRY_ASSIGN(const auto signatures, store::ListSignatures(session, row->id));
  answer.manifest_signature = signatures.empty() ? *row->manifest_signature : signatures.front().manifest_signature;
  answer.log_index = signatures.empty() ? *row->log_index : signatures.front().log_index;
  TRY_ASSIGN(answer.manifest, codec::DecodeBase64Url(row->manifest));
  answer.request = row->compact;
  TRY(AddKeyOf(session, row->compact, answer.keys));
  TRY_ASSIGN(const auto approvals, store::ListApprovals(session, row->id));
  for (const auto& approval : approvals) {
    if (approval.decision != "approve") continue;
    answer.approvals.push_back(approval.compact);
    TRY(AddKeyOf(session, approval.compact, answer.keys));
  }
  return {};
}

// Gives the ids of the orders.
Result<std::set<std::string>> AddOrders(storage::Session& session, const std::string& device,
                                        const std::string& manifest, EvidenceAnswer& answer) {
  std::set<std::string> ids;
  TRY_ASSIGN(const auto orders,
             store::ListOrdersFor(session, device, manifest, int64_t{api::signing::kEvidenceOrdersMax}));
  for (const auto& row : orders) {
    TRY_ASSIGN(const auto plan, store::FindPlan(session, row.plan_id));
    if (!plan) return Fail(ErrorCode::kCorrupt, "the plan of an order is missing");
    TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(row.compact));
    TRY_ASSIGN(const auto order, manifest::Order::Parse(AsText(jws.unverified_payload())));
    ids.insert(order.order_id.text());
    answer.orders.push_back({row.compact, plan->compact});
    TRY(AddKeyOf(session, plan->compact, answer.keys));
  }
  return ids;
}

Result<ReceiptEvidence> EvidenceOf(storage::Session& session, const store::ReceiptRow& row) {
  ReceiptEvidence evidence{row.compact, row.salt, 0, {}, row.log_index};
  if (row.batch.empty()) return evidence;
  TRY_ASSIGN(auto batch, store::ListReceiptsOfBatch(session, row.batch));
  SortBatch(batch);
  evidence.batch = LeafHashesOf(batch);
  const auto own = std::find_if(batch.begin(), batch.end(), [&](const auto& each) { return each.salt == row.salt; });
  evidence.place = own - batch.begin();
  return evidence;
}

// A refusal names the order alone, without the manifest: so receipts are told by their order.
Status AddReceipt(storage::Session& session, const store::ReceiptRow& row, const std::set<std::string>& orders,
                  size_t& bytes, EvidenceAnswer& answer) {
  TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(row.compact));
  TRY_ASSIGN(const auto receipt, manifest::Receipt::Parse(AsText(jws.unverified_payload())));
  if (!receipt.order_id || !orders.contains(receipt.order_id->text())) return {};
  bytes += row.compact.size();
  if (answer.receipts.size() == api::signing::kEvidenceReceiptsMax || bytes > api::signing::kEvidenceReceiptBytesMax) {
    answer.left_out += 1;
    return {};
  }
  TRY_ASSIGN(ReceiptEvidence evidence, EvidenceOf(session, row));
  answer.receipts.push_back(std::move(evidence));
  return {};
}

// Of the present generation: the key of an earlier one is not kept.
Status AddReceipts(storage::Session& session, const store::DeviceRow& device, const std::set<std::string>& orders,
                   EvidenceAnswer& answer) {
  size_t bytes = 0;
  int64_t before = limits::kJsonIntegerMax;
  for (int64_t seen = 0; seen < kReceiptsLookedAtMax; seen += kReceiptsPage) {
    TRY_ASSIGN(const auto rows, store::ListReceipts(session, device.id, device.generation, before, kReceiptsPage));
    for (const auto& row : rows) TRY(AddReceipt(session, row, orders, bytes, answer));
    if (std::ssize(rows) < kReceiptsPage) break;
    before = rows.back().number;
  }
  if (device.receipt_jwk && !answer.receipts.empty()) answer.keys.push_back(*device.receipt_jwk);
  return {};
}

}  // namespace

Result<EvidenceAnswer> Evidence(Core& core, const DeviceId& device, const Sha256& manifest_sha256) {
  const std::string manifest = Text(manifest_sha256);
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<EvidenceAnswer> {
    TRY_ASSIGN(const auto row, store::FindDevice(session, device.text()));
    if (!row) return Fail(ErrorCode::kDeviceUnknown, device.text());
    EvidenceAnswer answer;
    TRY(AddDecisions(session, manifest, answer));
    TRY_ASSIGN(const auto orders, AddOrders(session, device.text(), manifest, answer));
    TRY(AddReceipts(session, *row, orders, answer));
    return answer;
  });
}

}  // namespace fleetseal::signer

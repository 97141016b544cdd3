#include "api/signing/evidence_messages.h"

#include "base/limits.h"
#include "codec/base64.h"
#include "manifest/fields.h"
#include "manifest/receipt_proof.h"

namespace fleetseal::api::signing {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kApprovalsMax = 1000;

Json TextArray(const std::vector<std::string>& texts) {
  Json list = Json::MakeArray();
  for (const auto& text : texts) list.Push(Json(text));
  return list;
}

}  // namespace

Result<ReceiptEvidence> ReceiptEvidence::Parse(const Json& json) {
  ObjectReader reader(json, "receipt evidence");
  ReceiptEvidence evidence;
  evidence.receipt = reader.String("receipt", limits::kJwsBytesMax);
  evidence.salt = reader.String("salt", manifest::kReceiptSaltBytesMax);
  evidence.place = reader.Integer("place");
  for (const auto& text : reader.Strings("batch", manifest::kReceiptBatchMax)) {
    const auto hash = codec::DecodeBase64UrlSha256(text);
    if (reader.Take(hash, "batch")) evidence.batch.push_back(*hash);
  }
  evidence.log_index = reader.Integer("logIndex");
  TRY(reader.Finish());
  return evidence;
}

Json ReceiptEvidence::ToJson() const {
  Json hashes = Json::MakeArray();
  for (const Sha256& hash : batch) hashes.Push(manifest::HashJson(hash));
  return Json::MakeObject()
      .Set("receipt", receipt)
      .Set("salt", salt)
      .Set("place", place)
      .Set("batch", std::move(hashes))
      .Set("logIndex", log_index);
}

Result<EvidenceAnswer> EvidenceAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "evidence");
  EvidenceAnswer answer;
  answer.request = reader.String("request", limits::kJwsBytesMax);
  answer.approvals = reader.Strings("approvals", kApprovalsMax);
  answer.manifest_signature = reader.String("manifestSignature", limits::kJwsBytesMax);
  answer.log_index = reader.Integer("logIndex");
  answer.plan = reader.OptionalString("plan", limits::kJwsBytesMax);
  answer.order = reader.OptionalString("order", limits::kJwsBytesMax);
  for (const Json& element : reader.Array("receipts", kEvidenceReceiptsMax)) {
    auto receipt = ReceiptEvidence::Parse(element);
    if (reader.Take(receipt, "receipts")) answer.receipts.push_back(*std::move(receipt));
  }
  answer.keys = reader.Strings("keys", kApprovalsMax);
  TRY(reader.Finish());
  return answer;
}

Json EvidenceAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& receipt : receipts) list.Push(receipt.ToJson());
  return Json::MakeObject()
      .Set("request", request)
      .Set("approvals", TextArray(approvals))
      .Set("manifestSignature", manifest_signature)
      .Set("logIndex", log_index)
      .SetOptional("plan", plan)
      .SetOptional("order", order)
      .Set("receipts", std::move(list))
      .Set("keys", TextArray(keys));
}

}  // namespace fleetseal::api::signing

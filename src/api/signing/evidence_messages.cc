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
  answer.manifest = reader.Base64Url("manifest", limits::kManifestBytesMax);
  answer.request = reader.String("request", limits::kJwsBytesMax);
  answer.approvals = reader.Strings("approvals", kApprovalsMax);
  answer.manifest_signature = reader.String("manifestSignature", limits::kJwsBytesMax);
  answer.log_index = reader.Integer("logIndex");
  for (const Json& element : reader.Array("orders", kEvidenceOrdersMax)) {
    ObjectReader order(element, "orders");
    OrderEvidence evidence{order.String("order", limits::kJwsBytesMax), order.String("plan", limits::kJwsBytesMax)};
    if (const Status read = order.Finish(); !read && reader.is_good())
      reader.Stop(read.error().code, "orders", read.error().detail);
    answer.orders.push_back(std::move(evidence));
  }
  for (const Json& element : reader.Array("receipts", kEvidenceReceiptsMax)) {
    auto receipt = ReceiptEvidence::Parse(element);
    if (reader.Take(receipt, "receipts")) answer.receipts.push_back(*std::move(receipt));
  }
  answer.left_out = reader.Integer("leftOut");
  answer.keys = reader.Strings("keys", kApprovalsMax);
  TRY(reader.Finish());
  return answer;
}

Json EvidenceAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& receipt : receipts) list.Push(receipt.ToJson());
  Json pairs = Json::MakeArray();
  for (const auto& [order, plan] : orders) pairs.Push(Json::MakeObject().Set("order", order).Set("plan", plan));
  return Json::MakeObject()
      .Set("manifest", codec::EncodeBase64Url(manifest))
      .Set("request", request)
      .Set("approvals", TextArray(approvals))
      .Set("manifestSignature", manifest_signature)
      .Set("logIndex", log_index)
      .Set("orders", std::move(pairs))
      .Set("receipts", std::move(list))
      .Set("leftOut", left_out)
      .Set("keys", TextArray(keys));
}

}  // namespace fleetseal::api::signing

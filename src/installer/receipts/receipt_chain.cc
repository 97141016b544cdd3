#include "installer/receipts/receipt_chain.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jws.h"
#include "manifest/typ.h"

namespace fleetseal::installer {

using codec::Json;
using codec::ObjectReader;

void ReceiptChain::Add(manifest::Receipt draft) { pending_.push_back({.text = draft.Build(), .number = 0}); }

bool ReceiptChain::RaiseDraftCount(const Refusal& refusal) {
  for (Pending& pending : pending_) {
    if (pending.number != 0) continue;
    auto draft = manifest::Receipt::Parse(pending.text);
    CHECK(draft.has_value());
    if (draft->document != refusal.document || draft->code != refusal.code) continue;
    draft->count = refusal.count;
    pending.text = draft->Build();
    return true;
  }
  return false;
}

bool ReceiptChain::AddRefusal(manifest::Receipt draft) {
  CHECK(draft.document.has_value() && draft.code.has_value());
  const auto known = std::find_if(refusals_.begin(), refusals_.end(), [&](const Refusal& refusal) {
    return refusal.document == *draft.document && refusal.code == *draft.code;
  });
  if (known != refusals_.end()) {
    if (known->count < limits::kJsonIntegerMax) known->count += 1;
    RaiseDraftCount(*known);
    return false;
  }
  if (is_full()) return false;
  refusals_.push_back({.document = *draft.document, .code = *draft.code});
  if (refusals_.size() > kRefusalsRememberedMax) refusals_.pop_front();
  Add(std::move(draft));
  return true;
}

bool ReceiptChain::has_drafts() const {
  return std::any_of(pending_.begin(), pending_.end(), [](const Pending& pending) { return pending.number == 0; });
}

Status ReceiptChain::Freeze(const crypto::Signer& receipt_key) {
  for (Pending& pending : pending_) {
    if (pending.number != 0) continue;
    TRY_ASSIGN(manifest::Receipt receipt, manifest::Receipt::Parse(pending.text));
    receipt.number = next_number_;
    receipt.previous = last_;
    const std::string payload = receipt.Build();
    const jose::JwsHeader header{.alg = crypto::SignatureAlgorithm::kEs256,
                                 .typ = std::string(manifest::kTypReceipt),
                                 .kid = receipt_key.public_key().key_id(),
                                 .sjwk = std::nullopt};
    TRY_ASSIGN_CONTEXT(std::string compact, jose::SignCompact(receipt_key, header, AsBytes(payload)), "sign a receipt");
    last_ = crypto::HashSha256(compact);
    pending = {.text = std::move(compact), .number = next_number_};
    next_number_ += 1;
  }
  return {};
}

std::vector<std::string> ReceiptChain::Frozen(size_t count_max) const {
  std::vector<std::string> frozen;
  for (const Pending& pending : pending_) {
    if (pending.number == 0 || frozen.size() == count_max) break;
    frozen.push_back(pending.text);
  }
  return frozen;
}

bool ReceiptChain::Acknowledge(int64_t number) {
  bool is_changed = false;
  while (!pending_.empty() && pending_.front().number != 0 && pending_.front().number <= number) {
    pending_.pop_front();
    is_changed = true;
  }
  return is_changed;
}

Json ReceiptChain::ToJson() const {
  Json pending = Json::MakeArray();
  for (const Pending& receipt : pending_) {
    Json object = Json::MakeObject();
    object.Set("number", receipt.number).Set("text", receipt.text);
    pending.Push(std::move(object));
  }
  Json refusals = Json::MakeArray();
  for (const Refusal& refusal : refusals_) {
    Json object = Json::MakeObject();
    object.Set("document", codec::EncodeBase64Url(refusal.document.view()));
    object.Set("code", refusal.code).Set("count", refusal.count);
    refusals.Push(std::move(object));
  }
  Json json = Json::MakeObject();
  json.Set("next", next_number_).Set("last", codec::EncodeBase64Url(last_.view()));
  json.Set("pending", std::move(pending)).Set("refusals", std::move(refusals));
  return json;
}

Result<ReceiptChain> ReceiptChain::FromJson(const Json& json) {
  // An order's outcome is always kept, also past the bound for refusals.
  constexpr size_t kPendingReadMax = kReceiptsPendingMax * 2;
  ObjectReader reader(json, "receipts");
  ReceiptChain chain;
  chain.next_number_ = reader.Integer("next", 1);
  chain.last_ = reader.Base64UrlSha256("last");
  for (const Json& item : reader.Array("pending", kPendingReadMax)) {
    ObjectReader inner(item, "pending receipt");
    Pending pending;
    pending.number = inner.Integer("number");
    pending.text = inner.String("text", limits::kJwsBytesMax);
    if (!reader.Take(inner.Finish(), "pending")) break;
    if (pending.number == 0 && !reader.Take(manifest::Receipt::Parse(pending.text), "pending")) break;
    chain.pending_.push_back(std::move(pending));
  }
  for (const Json& item : reader.Array("refusals", kRefusalsRememberedMax)) {
    ObjectReader inner(item, "refusal");
    Refusal refusal;
    refusal.document = inner.Base64UrlSha256("document");
    refusal.code = inner.String("code");
    refusal.count = inner.Integer("count", 1);
    if (!reader.Take(inner.Finish(), "refusals")) break;
    chain.refusals_.push_back(std::move(refusal));
  }
  TRY(reader.Finish());
  return chain;
}

}  // namespace fleetseal::installer

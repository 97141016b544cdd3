#include "installer/receipts/receipt_chain.h"

#include <algorithm>
#include <bit>
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

namespace {

// Makes `draft` stand for the ones before it too: state and code of the last, count of all.
void Join(const std::string& shared, manifest::Receipt& draft) {
  const auto before = manifest::Receipt::Parse(shared);
  CHECK(before.has_value());
  draft.count = std::min(before->count, limits::kJsonIntegerMax - 1) + 1;
}

}  // namespace

void ReceiptChain::Add(manifest::Receipt draft) { pending_.push_back({.text = draft.Build(), .number = 0}); }

size_t ReceiptChain::refusals_pending() const {
  return static_cast<size_t>(std::count_if(pending_.begin(), pending_.end(),
                                           [](const Pending& pending) { return pending.kind == Kind::kRefusal; }));
}

std::string_view ReceiptChain::KindName(Kind kind) {
  if (kind == Kind::kOutcome) return "outcome";
  return kind == Kind::kRefusal ? "refusal" : "shared";
}

// One that is shown never changes again, and a second one while it waits would let refusals grow without end.
bool ReceiptChain::AddShared(manifest::Receipt draft) {
  draft.document.reset();
  draft.order_id.reset();
  const auto shared = std::find_if(pending_.begin(), pending_.end(),
                                   [](const Pending& pending) { return pending.kind == Kind::kShared; });
  if (shared == pending_.end()) {
    pending_.push_back({.text = draft.Build(), .number = 0, .kind = Kind::kShared});
    return true;
  }
  if (shared->number == 0) {
    Join(shared->text, draft);
    shared->text = draft.Build();
  } else {
    if (next_shared_) Join(*next_shared_, draft);
    next_shared_ = draft.Build();
  }
  // Stored with each doubling: a flood costs few writes, and a power cut forgets less than half of it.
  return std::has_single_bit(static_cast<uint64_t>(draft.count));
}

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
  if (refusals_pending() >= kRefusalsPendingMax) return AddShared(std::move(draft));
  refusals_.push_back({.document = *draft.document, .code = *draft.code});
  if (refusals_.size() > kRefusalsRememberedMax) refusals_.pop_front();
  pending_.push_back({.text = draft.Build(), .number = 0, .kind = Kind::kRefusal});
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
    pending.text = std::move(compact);
    pending.number = next_number_;
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
    const bool is_shared = pending_.front().kind == Kind::kShared;
    pending_.pop_front();
    is_changed = true;
    if (!is_shared || !next_shared_) continue;
    pending_.push_back({.text = *std::move(next_shared_), .number = 0, .kind = Kind::kShared});
    next_shared_.reset();
  }
  return is_changed;
}

Json ReceiptChain::ToJson() const {
  Json pending = Json::MakeArray();
  for (const Pending& receipt : pending_) {
    Json object = Json::MakeObject();
    object.Set("kind", KindName(receipt.kind)).Set("number", receipt.number).Set("text", receipt.text);
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
  json.SetOptional("nextShared", next_shared_);
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
    // Absent in the state of an installer that had no kinds yet.
    const std::string kind = inner.OptionalString("kind").value_or("outcome");
    if (kind == KindName(Kind::kRefusal)) pending.kind = Kind::kRefusal;
    if (kind == KindName(Kind::kShared)) pending.kind = Kind::kShared;
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
  chain.next_shared_ = reader.OptionalString("nextShared", limits::kJwsBytesMax);
  if (chain.next_shared_) reader.Take(manifest::Receipt::Parse(*chain.next_shared_), "nextShared");
  TRY(reader.Finish());
  return chain;
}

}  // namespace fleetseal::installer

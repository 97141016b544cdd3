#include <array>
#include <memory>

#include "trust_api/handles.h"

using fleetseal::Sha256;
using fleetseal::UnixSeconds;
using namespace fleetseal::trust_api;  // NOLINT(google-build-using-namespace): the C edge of that folder
namespace trust = fleetseal::trust;

namespace {

// What does not fit is refused where it stands in the order of checks; the rest of it need not be held for that.
std::string_view Cut(const fleetseal_trust_bytes& bytes, size_t size_max) {
  return View(bytes).substr(0, size_max + 1);
}

trust::OfferedDocuments OfferedOf(const fleetseal_trust_documents& documents) {
  trust::OfferedDocuments offered;
  if (documents.status.data != nullptr) offered.status = Cut(documents.status, FLEETSEAL_TRUST_STATUS_BYTES_MAX);
  if (documents.order.data != nullptr) offered.order = Cut(documents.order, FLEETSEAL_TRUST_JWS_BYTES_MAX);
  offered.manifest = Cut(documents.manifest, FLEETSEAL_TRUST_MANIFEST_BYTES_MAX);
  offered.manifest_signature = Cut(documents.manifest_signature, FLEETSEAL_TRUST_JWS_BYTES_MAX);
  offered.log_proof = Cut(documents.log_proof, FLEETSEAL_TRUST_LOG_PROOF_BYTES_MAX);
  // One hash too many makes any proof a bad one.
  offered.consistency.resize(std::min<size_t>(documents.consistency_count, FLEETSEAL_TRUST_CONSISTENCY_MAX + 1));
  const uint8_t* hash = documents.consistency;
  for (Sha256& own : offered.consistency) {
    std::copy_n(hash, Sha256::kSize, own.bytes.begin());
    hash += Sha256::kSize;
  }
  return offered;
}

fleetseal_trust_order* OrderHandle(trust::AcceptedOrder accepted) {
  auto* order = new fleetseal_trust_order{std::move(accepted), {}};
  if (order->accepted.manifest)
    order->manifest = {std::nullopt, &*order->accepted.manifest, &order->accepted.order.order()};
  return order;
}

fleetseal_trust_document DocumentOf(trust::OfferedKind kind) {
  switch (kind) {
    case trust::OfferedKind::kPackage:
      return FLEETSEAL_TRUST_PACKAGE;
    case trust::OfferedKind::kStatus:
      return FLEETSEAL_TRUST_STATUS;
    case trust::OfferedKind::kOrder:
      return FLEETSEAL_TRUST_ORDER;
  }
  return FLEETSEAL_TRUST_NOTHING;
}

bool HasConsistency(const fleetseal_trust_documents& documents) {
  return documents.consistency != nullptr || documents.consistency_count == 0;
}

bool IsGoodOffer(const fleetseal_trust_documents* documents, const fleetseal_trust_time* time) {
  if (documents == nullptr || time == nullptr || !HasConsistency(*documents)) return false;
  return documents->packages != nullptr || documents->package_count == 0;
}

Code Give(trust::OfferVerdict verdict, fleetseal_trust_outcome& outcome, fleetseal_trust_detail* detail) {
  // Both handles are made before either is given, so that nothing is given if memory ends.
  auto state = std::make_unique<fleetseal_trust_state>(fleetseal_trust_state{std::move(verdict.state)});
  if (verdict.order) outcome.order = OrderHandle(*std::move(verdict.order));
  outcome.state = state.release();
  outcome.packages_accepted = verdict.packages_accepted;
  outcome.is_status_accepted = verdict.is_status_accepted ? 1 : 0;
  outcome.has_signed_now = verdict.signed_now ? 1 : 0;
  outcome.signed_now = verdict.signed_now ? verdict.signed_now->value : 0;
  outcome.is_time_forgotten = verdict.is_time_forgotten ? 1 : 0;
  if (!verdict.refusal) return FLEETSEAL_TRUST_OK;
  outcome.refused = DocumentOf(verdict.refusal->document);
  return Explained(detail, verdict.refusal->refusal);
}

}  // namespace

fleetseal_trust_code fleetseal_trust_offer(const fleetseal_trust_state* state, const fleetseal_trust_device* device,
                                           const fleetseal_trust_documents* documents, const fleetseal_trust_time* time,
                                           fleetseal_trust_outcome* outcome, fleetseal_trust_detail* detail) noexcept {
  if (outcome == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *outcome = {};
  outcome->code = FLEETSEAL_TRUST_BAD_CALL;
  if (state == nullptr || device == nullptr || !IsGoodOffer(documents, time)) return outcome->code;
  outcome->code = Guarded(detail, [&]() -> Code {
    std::array<std::string_view, FLEETSEAL_TRUST_PACKAGES_MAX> packages;
    const bool is_too_many = documents->package_count > packages.size();
    const size_t count = is_too_many ? 0 : documents->package_count;
    std::transform(documents->packages, documents->packages + count, packages.begin(), View);
    trust::OfferVerdict verdict;
    if (is_too_many) {
      verdict.state = state->state;
      verdict.refusal = {trust::OfferedKind::kPackage,
                         fleetseal::Refusal(fleetseal::ErrorCode::kLimitExceeded, "too many packages")};
    } else {
      trust::OfferedDocuments offered = OfferedOf(*documents);
      offered.packages = std::span(packages).first(count);
      trust::DeviceTime known{UnixSeconds{time->clock}, std::nullopt, fleetseal::AsBytes(View(time->nonce))};
      if (time->has_signed_now != 0) known.signed_now = UnixSeconds{time->signed_now};
      verdict = trust::Offer(state->state, device->description.device, offered, known);
    }
    return Give(std::move(verdict), *outcome, detail);
  });
  return outcome->code;
}

fleetseal_trust_code fleetseal_trust_accept_order(const fleetseal_trust_state* state,
                                                  const fleetseal_trust_device* device,
                                                  const fleetseal_trust_documents* documents, int64_t now,
                                                  fleetseal_trust_order** out, fleetseal_trust_state** next,
                                                  fleetseal_trust_detail* detail) noexcept {
  if (out != nullptr) *out = nullptr;
  if (next != nullptr) *next = nullptr;
  if (out == nullptr || next == nullptr || state == nullptr || device == nullptr || documents == nullptr)
    return FLEETSEAL_TRUST_BAD_CALL;
  if (documents->order.data == nullptr || !HasConsistency(*documents)) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    auto accepted = trust::AcceptOrder(state->state, device->description.device,
                                       trust::CopyOfOrder(OfferedOf(*documents)), UnixSeconds{now});
    if (!accepted) return Explained(detail, accepted.error());
    auto stored = std::make_unique<fleetseal_trust_state>(fleetseal_trust_state{std::move(accepted->next_state)});
    *out = OrderHandle(*std::move(accepted));
    *next = stored.release();
    return FLEETSEAL_TRUST_OK;
  });
}

fleetseal_trust_code fleetseal_trust_recheck_order(const fleetseal_trust_state* state,
                                                   const fleetseal_trust_device* device,
                                                   const fleetseal_trust_order* order, int64_t now,
                                                   fleetseal_trust_detail* detail) noexcept {
  if (state == nullptr || device == nullptr || order == nullptr || !order->accepted.manifest)
    return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    const auto good =
        trust::RecheckBeforeSwitch(state->state, device->description.device, order->accepted, UnixSeconds{now});
    return good ? FLEETSEAL_TRUST_OK : Explained(detail, good.error());
  });
}

fleetseal_trust_code fleetseal_trust_commit_order(const fleetseal_trust_state* state,
                                                  const fleetseal_trust_order* order,
                                                  fleetseal_trust_state** out) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (state == nullptr || order == nullptr || !order->accepted.manifest) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(nullptr, [&]() -> Code {
    *out = new fleetseal_trust_state{trust::AfterCommit(state->state, order->accepted)};
    return FLEETSEAL_TRUST_OK;
  });
}

fleetseal_trust_code fleetseal_trust_order_describe(const fleetseal_trust_order* order,
                                                    fleetseal_trust_order_info* info) noexcept {
  if (order == nullptr || info == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  const fleetseal::manifest::Order& verified = order->accepted.order.order();
  *info = {};
  info->order_id = verified.order_id.text().c_str();
  info->plan_id = verified.plan_id.text().c_str();
  info->epoch = verified.epoch;
  info->sequence = verified.sequence;
  CopyHash(order->accepted.order.sha256(), info->sha256);
  info->is_cancel = order->accepted.order.is_cancel() ? 1 : 0;
  info->is_repeat = order->accepted.is_repeat ? 1 : 0;
  info->is_installed = order->accepted.is_installed ? 1 : 0;
  if (verified.content_key) info->content_key = {verified.content_key->data(), verified.content_key->size()};
  return FLEETSEAL_TRUST_OK;
}

const fleetseal_trust_manifest* fleetseal_trust_order_manifest(const fleetseal_trust_order* order) noexcept {
  return order != nullptr && order->accepted.manifest ? &order->manifest : nullptr;
}

void fleetseal_trust_order_free(fleetseal_trust_order* order) noexcept { delete order; }

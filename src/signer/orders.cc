// orders: the director signs one order a device, only inside a plan, only to registered devices and keys.
#include <algorithm>
#include <set>

#include "codec/base64.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "sealer/wrap_client.h"
#include "signer/device_rules.h"
#include "signer/directed_orders.h"
#include "signer/people.h"
#include "signer/permits.h"
#include "signer/released_update.h"
#include "signer/store/plan_store.h"
#include "signer/verbs.h"
#include "sys/random.h"

namespace fleetseal::signer {
namespace {

using api::signing::OrderResult;
using api::signing::OrdersAnswer;

// All that the orders of one call share.
struct Batch {
  manifest::Plan plan;
  ReleasedUpdate update;
  std::shared_ptr<const trust::TrustState> trust;
  KeyInUse director;
  int64_t ordered = 0;  // orders of the plan so far
  PermitsTo permits;    // back to the plan's update
};

// A device that gets a new order.
struct Candidate {
  size_t position = 0;  // in the answer
  store::DeviceRow device;
  crypto::PublicKey encryption_key;
  bool is_counted = true;  // false: it replaces an order of an older generation or epoch, or one without a permit
  std::optional<std::string> permit;
  std::string content_key;
  DirectedOrder directed;
};

Result<Batch> ReadBatch(const Core& core, const PlanId& id) {
  TRY_ASSIGN(const auto row, core.database().WithSnapshot(
                                 [&](storage::Session& session) { return store::FindPlan(session, id.text()); }));
  if (!row) return Fail(ErrorCode::kNotFound, "plan " + id.text());
  if (row->is_cancelled) return Fail(ErrorCode::kPlanInvalid, "the plan was cancelled");
  if (row->is_paused) return Fail(ErrorCode::kPlanPaused, id.text());
  // Verified anew: with the operator, the plan ends (ADR 0004).
  TRY_ASSIGN(const PersonDocument document, VerifyPersonDocument(core, row->compact, manifest::kTypPlan));
  TRY_ASSIGN(manifest::Plan plan, manifest::Plan::Parse(document.payload));
  TRY(RequireRole(document.person, manifest::PersonRole::kOperator, plan.product));
  TRY(CheckDates(plan.issued, plan.expires, core.Now(), kPlanLifetimeMax, ErrorCode::kPlanExpired));
  TRY_ASSIGN(ReleasedUpdate update, FindReleased(core, plan.manifest_sha256));
  TRY(RequireDeployable(update));
  TRY_ASSIGN(auto trust, core.Trust());
  if (const auto fresh = trust::JudgePackageFresh(*trust, core.Now()); !fresh) return Fail(fresh.error());
  TRY_ASSIGN(KeyInUse director, core.KeyFor(Purpose::kDirector));
  TRY_ASSIGN(const int64_t ordered, core.database().WithSnapshot([&](storage::Session& session) {
    return store::CountOrders(session, id.text());
  }));
  TRY_ASSIGN(PermitsTo permits, ReadPermitsTo(core, plan.manifest_sha256));
  return Batch{std::move(plan), std::move(update), std::move(trust), std::move(director), ordered, std::move(permits)};
}

Status CheckDevice(const Batch& batch, const DeviceId& id, const std::optional<store::DeviceRow>& device) {
  if (!device || !device->identity_key) return Fail(ErrorCode::kDeviceUnknown, id.text());
  TRY(CheckDeviceState(*device));
  if (device->product != batch.plan.product.text() || device->environment != batch.plan.environment.text()) {
    return Fail(ErrorCode::kProductMismatch, id.text() + " is " + device->product + " in " + device->environment);
  }
  const auto& devices = batch.plan.devices;
  if (devices && std::find(devices->begin(), devices->end(), id) == devices->end()) {
    return Fail(ErrorCode::kPlanInvalid, "the plan does not name " + id.text());
  }
  if (!device->receipt_jwk || !device->encryption_jwk)
    return Fail(ErrorCode::kCodeWithoutKeys, id.text() + " has no keys for orders");
  // A device may say any number in its receipts: that ends its own orders, never those beside it.
  if (std::max(device->last_sequence, device->receipt_sequence) >= limits::kJsonIntegerMax - kSequencesAnOrder)
    return Fail(ErrorCode::kValueOutOfRange, "the sequence of " + id.text() + " is at its end: raise directorEpoch");
  return {};
}

// How many bytes one device fetches.
int64_t BytesOf(const ReleasedUpdate& update) {
  int64_t bytes = 0;
  for (const auto& content : update.contents) bytes += static_cast<int64_t>(content.sealed_size.value);
  return bytes;
}

Status CheckRoom(const Batch& batch, int64_t fresh) {
  const int64_t orders = batch.ordered + fresh + 1;
  if (batch.plan.count_max && orders > *batch.plan.count_max)
    return Fail(ErrorCode::kPlanExhausted, batch.plan.plan_id.text());
  const int64_t bytes = std::max<int64_t>(BytesOf(batch.update), 1);
  if (batch.plan.bytes_max && orders > *batch.plan.bytes_max / bytes)
    return Fail(ErrorCode::kPlanExhausted, "bytesMax is reached");
  return {};
}

// An order that was signed before its permit was, or whose permit has ended, brings nothing: the device refuses it.
Result<bool> HasPermit(const PermitsTo& permits, const store::OrderRow& row) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(row.compact));
  TRY_ASSIGN(const auto order, manifest::Order::Parse(AsText(jws.unverified_payload())));
  return order.permit &&
         std::ranges::any_of(permits.entries, [&](const auto& entry) { return entry.compact == order.permit; });
}

// Fills `result` at once if the device has its order already; else a candidate.
Result<std::optional<Candidate>> Consider(const Core& core, const Batch& batch, const DeviceId& id, int64_t fresh,
                                          OrderResult& result) {
  std::optional<Candidate> candidate;
  TRY_ASSIGN(const auto device, FindDevice(core, id));
  TRY(CheckDevice(batch, id, device));
  TRY_ASSIGN(const auto existing, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindOrder(session, batch.plan.plan_id.text(), id.text());
  }));
  TRY_ASSIGN(auto permit, PermitFor(core, batch.permits, batch.plan.plan_id, *device));
  bool lacks_permit = false;
  if (existing && permit) {
    TRY_ASSIGN(const bool has_permit, HasPermit(batch.permits, *existing));
    lacks_permit = !has_permit;
  }
  const bool is_valid = existing && !lacks_permit && existing->generation == device->generation &&
                        existing->epoch == batch.trust->root_package().director_epoch &&
                        IsListed(batch.trust->root_package(), existing->compact, core.Now());
  if (is_valid) {
    result.order = existing->compact;
    result.sequence = existing->sequence;
    return candidate;
  }
  if (!existing) TRY(CheckRoom(batch, fresh));
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(*device->encryption_jwk));
  TRY_ASSIGN(jose::Jwk jwk, jose::ParseJwk(json));
  candidate = Candidate{0, *device, std::move(jwk.key), !existing.has_value(), std::move(permit), {}, {}};
  return candidate;
}

Status WrapKeys(const Core& core, const Batch& batch, std::vector<Candidate>& candidates) {
  if (batch.update.signature.delivery != manifest::Delivery::kSealed) return {};
  std::vector<sealer::WrapDevice> devices;
  for (const auto& candidate : candidates) {
    TRY_ASSIGN(DeviceId id, DeviceId::Parse(candidate.device.id));
    devices.push_back({std::move(id), candidate.device.generation, candidate.encryption_key});
  }
  sealer::WrapClient client(core.config().wrap_socket);
  TRY_ASSIGN(auto keys, client.Wrap(batch.plan.manifest_sha256, devices));
  for (size_t i = 0; i < candidates.size(); ++i) candidates[i].content_key = std::move(keys[i]);
  return {};
}

Status BuildOrder(const Core& core, const Batch& batch, Candidate& candidate) {
  sys::SystemRandom random;
  manifest::Order& order = candidate.directed.order;
  TRY_ASSIGN(order.order_id, OrderId::Parse(sys::NewId(random, "order")));
  TRY_ASSIGN(order.device_id, DeviceId::Parse(candidate.device.id));
  order.generation = candidate.device.generation;
  order.epoch = batch.trust->root_package().director_epoch;
  // Trust model section 5: above the last one, the clock in ms, and what the device has told about.
  order.sequence = std::max({candidate.device.last_sequence + kSequencesAnOrder, core.NowMs(),
                             candidate.device.receipt_sequence + kSequencesAnOrder,
                             core.sequence_floor() + kSequencesAnOrder});  // ADR 0009
  order.issued = core.Now();
  order.expires = std::min(core.Now() + limits::kOrderLifetimeMax, batch.plan.expires);
  order.package_version = batch.trust->root_package().version;
  order.plan_id = batch.plan.plan_id;
  order.manifest_sha256 = batch.plan.manifest_sha256;
  order.contents = batch.update.contents;
  if (!candidate.content_key.empty()) order.content_key = candidate.content_key;
  order.window = batch.plan.window;
  order.deadline = batch.plan.deadline;
  order.reboot = batch.plan.reboot;
  order.permit = candidate.permit;
  TRY_ASSIGN(candidate.directed.compact, core.keys().SignOrder(batch.director, order));
  return {};
}

Result<std::vector<Candidate>> Select(const Core& core, const Batch& batch, const std::vector<DeviceId>& devices,
                                      OrdersAnswer& answer) {
  std::vector<Candidate> candidates;
  int64_t fresh = 0;
  for (const auto& id : devices) {
    OrderResult& result = answer.orders.emplace_back(OrderResult{id, {}, {}, {}});
    auto candidate = Consider(core, batch, id, fresh, result);
    if (!candidate) {
      // Storage that fails is no verdict about a device.
      if (InfoOf(candidate.error().code).exit != ExitCode::kRefused) return tl::unexpected(candidate.error());
      result.error = Refusal(candidate.error());
    } else if (*candidate) {
      (*candidate)->position = answer.orders.size() - 1;
      fresh += (*candidate)->is_counted ? 1 : 0;
      candidates.push_back(**std::move(candidate));
    }
  }
  return candidates;
}

}  // namespace

Result<OrdersAnswer> MakeOrders(Core& core, const PlanId& plan, const std::vector<DeviceId>& devices) {
  TRY(CheckDeviceList(devices));
  const std::shared_lock register_lock(core.register_mutex);
  std::vector<std::string> names = {"plan:" + plan.text()};
  for (const auto& id : devices) names.push_back("device:" + id.text());
  const auto guard = core.objects.Acquire(std::move(names));
  TRY_ASSIGN(const Batch batch, ReadBatch(core, plan));
  OrdersAnswer answer;
  TRY_ASSIGN(auto candidates, Select(core, batch, devices, answer));
  // What was ordered before may have been committed by a call that could not make its record public.
  TRY(core.AwaitPublishedAll());
  if (candidates.empty()) return answer;
  TRY(WrapKeys(core, batch, candidates));
  std::vector<DirectedOrder> orders;
  for (auto& candidate : candidates) {
    TRY(BuildOrder(core, batch, candidate));
    answer.orders[candidate.position].order = candidate.directed.compact;
    answer.orders[candidate.position].sequence = candidate.directed.order.sequence;
    orders.push_back(std::move(candidate.directed));
  }
  TRY(RecordDirected(core, *batch.trust, orders, store::PutOrder));
  return answer;
}

}  // namespace fleetseal::signer

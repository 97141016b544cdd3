// cancel-orders: the director voids the orders of a plan that was cancelled, or whose update was withdrawn.
#include <algorithm>

#include "base/check.h"
#include "codec/base64.h"
#include "signer/device_rules.h"
#include "signer/directed_orders.h"
#include "signer/store/request_store.h"
#include "signer/verbs.h"
#include "sys/random.h"

namespace fleetseal::signer {
namespace {

using api::signing::OrderResult;
using api::signing::OrdersAnswer;

struct Batch {
  store::PlanRow plan;
  std::shared_ptr<const trust::TrustState> trust;
  KeyInUse director;
};

// Neither the plan's dates nor its operator matter any more: what takes software back is never too late.
Result<Batch> ReadBatch(const Core& core, const PlanId& id) {
  Batch batch;
  const Status read = core.database().WithSnapshot([&](storage::Session& session) -> Status {
    TRY_ASSIGN(const auto row, store::FindPlan(session, id.text()));
    if (!row) return Fail(ErrorCode::kNotFound, "plan " + id.text());
    batch.plan = *row;
    TRY_ASSIGN(const bool is_withdrawn, store::IsWithdrawn(session, row->manifest_sha256));
    if (!row->is_cancelled && !is_withdrawn)
      return Fail(ErrorCode::kPlanInvalid, "nobody has cancelled the plan or withdrawn its update");
    return {};
  });
  TRY(read);
  TRY_ASSIGN(batch.trust, core.Trust());
  if (const auto fresh = trust::JudgePackageFresh(*batch.trust, core.Now()); !fresh) return Fail(fresh.error());
  TRY_ASSIGN(batch.director, core.KeyFor(Purpose::kDirector));
  return batch;
}

// An order of an earlier epoch is void with it; its cancel ends what a device may still be fetching, unless the new
// epoch has ordered something else since.
Result<int64_t> SequenceFor(const Batch& batch, const store::DeviceRow& device, const store::OrderRow& order,
                            int64_t now_ms) {
  if (order.epoch == batch.trust->root_package().director_epoch) return order.sequence + 1;
  if (device.last_sequence > 0) return Fail(ErrorCode::kOrderReplayed, "a later order was signed for " + device.id);
  return std::max(now_ms, device.receipt_sequence + 1);
}

Result<DirectedOrder> Build(const Core& core, const Batch& batch, const DeviceId& id, const store::DeviceRow& device,
                            const store::OrderRow& cancelled) {
  sys::SystemRandom random;
  DirectedOrder directed;
  manifest::Order& order = directed.order;
  TRY_ASSIGN(order.order_id, OrderId::Parse(sys::NewId(random, "order")));
  order.action = manifest::OrderAction::kCancel;
  order.device_id = id;
  order.generation = device.generation;
  order.epoch = batch.trust->root_package().director_epoch;
  TRY_ASSIGN(order.sequence, SequenceFor(batch, device, cancelled, core.NowMs()));
  order.issued = core.Now();
  order.expires = core.Now() + limits::kOrderLifetimeMax;
  order.package_version = batch.trust->root_package().version;
  TRY_ASSIGN(order.plan_id, PlanId::Parse(batch.plan.id));
  TRY_ASSIGN(order.manifest_sha256, codec::DecodeBase64UrlSha256(batch.plan.manifest_sha256));
  order.reboot = manifest::Reboot::kLater;
  TRY_ASSIGN(directed.compact, core.keys().SignOrder(batch.director, order));
  return directed;
}

// Fills `result` if it was signed before; else the new order.
Result<std::optional<DirectedOrder>> Consider(const Core& core, const Batch& batch, const DeviceId& id,
                                              OrderResult& result) {
  TRY_ASSIGN(const auto device, FindDevice(core, id));
  if (!device) return Fail(ErrorCode::kDeviceUnknown, id.text());
  TRY(CheckDeviceState(*device));
  std::optional<store::OrderRow> order;
  std::optional<store::OrderRow> known;
  const Status read = core.database().WithSnapshot([&](storage::Session& session) -> Status {
    TRY_ASSIGN(order, store::FindOrder(session, batch.plan.id, id.text()));
    TRY_ASSIGN(known, store::FindCancelOrder(session, batch.plan.id, id.text()));
    return {};
  });
  TRY(read);
  if (!order) return Fail(ErrorCode::kPlanInvalid, id.text() + " has no order of this plan");
  if (order->generation != device->generation)
    return Fail(ErrorCode::kOrderNotForThisDevice, "the order was for an earlier generation of " + id.text());
  const bool is_valid = known && known->generation == device->generation &&
                        known->epoch == batch.trust->root_package().director_epoch &&
                        IsListed(batch.trust->root_package(), known->compact, core.Now());
  if (is_valid) {
    result.order = known->compact;
    result.sequence = known->sequence;
    return std::optional<DirectedOrder>();
  }
  TRY_ASSIGN(DirectedOrder made, Build(core, batch, id, *device, *order));
  result.order = made.compact;
  result.sequence = made.order.sequence;
  return std::optional<DirectedOrder>(std::move(made));
}

}  // namespace

Result<OrdersAnswer> CancelOrders(Core& core, const PlanId& plan, const std::vector<DeviceId>& devices) {
  TRY(CheckDeviceList(devices));
  const std::shared_lock register_lock(core.register_mutex);
  std::vector<std::string> names = {"plan:" + plan.text()};
  for (const auto& id : devices) names.push_back("device:" + id.text());
  const auto guard = core.objects.Acquire(std::move(names));
  TRY_ASSIGN(const Batch batch, ReadBatch(core, plan));
  OrdersAnswer answer;
  std::vector<DirectedOrder> fresh;
  for (const auto& id : devices) {
    OrderResult& result = answer.orders.emplace_back(OrderResult{id, {}, {}, {}});
    auto made = Consider(core, batch, id, result);
    if (made) {
      if (*made) fresh.push_back(**std::move(made));
      continue;
    }
    // Storage that fails is no verdict about a device.
    if (InfoOf(made.error().code).exit != ExitCode::kRefused) return tl::unexpected(made.error());
    result.error = Refusal(made.error());
  }
  // What was ordered before may have been committed by a call that could not make its record public.
  TRY(core.AwaitPublishedAll());
  if (!fresh.empty()) TRY(RecordDirected(core, *batch.trust, fresh, store::PutCancelOrder));
  return answer;
}

}  // namespace fleetseal::signer

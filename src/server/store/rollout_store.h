// Rollouts: the plan, its state, and one order for each device it covers.
//
// Source: design section 5.4, docs/protocol/processes.md section 6. An order is stored before it can be offered. Each
// call is one transaction, durable when it returns. Thread rule: any thread. Codes besides those named: those of
// storage::Session.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "storage/database.h"

namespace fleetseal::server {

// Cancelling: cancelled, and not yet every device has said so.
enum class RolloutState : uint8_t { kPlanned, kRunning, kPaused, kFinished, kCancelling, kCancelled };
std::string_view RolloutStateName(RolloutState state);

enum class OrderState : uint8_t { kWaiting, kOffered, kInstalled, kRefused, kFailed, kCancelled };
std::string_view OrderStateName(OrderState state);

struct StoredRollout {
  PlanId plan_id;
  std::string plan;  // compact JWS
  Sha256 manifest_sha256;
  RolloutState state = RolloutState::kPlanned;
  UnixSeconds created;
  int64_t number = 0;  // set by the store
};

// A start that has not come to its end: who asked for it, from which address.
struct StoredStart {
  PlanId plan_id;
  std::string person;
  std::string origin;
};

struct StoredOrder {
  PlanId plan_id;
  DeviceId device_id;
  OrderState state = OrderState::kWaiting;
  std::optional<std::string> code;
  std::string order;  // compact JWS
  OrderId order_id;
  int64_t sequence = 0;
  std::optional<std::string> cancel;  // compact JWS of the order that voids it
  std::optional<OrderId> cancel_id;
  // Installed, failed, cancelled: no receipt changes it any more, nothing of it is offered.
  bool is_final() const;
};

struct OrderCounts {
  int64_t waiting = 0;
  int64_t offered = 0;
  int64_t installed = 0;
  int64_t refused = 0;
  int64_t failed = 0;
  int64_t cancelled = 0;
  bool is_done() const { return waiting + offered + refused == 0; }
};

struct RolloutPage {
  std::vector<StoredRollout> rollouts;  // newest first
  std::optional<int64_t> cursor;
};
struct OrderPage {
  std::vector<StoredOrder> orders;  // by device id, without their texts
  std::optional<std::string> cursor;
};

class RolloutStore {
 public:
  explicit RolloutStore(storage::Database& database) : database_(database) {}

  // No change if the same plan is there; AlreadyExists if another one has its id.
  Status Put(const StoredRollout& rollout);
  Result<StoredRollout> Find(const PlanId& plan);  // NotFound
  Result<RolloutPage> List(std::optional<int64_t> cursor, int64_t limit);
  // planned -> running <-> paused -> finished, and from each to cancelling and cancelled; no change if it is there
  // already. NotFound, Conflict.
  Status Move(const PlanId& plan, RolloutState to);

  // Kept until the start has an order, or a refusal, for every device. NotFound.
  Status BeginStart(const StoredStart& start);
  Status EndStart(const PlanId& plan);
  Result<std::vector<StoredStart>> Starts();  // oldest first

  Result<std::vector<PlanId>> RolloutsOf(const Sha256& manifest);
  Result<std::vector<PlanId>> RolloutsIn(RolloutState state);

  // All or nothing. The same order of a device stays as it is; another one takes its place unless that has ended.
  Status AddOrders(const std::vector<StoredOrder>& orders);
  Result<StoredOrder> FindOrder(const PlanId& plan, const DeviceId& device);  // NotFound
  // By its own id or its cancel's. NotFound.
  Result<StoredOrder> FindOrderById(const DeviceId& device, const OrderId& order);
  // The newest of all plans: for `documents?device=`. NotFound.
  Result<StoredOrder> FindNewestOrder(const Sha256& manifest, const DeviceId& device);
  // Installed is final, cancelled and failed give way to it alone; offered does not replace an outcome. NotFound.
  Status SetOrderState(const PlanId& plan, const DeviceId& device, OrderState state,
                       const std::optional<std::string>& code);
  Status SetCancel(const PlanId& plan, const DeviceId& device, const OrderId& id, const std::string& compact);
  // Those that have not ended, by device id.
  Result<OrderPage> OpenOrders(const PlanId& plan, std::string_view cursor, int64_t limit);
  // A device that took an order takes none of a lower sequence any more: they are cancelled. Returns their plans.
  Result<std::vector<PlanId>> VoidBelow(const DeviceId& device, int64_t sequence);
  Result<OrderPage> ListOrders(const PlanId& plan, std::string_view cursor, int64_t limit);
  Result<OrderCounts> Count(const PlanId& plan);
  // Devices of the plan that have an order.
  Result<std::vector<DeviceId>> OrderedDevices(const PlanId& plan);

  // Visits the orders that have not ended of rollouts that run, are paused or being cancelled, oldest sequence first:
  // of all devices at the start, or of one.
  using PendingVisitor = std::function<Status(const StoredOrder&, RolloutState)>;
  Status ForEachPending(const PendingVisitor& visit);
  Status ForEachPending(const DeviceId& device, const PendingVisitor& visit);

 private:
  storage::Database& database_;
};

}  // namespace fleetseal::server

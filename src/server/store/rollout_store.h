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

enum class RolloutState : uint8_t { kPlanned, kRunning, kFinished, kCancelled };
std::string_view RolloutStateName(RolloutState state);

enum class OrderState : uint8_t { kWaiting, kOffered, kInstalled, kRefused, kFailed };
std::string_view OrderStateName(OrderState state);

struct StoredRollout {
  PlanId plan_id;
  std::string plan;  // compact JWS
  Sha256 manifest_sha256;
  RolloutState state = RolloutState::kPlanned;
  UnixSeconds created;
  int64_t number = 0;  // set by the store
};

struct StoredOrder {
  PlanId plan_id;
  DeviceId device_id;
  OrderState state = OrderState::kWaiting;
  std::optional<std::string> code;
  std::string order;  // compact JWS
  OrderId order_id;
  int64_t sequence = 0;
};

struct OrderCounts {
  int64_t waiting = 0;
  int64_t offered = 0;
  int64_t installed = 0;
  int64_t refused = 0;
  int64_t failed = 0;
  int64_t all() const { return waiting + offered + installed + refused + failed; }
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
  // planned -> running -> finished | cancelled, planned -> cancelled; no change if it is there already. NotFound,
  // Conflict.
  Status Move(const PlanId& plan, RolloutState to);

  // All or nothing. An order that the plan has for that device already stays as it is.
  Status AddOrders(const std::vector<StoredOrder>& orders);
  Result<StoredOrder> FindOrder(const PlanId& plan, const DeviceId& device);        // NotFound
  Result<StoredOrder> FindOrderById(const DeviceId& device, const OrderId& order);  // NotFound
  // The newest of all plans: for `documents?device=`. NotFound.
  Result<StoredOrder> FindNewestOrder(const Sha256& manifest, const DeviceId& device);
  // Installed is final; offered does not replace an outcome. NotFound.
  Status SetOrderState(const PlanId& plan, const DeviceId& device, OrderState state,
                       const std::optional<std::string>& code);
  Result<OrderPage> ListOrders(const PlanId& plan, std::string_view cursor, int64_t limit);
  Result<OrderCounts> Count(const PlanId& plan);
  // Devices of the plan that have an order.
  Result<std::vector<DeviceId>> OrderedDevices(const PlanId& plan);

  // Visits the orders of running rollouts that are neither installed nor failed, oldest sequence first. For the start.
  Status ForEachPending(const std::function<Status(const StoredOrder&, const Sha256& manifest)>& visit);

 private:
  storage::Database& database_;
};

}  // namespace fleetseal::server

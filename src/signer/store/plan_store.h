// Plans, orders, packages, signed JWKs, the director's numbers.
//
// Source: trust model sections 2, 3 and 5. All functions run inside the caller's transaction; codes are those of
// storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/database.h"

namespace fleetseal::signer::store {

struct PlanRow {
  std::string id;
  std::string document_sha256;
  std::string compact;
  std::string product;
  std::string environment;
  std::string manifest_sha256;
  int64_t release_counter = 0;
  bool is_cancelled = false;
  bool is_paused = false;
};
Result<std::optional<PlanRow>> FindPlan(storage::Session& session, const std::string& id);
Status InsertPlan(storage::Session& session, const PlanRow& plan);
Status SetPlanCancelled(storage::Session& session, const std::string& id);
Status SetPlanPaused(storage::Session& session, const std::string& id, bool is_paused);
// With ids above `after`, ascending.
Result<std::vector<PlanRow>> ListPlans(storage::Session& session, const std::string& after, int64_t limit);
// The greatest counter that a plan offers, by product and environment: `newest` of a status.
struct NewestRow {
  std::string product;
  std::string environment;
  int64_t release_counter = 0;
};
Result<std::vector<NewestRow>> ListNewest(storage::Session& session);

struct OrderRow {
  std::string plan_id;
  std::string device_id;
  int64_t generation = 0;
  int64_t epoch = 0;
  int64_t sequence = 0;
  std::string compact;
  int64_t log_index = 0;
  std::string salt;
};
Result<std::optional<OrderRow>> FindOrder(storage::Session& session, const std::string& plan_id,
                                          const std::string& device_id);
// Of those plans that install this manifest, the newest first.
Result<std::vector<OrderRow>> ListOrdersFor(storage::Session& session, const std::string& device_id,
                                            const std::string& manifest_sha256, int64_t limit);
// The order that cancels it.
Result<std::optional<OrderRow>> FindCancelOrder(storage::Session& session, const std::string& plan_id,
                                                const std::string& device_id);
Result<int64_t> CountOrders(storage::Session& session, const std::string& plan_id);
// Inserts, or replaces the order of that plan and device (a new generation).
Status PutOrder(storage::Session& session, const OrderRow& order);
Status PutCancelOrder(storage::Session& session, const OrderRow& order);
// Never makes it lower.
Status SetLastSequence(storage::Session& session, const std::string& device_id, int64_t sequence);
// Of all devices: a new epoch of the director begins.
Status RestartSequences(storage::Session& session);

struct PackageRow {
  int64_t version = 0;
  std::string text;
};
// Versions >= from, ascending.
Result<std::vector<PackageRow>> ListPackages(storage::Session& session, int64_t from, int64_t limit);
Status InsertPackage(storage::Session& session, const PackageRow& package);

Result<std::optional<std::string>> FindSjwk(storage::Session& session, const std::string& kid);
Status PutSjwk(storage::Session& session, const std::string& kid, const std::string& compact);

struct DirectorState {
  int64_t epoch = 0;
  int64_t status_version = 0;
};
Result<DirectorState> ReadDirectorState(storage::Session& session);
Status PutDirectorState(storage::Session& session, const DirectorState& state);

}  // namespace fleetseal::signer::store

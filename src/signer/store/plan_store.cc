#include "signer/store/plan_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

constexpr std::string_view kPlan =
    "SELECT id, document_sha256, compact, product, environment, manifest_sha256, release_counter, is_cancelled, "
    "is_paused FROM plans WHERE id = :id";
constexpr std::string_view kPlans =
    "SELECT id, document_sha256, compact, product, environment, manifest_sha256, release_counter, is_cancelled, "
    "is_paused FROM plans WHERE id > :after ORDER BY id LIMIT :row_limit";
constexpr std::string_view kInsertPlan =
    "INSERT INTO plans (id, document_sha256, compact, product, environment, manifest_sha256, release_counter, "
    "is_cancelled) "
    "VALUES (:id, :document_sha256, :compact, :product, :environment, :manifest_sha256, :release_counter, "
    ":is_cancelled)";
constexpr std::string_view kNewest =
    "SELECT product, environment, MAX(release_counter) FROM plans WHERE is_cancelled = 0 AND is_paused = 0 AND NOT "
    "EXISTS "
    "(SELECT 1 FROM withdrawn WHERE withdrawn.manifest_sha256 = plans.manifest_sha256) "
    "GROUP BY product, environment ORDER BY product, environment";
constexpr std::string_view kCancelPlan = "UPDATE plans SET is_cancelled = 1 WHERE id = :id";
constexpr std::string_view kPausePlan = "UPDATE plans SET is_paused = :is_paused WHERE id = :id";
constexpr std::string_view kOrder =
    "SELECT plan_id, device_id, generation, epoch, sequence, compact, log_index, salt FROM orders "
    "WHERE plan_id = :plan_id AND device_id = :device_id";
constexpr std::string_view kOrdersFor =
    "SELECT orders.plan_id, orders.device_id, orders.generation, orders.epoch, orders.sequence, orders.compact, "
    "orders.log_index, orders.salt FROM orders JOIN plans ON plans.id = orders.plan_id "
    "WHERE orders.device_id = :device_id AND plans.manifest_sha256 = :manifest_sha256 "
    "ORDER BY orders.epoch DESC, orders.sequence DESC LIMIT :limit";
constexpr std::string_view kCancelOrder =
    "SELECT plan_id, device_id, generation, epoch, sequence, compact, log_index, salt FROM cancel_orders "
    "WHERE plan_id = :plan_id AND device_id = :device_id";
constexpr std::string_view kPutCancelOrder =
    "INSERT INTO cancel_orders (plan_id, device_id, generation, epoch, sequence, compact, log_index, salt) "
    "VALUES (:plan_id, :device_id, :generation, :epoch, :sequence, :compact, :log_index, :salt) "
    "ON CONFLICT (plan_id, device_id) DO UPDATE SET generation = excluded.generation, epoch = excluded.epoch, "
    "sequence = excluded.sequence, compact = excluded.compact, log_index = excluded.log_index, salt = excluded.salt";
constexpr std::string_view kCountOrders = "SELECT count(*) FROM orders WHERE plan_id = :plan_id";
constexpr std::string_view kPutOrder =
    "INSERT INTO orders (plan_id, device_id, generation, epoch, sequence, compact, log_index, salt) "
    "VALUES (:plan_id, :device_id, :generation, :epoch, :sequence, :compact, :log_index, :salt) "
    "ON CONFLICT (plan_id, device_id) DO UPDATE SET generation = excluded.generation, epoch = excluded.epoch, "
    "sequence = excluded.sequence, compact = excluded.compact, log_index = excluded.log_index, salt = excluded.salt";
constexpr std::string_view kLastSequence =
    "UPDATE devices SET last_sequence = :last_sequence WHERE id = :id AND last_sequence < :known";
constexpr std::string_view kRestartSequences = "UPDATE devices SET last_sequence = 0, receipt_sequence = 0";
constexpr std::string_view kPackages =
    "SELECT version, text FROM packages WHERE version >= :from_version ORDER BY version LIMIT :row_limit";
constexpr std::string_view kInsertPackage = "INSERT INTO packages (version, text) VALUES (:version, :text)";
constexpr std::string_view kSjwk = "SELECT compact FROM sjwks WHERE kid = :kid";
constexpr std::string_view kPutSjwk =
    "INSERT INTO sjwks (kid, compact) VALUES (:kid, :compact) ON CONFLICT (kid) DO UPDATE SET compact = "
    "excluded.compact";
constexpr std::string_view kDirector = "SELECT epoch, status_version FROM director_state WHERE id = 1";
constexpr std::string_view kPutDirector =
    "INSERT INTO director_state (id, epoch, status_version) VALUES (1, :epoch, :status_version) "
    "ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, status_version = excluded.status_version";

PlanRow ToPlan(const storage::Row& row) {
  return {row.Text(0), row.Text(1),    row.Text(2), row.Text(3), row.Text(4),
          row.Text(5), row.Integer(6), row.Bool(7), row.Bool(8)};
}

OrderRow ToOrder(const storage::Row& row) {
  return {row.Text(0),    row.Text(1), row.Integer(2), row.Integer(3),
          row.Integer(4), row.Text(5), row.Integer(6), row.Text(7)};
}

storage::Params ParamsOf(const OrderRow& order) {
  return {order.plan_id,  order.device_id, order.generation, order.epoch,
          order.sequence, order.compact,   order.log_index,  order.salt};
}

}  // namespace

Result<std::optional<PlanRow>> FindPlan(storage::Session& session, const std::string& id) {
  return FirstRow(session, kPlan, {id}, ToPlan);
}

Result<std::vector<PlanRow>> ListPlans(storage::Session& session, const std::string& after, int64_t limit) {
  return AllRows(session, kPlans, {after, limit}, ToPlan);
}

Status InsertPlan(storage::Session& session, const PlanRow& plan) {
  return Done(session.Execute(kInsertPlan, {plan.id, plan.document_sha256, plan.compact, plan.product, plan.environment,
                                            plan.manifest_sha256, plan.release_counter, plan.is_cancelled}));
}

Result<std::vector<NewestRow>> ListNewest(storage::Session& session) {
  return AllRows(session, kNewest, {}, [](const storage::Row& row) {
    return NewestRow{row.Text(0), row.Text(1), row.Integer(2)};
  });
}

Status SetPlanCancelled(storage::Session& session, const std::string& id) {
  return Done(session.Execute(kCancelPlan, {id}));
}

Status SetPlanPaused(storage::Session& session, const std::string& id, bool is_paused) {
  return Done(session.Execute(kPausePlan, {is_paused, id}));
}

Result<std::optional<OrderRow>> FindOrder(storage::Session& session, const std::string& plan_id,
                                          const std::string& device_id) {
  return FirstRow(session, kOrder, {plan_id, device_id}, ToOrder);
}

Result<std::vector<OrderRow>> ListOrdersFor(storage::Session& session, const std::string& device_id,
                                            const std::string& manifest_sha256, int64_t limit) {
  return AllRows(session, kOrdersFor, {device_id, manifest_sha256, limit}, ToOrder);
}

Result<std::optional<OrderRow>> FindCancelOrder(storage::Session& session, const std::string& plan_id,
                                                const std::string& device_id) {
  return FirstRow(session, kCancelOrder, {plan_id, device_id}, ToOrder);
}

Result<int64_t> CountOrders(storage::Session& session, const std::string& plan_id) {
  TRY_ASSIGN(const storage::Row row, session.QueryRow(kCountOrders, {plan_id}));
  return row.Integer(0);
}

Status PutOrder(storage::Session& session, const OrderRow& order) {
  return Done(session.Execute(kPutOrder, ParamsOf(order)));
}

Status PutCancelOrder(storage::Session& session, const OrderRow& order) {
  return Done(session.Execute(kPutCancelOrder, ParamsOf(order)));
}

Status SetLastSequence(storage::Session& session, const std::string& device_id, int64_t sequence) {
  return Done(session.Execute(kLastSequence, {sequence, device_id, sequence}));
}

Status RestartSequences(storage::Session& session) { return Done(session.Execute(kRestartSequences, {})); }

Result<std::vector<PackageRow>> ListPackages(storage::Session& session, int64_t from, int64_t limit) {
  return AllRows(session, kPackages, {from, limit}, [](const storage::Row& row) {
    return PackageRow{row.Integer(0), row.Text(1)};
  });
}

Status InsertPackage(storage::Session& session, const PackageRow& package) {
  return Done(session.Execute(kInsertPackage, {package.version, package.text}));
}

Result<std::optional<std::string>> FindSjwk(storage::Session& session, const std::string& kid) {
  return FirstRow(session, kSjwk, {kid}, [](const storage::Row& row) { return row.Text(0); });
}

Status PutSjwk(storage::Session& session, const std::string& kid, const std::string& compact) {
  return Done(session.Execute(kPutSjwk, {kid, compact}));
}

Result<DirectorState> ReadDirectorState(storage::Session& session) {
  TRY_ASSIGN(const auto state, FirstRow(session, kDirector, {}, [](const storage::Row& row) {
               return DirectorState{row.Integer(0), row.Integer(1)};
             }));
  return state.value_or(DirectorState{});
}

Status PutDirectorState(storage::Session& session, const DirectorState& state) {
  return Done(session.Execute(kPutDirector, {state.epoch, state.status_version}));
}

}  // namespace fleetseal::signer::store

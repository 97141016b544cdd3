// rollout roll-back: the devices that took a release go back to the one before.
#include <algorithm>

#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/permit_document.h"
#include "cli/permits.h"
#include "cli/table.h"
#include "cli/updates.h"
#include "codec/hex.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"

namespace fleetseal::cli {
namespace {

// More devices than a plan can name are covered by product, environment and count.
constexpr size_t kNamedDevicesMax = 2048;

struct Way {
  codec::Json from;
  codec::Json to;
  std::vector<DeviceId> devices;
  Environment environment;
};

// The last deployable release of the product before this one.
Result<codec::Json> ReleaseBefore(AdminClient& client, const codec::Json& from) {
  TRY_ASSIGN(const auto rows, client.List("/admin/v1/updates", "updates"));
  const int64_t below = IntegerOr(from, "releaseCounter", 0);
  const codec::Json* best = nullptr;
  for (const auto& row : rows) {
    const int64_t counter = IntegerOr(row, "releaseCounter", 0);
    if (TextOr(row, "product", "") != TextOr(from, "product", "") || TextOr(row, "state", "") != "deployable") continue;
    if (counter < 1 || counter >= below) continue;
    if (best == nullptr || counter > IntegerOr(*best, "releaseCounter", 0)) best = &row;
  }
  if (best == nullptr)
    return Fail(ErrorCode::kNotFound, "there is no deployable release of " + ShownOr(from, "product", "?") +
                                          " before " + ShownOr(from, "version", "?") +
                                          ": see `fleetseal update list`, and name one with --to");
  TRY(CheckUpdateRow(client, *best));
  return *best;
}

Result<std::vector<DeviceId>> InstalledDevices(AdminClient& client, const std::string& rollout) {
  TRY_ASSIGN(const auto rows, client.List("/admin/v1/rollouts/" + rollout, "devices"));
  std::vector<DeviceId> devices;
  for (const auto& row : rows) {
    if (TextOr(row, "state", "") != "installed") continue;
    TRY_ASSIGN(auto id, DeviceId::Parse(TextOr(row, "id", "")));
    devices.push_back(std::move(id));
  }
  if (devices.empty())
    return Fail(ErrorCode::kConflict, "no device has installed the update of " + rollout +
                                          ": to stop it, `fleetseal rollout cancel " + rollout + " --reason …`");
  return devices;
}

Result<Way> FindWay(AdminClient& client, const RollBackOptions& options) {
  TRY_ASSIGN(const auto rollout, client.Get("/admin/v1/rollouts/" + options.rollout));
  Way way;
  TRY_ASSIGN(way.from, client.Get("/admin/v1/updates/" + TextOr(rollout, "update", "")));
  TRY(CheckUpdateRow(client, way.from));
  if (options.to.empty()) {
    TRY_ASSIGN(way.to, ReleaseBefore(client, way.from));
  } else {
    TRY_ASSIGN(way.to, FindUpdate(client, options.to));
  }
  TRY_ASSIGN(way.devices, InstalledDevices(client, options.rollout));
  TRY_ASSIGN(const auto device, client.Get("/admin/v1/devices/" + way.devices.front().text()));
  TRY_ASSIGN(way.environment, Environment::Parse(TextOr(device, "environment", "")));
  return way;
}

Result<manifest::Plan> MakePlan(Context& context, const AdminClient& client, const Way& way, int64_t valid_seconds) {
  manifest::Plan plan;
  plan.plan_id = NewIdOf<PlanId>(context, "plan");
  TRY_ASSIGN(plan.product, ProductName::Parse(TextOr(way.to, "product", "")));
  plan.environment = way.environment;
  TRY_ASSIGN(plan.manifest_sha256, codec::DecodeHexSha256(TextOr(way.to, "id", "")));
  if (way.devices.size() <= kNamedDevicesMax)
    plan.devices = way.devices;
  else
    plan.count_max = static_cast<int64_t>(way.devices.size());
  plan.operator_id = client.identity().id();
  plan.nonce = NewNonce(context);
  plan.issued = context.clock.Now();
  plan.expires = plan.issued + valid_seconds;
  return plan;
}

// The person at hand, if there is a publisher among the identities; the signer judges what the role is worth.
Result<std::unique_ptr<AdminClient>> PublisherAtHand(const Context& context) {
  auto identity = Identity::Choose(context, manifest::PersonRole::kPublisher);
  if (!identity && identity.error().code == ErrorCode::kRoleMissing) return std::unique_ptr<AdminClient>();
  TRY(identity);
  if (!(*identity)->HasRole(manifest::PersonRole::kPublisher)) return std::unique_ptr<AdminClient>();
  return AdminClient::Open(context, *std::move(identity));
}

}  // namespace

Status RolloutRollBack(Context& context, const RollBackOptions& options) {
  TRY(Argument("rollout", PlanId::Parse(options.rollout)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  TRY_ASSIGN(const Way way, FindWay(*client, options));
  TRY_ASSIGN(const manifest::Plan plan, MakePlan(context, *client, way, options.valid_seconds));
  TRY_ASSIGN(auto compact, client->identity().SignDocument(manifest::kTypPlan, plan.Build()));
  TRY_ASSIGN(const auto planned,
             client->Post("/admin/v1/plans", codec::Json::MakeObject().Set("plan", std::move(compact))));
  const std::string id = plan.plan_id.text();
  codec::Json json = codec::Json::MakeObject();
  json.Set("planId", id)
      .Set("from", TextOr(way.from, "id", ""))
      .Set("to", TextOr(way.to, "id", ""))
      .Set("devices", IntegerOr(planned, "devices", 0))
      .Set("bytes", IntegerOr(planned, "bytes", 0));
  std::string text = id + ": " + FormatCount(IntegerOr(planned, "devices", 0), "device") + " to go back from " +
                     ReleaseText(way.from) + " to " + ReleaseText(way.to);
  TRY_ASSIGN(auto publisher, PublisherAtHand(context));
  if (publisher == nullptr) {
    text += "\nnext, a publisher: `fleetseal permit request --plan " + id + " --from " +
            ShownOr(way.from, "product", "") + "@" + ShownOr(way.from, "version", "") + "`";
  } else {
    const PermitWish wish{way.from, way.to, {}, plan.plan_id, options.valid_seconds};
    TRY_ASSIGN_CONTEXT(const auto permit, AskForPermit(context, *publisher, wish),
                       "the plan " + id + " is made, but no permit for it");
    json.Set("permitId", TextOr(permit, "permitId", "")).Set("permitState", TextOr(permit, "state", ""));
    text += "\nnext: " + NextForPermit(permit);
  }
  Answer(context, json, text + "\nthen: `fleetseal rollout start " + id + "`");
  return {};
}

}  // namespace fleetseal::cli

#include "cli/rollouts.h"

#include <algorithm>
#include <map>
#include <thread>

#include "api/admin/paths.h"
#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/updates.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"

namespace fleetseal::cli {
namespace {

Result<std::vector<DeviceId>> DevicesOf(AdminClient& client, const RolloutPlanOptions& options) {
  std::vector<DeviceId> devices;
  for (const auto& text : options.devices) {
    TRY_ASSIGN(auto id, Argument("--device", DeviceId::Parse(text)));
    devices.push_back(std::move(id));
  }
  if (options.group.empty()) return devices;
  TRY_ASSIGN(const auto group, client.Get("/admin/v1/groups/" + options.group));
  for (const auto& member : ArrayOr(group, "members")) {
    if (!member.is_string()) return Fail(ErrorCode::kProtocolError, "a member of the group is no text");
    TRY_ASSIGN(auto id, DeviceId::Parse(member.as_string()));
    devices.push_back(std::move(id));
  }
  if (devices.empty()) return Fail(ErrorCode::kInvalidArgument, "the group " + options.group + " is empty");
  return devices;
}

// No order was signed yet: counts and devices say nothing.
bool IsNotStarted(const codec::Json& rollout) {
  const std::string state = TextOr(rollout, "state", "");
  if (state != "planned" && state != "paused") return false;
  const codec::Json* counts = rollout.Find("counts");
  if (counts == nullptr || !counts->is_object()) return false;
  return std::ranges::all_of(counts->as_object(), [](const auto& count) {
    return !count.second.is_integer() || count.second.as_integer() == 0;
  });
}

// "2 offered, 1 installed": a state that no device is in is left out.
std::string CountsText(const codec::Json& rollout) {
  if (IsNotStarted(rollout)) return "not started";
  const codec::Json* counts = rollout.Find("counts");
  std::string text;
  for (const char* name : {"waiting", "offered", "installed", "refused", "failed", "cancelled"}) {
    const int64_t count = counts == nullptr ? 0 : IntegerOr(*counts, name, 0);
    if (count > 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + name;
  }
  return text.empty() ? "no device" : text;
}

// "planned for 2 devices; start it with `...`".
std::string NotStartedText(const codec::Json& rollout) {
  const int64_t count = IntegerOr(rollout, "plannedDevices", -1);
  const bool is_paused = TextOr(rollout, "state", "") == "paused";
  const std::string plan = ShownOr(rollout, "planId", "");
  return "planned" + (count < 0 ? "" : " for " + FormatCount(count, "device")) +
         (is_paused ? ", paused and not started; go on with `fleetseal rollout resume " + plan + " --reason …`, then `"
                    : "; start it with `") +
         "fleetseal rollout start " + plan + "`";
}

std::string DevicesText(const codec::Json& rollout) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& device : ArrayOr(rollout, "devices")) {
    rows.push_back({TextOr(device, "id", ""), TextOr(device, "state", ""), TextOr(device, "code", "")});
  }
  return FormatTable({"DEVICE", "STATE", "CODE"}, rows);
}

constexpr size_t kNamedMax = 8;

// "dev-1, dev-2 and 3 more".
std::string NamesText(const std::vector<std::string>& ids) {
  std::string text;
  for (size_t i = 0; i < std::min(ids.size(), kNamedMax); ++i) text += (i == 0 ? "" : ", ") + ids[i];
  if (ids.size() > kNamedMax) text += " and " + std::to_string(ids.size() - kNamedMax) + " more";
  return text;
}

// What the watch ends with: the code that most devices of a bad end have, and which device has which.
Status EndBadly(Context& context, AdminClient& client, const std::string& plan_id) {
  std::map<std::string, std::vector<std::string>> devices;
  TRY_ASSIGN(const auto all, client.List("/admin/v1/rollouts/" + plan_id, "devices"));
  for (const auto& device : all) {
    const std::string state = TextOr(device, "state", "");
    if (state != "refused" && state != "failed" && state != "cancelled") continue;
    const auto none = state == "cancelled" ? ErrorCode::kOrderCancelled : ErrorCode::kHandlerFailed;
    devices[ShownOr(device, "code", ErrorCodeName(none))].push_back(ShownOr(device, "id", "?"));
  }
  const bool is_open =
      std::any_of(all.begin(), all.end(), [](const auto& device) { return TextOr(device, "state", "") == "refused"; });
  std::string worst;
  std::string text;
  for (const auto& [code, ids] : devices) {
    if (worst.empty() || ids.size() > devices[worst].size()) worst = code;
    text += (text.empty() ? "" : "; ") + code + " on " + NamesText(ids);
  }
  if (worst.empty()) return Fail(ErrorCode::kProtocolError, "the server names no device that did not install it");
  const auto known = ErrorCodeFromName(worst);
  const ErrorCode code = known.value_or(ErrorCode::kHandlerFailed);
  context.advice =
      std::string(InfoOf(code).advice) + "; `fleetseal device show " + devices[worst].front() + "` says more";
  if (is_open) context.advice += "; an order that was refused stays open: it is offered again at each check-in";
  return Fail(code, "not every device installed the update: " + text);
}

// A plan may be for more devices than are worth asking about.
constexpr size_t kLookedAtMax = 64;

// Rows of the devices that a plan is for, as far as they are looked at.
codec::Json::Array DevicesAt(AdminClient& client, const manifest::Plan& plan) {
  codec::Json::Array rows;
  if (plan.devices) {
    for (size_t i = 0; i < std::min(plan.devices->size(), kLookedAtMax); ++i) {
      // One that is let in later is not known yet.
      if (auto row = client.Get(std::string(api::admin::kDevicesPath) + "/" + (*plan.devices)[i].text()))
        rows.push_back(*std::move(row));
    }
    return rows;
  }
  const auto page = client.Get(std::string(api::admin::kDevicesPath), {{"limit", "500"}});
  if (!page) return rows;
  for (const auto& row : ArrayOr(*page, "devices")) {
    if (TextOr(row, "product", "") == plan.product.text() && TextOr(row, "environment", "") == plan.environment.text())
      rows.push_back(row);
  }
  return rows;
}

// What devices have that is newer than `update`: its name, and which devices. From what they said at check-ins.
std::map<std::string, std::vector<std::string>> NewerReleases(const codec::Json::Array& updates,
                                                              const codec::Json::Array& devices,
                                                              const codec::Json& update) {
  std::map<std::string, std::vector<std::string>> newer;
  for (const auto& device : devices) {
    const auto manifest = codec::DecodeBase64UrlSha256(TextOr(device, "manifestSha256", ""));
    if (!manifest) continue;
    const std::string id = codec::EncodeHex(*manifest);
    const auto row = std::ranges::find_if(updates, [&](const auto& one) { return TextOr(one, "id", "") == id; });
    if (row == updates.end() || TextOr(*row, "product", "") != TextOr(update, "product", "")) continue;
    if (IntegerOr(*row, "releaseCounter", 0) > IntegerOr(update, "releaseCounter", 0))
      newer[ShownOr(*row, "product", "") + "@" + ShownOr(*row, "version", "")].push_back(ShownOr(device, "id", "?"));
  }
  return newer;
}

// A plan for an older release is refused by every device that has a newer one: whoever signs it should know.
void WarnIfOlder(const Context& context, AdminClient& client, const codec::Json& update, const manifest::Plan& plan) {
  const auto updates = client.List("/admin/v1/updates", "updates");
  if (!updates) return;
  const auto newer = NewerReleases(*updates, DevicesAt(client, plan), update);
  if (newer.empty()) return;
  std::string text;
  for (const auto& [release, ids] : newer) text += (text.empty() ? "" : "; ") + NamesText(ids) + " with " + release;
  text = "devices that have a newer release refuse this one without a permit: " + text + ": ";
  if (newer.size() == 1) {
    text += "`fleetseal permit request --plan " + plan.plan_id.text() + " --from " + newer.begin()->first + "`";
  } else {
    // A permit leads away from one release.
    text += "a permit for each release, `fleetseal permit request --device ID … --from RELEASE --to " +
            ShownOr(update, "product", "") + "@" + ShownOr(update, "version", "") + "`";
  }
  Note(context, text);
}

}  // namespace

Status RolloutPlan(Context& context, const RolloutPlanOptions& options) {
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  TRY_ASSIGN(const auto update, FindUpdate(*client, options.update));
  TRY_ASSIGN(const auto id, TextOf(update, "id"));
  TRY_ASSIGN(const auto product, TextOf(update, "product"));
  manifest::Plan plan;
  plan.plan_id = NewIdOf<PlanId>(context, "plan");
  TRY_ASSIGN(plan.product, ProductName::Parse(product));
  TRY_ASSIGN(plan.environment, Argument("--environment", Environment::Parse(options.environment)));
  TRY_ASSIGN(plan.manifest_sha256, codec::DecodeHexSha256(id));
  TRY_ASSIGN(auto devices, DevicesOf(*client, options));
  if (!devices.empty())
    plan.devices = std::move(devices);
  else if (options.count_max > 0)
    plan.count_max = options.count_max;
  else
    return Fail(ErrorCode::kInvalidArgument,
                "say which devices: --device ID, --group NAME, or --count N of the product and environment");
  plan.operator_id = client->identity().id();
  plan.nonce = NewNonce(context);
  plan.issued = context.clock.Now();
  plan.expires = plan.issued + options.valid_seconds;
  if (options.deadline_seconds > 0) plan.deadline = plan.issued + options.deadline_seconds;
  TRY_ASSIGN(auto compact, client->identity().SignDocument(manifest::kTypPlan, plan.Build()));
  codec::Json body = codec::Json::MakeObject();
  body.Set("plan", std::move(compact));
  TRY_ASSIGN(const auto answer, client->Post("/admin/v1/plans", body));
  WarnIfOlder(context, *client, update, plan);
  std::string warnings;
  for (const auto& failure : ArrayOr(answer, "failed")) {
    const std::string code = ShownOr(failure, "code", "?");
    const auto known = ErrorCodeFromName(code);
    warnings += "\nwarning: " + ShownOr(failure, "deviceId", "?") + " gets no order now, " + code +
                (known ? ": " + std::string(InfoOf(*known).title) : "");
  }
  Answer(context, answer,
         plan.plan_id.text() + ": " + FormatCount(IntegerOr(answer, "devices", 0), "device") + ", " +
             FormatBytes(static_cast<uint64_t>(IntegerOr(answer, "bytes", 0))) + " to fetch" + warnings +
             "\nnext: `fleetseal rollout start " + plan.plan_id.text() + "`");
  return {};
}

Status RolloutStart(Context& context, const std::string& plan_id) {
  TRY(Argument("plan", PlanId::Parse(plan_id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  const auto answered = client->Post("/admin/v1/rollouts/" + plan_id + "/start", codec::Json::MakeObject());
  if (!answered && InfoOf(answered.error().code).exit == ExitCode::kUnreachable)
    Note(context,
         "a start that was interrupted is completed by the server itself once server and signer run again; the "
         "same command again does no harm");
  TRY_ASSIGN(const auto answer, answered);
  std::string text = FormatCount(IntegerOr(answer, "orders", 0), "order") + " signed\n";
  for (const auto& failure : ArrayOr(answer, "failed")) {
    text += "  no order for " + ShownOr(failure, "deviceId", "") + ": " + ShownOr(failure, "code", "") + "\n";
  }
  Answer(context, answer, text + "next: `fleetseal rollout watch " + plan_id + "`");
  return {};
}

Status RolloutControl(Context& context, const std::string& plan_id, manifest::RevocationAction action,
                      const std::string& reason) {
  TRY(Argument("plan", PlanId::Parse(plan_id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  TRY_ASSIGN(const auto before, client->Get("/admin/v1/rollouts/" + plan_id));
  std::string done = plan_id +
                     " is paused: nothing of it is offered, and downloads end where they are\nnext: `fleetseal rollout "
                     "resume " +
                     plan_id + " --reason …` or `fleetseal rollout cancel " + plan_id + " --reason …`";
  if (action == manifest::RevocationAction::kResume) done = plan_id + " goes on where it was";
  if (action == manifest::RevocationAction::kCancel)
    done = plan_id +
           " is cancelled: each device with an order gets one that voids it\nnext: `fleetseal rollout watch " +
           plan_id + "`";
  // The decision is recorded all the same.
  const std::string state = TextOr(before, "state", "");
  if (state == "finished" || state == "cancelled")
    done =
        "recorded, but it changes no device: the rollout " + plan_id + " is " + state + " (" + CountsText(before) + ")";
  return SendRevocation(context, *client, manifest::RevocationKind::kPlan, plan_id, action, reason, done);
}

Status RolloutWatch(Context& context, const std::string& plan_id, int64_t timeout_seconds) {
  TRY(Argument("plan", PlanId::Parse(plan_id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  const int64_t deadline = context.clock.MonotonicMs() + timeout_seconds * 1000;
  std::string told;
  StatusLine line(context);
  const int64_t started = context.clock.MonotonicMs();
  while (true) {
    TRY_ASSIGN(const auto rollout, client->Get("/admin/v1/rollouts/" + plan_id));
    // Nothing would ever happen.
    if (IsNotStarted(rollout)) {
      context.advice = "start it, then watch it";
      return Fail(ErrorCode::kConflict, NotStartedText(rollout));
    }
    const std::string now = TextOr(rollout, "state", "") + ": " + CountsText(rollout);
    const auto waited = static_cast<uint64_t>(context.clock.MonotonicMs() - started) / 1000;
    line.Show(now + "  (" + FormatSeconds(waited) + ")", now != told);
    told = now;
    const codec::Json* counts = rollout.Find("counts");
    const bool has_ended =
        counts != nullptr && IntegerOr(*counts, "waiting", 1) == 0 && IntegerOr(*counts, "offered", 1) == 0;
    if (has_ended) {
      line.Keep();
      Answer(context, rollout, DevicesText(rollout));
      for (const char* name : {"refused", "failed", "cancelled"})
        if (IntegerOr(*counts, name, 0) > 0) return EndBadly(context, *client, plan_id);
      return {};
    }
    if (context.clock.MonotonicMs() > deadline)
      return Fail(ErrorCode::kTimedOut, "after " + std::to_string(timeout_seconds) + " s: " + now);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
}

Status RolloutList(Context& context) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(auto rollouts, client->List("/admin/v1/rollouts", "rollouts"));
  TRY_ASSIGN(const auto updates, client->List("/admin/v1/updates", "updates"));
  std::map<std::string, std::string> names;
  for (const auto& update : updates)
    names[TextOr(update, "id", "")] = TextOr(update, "product", "") + "@" + TextOr(update, "version", "");
  std::vector<std::vector<std::string>> rows;
  for (const auto& rollout : rollouts) {
    const std::string id = TextOr(rollout, "update", "");
    const auto name = names.find(id);
    rows.push_back({TextOr(rollout, "planId", ""), TextOr(rollout, "state", ""),
                    name == names.end() ? id.substr(0, 16) : name->second, CountsText(rollout)});
  }
  codec::Json json = codec::Json::MakeObject();
  json.Set("rollouts", std::move(rollouts));
  Answer(context, json, FormatTable({"PLAN", "STATE", "UPDATE", "DEVICES"}, rows));
  return {};
}

// Orders name the sealed bytes: what was lost and imported again is sealed anew, so only a new plan brings it.
Status WarnOfMissingContent(const Context& context, AdminClient& client, const codec::Json& rollout) {
  const std::string id = TextOr(rollout, "update", "");
  TRY_ASSIGN(const auto update, client.Get("/admin/v1/updates/" + id));
  const bool is_update_lost = TextOr(update, "state", "") == "signed";
  const auto& devices = ArrayOr(rollout, "devices");
  const bool is_order_lost = std::any_of(devices.begin(), devices.end(),
                                         [](const auto& device) { return device.Find("lacksContent") != nullptr; });
  if (!is_update_lost && !is_order_lost) return {};
  Note(context, "content of " + TextOr(update, "product", "") + "@" + TextOr(update, "version", "") +
                    " was lost or found damaged: " +
                    (is_update_lost ? "run `fleetseal update import " + id + " FILE`, "
                                    : "it was imported anew, and open orders name what was lost: ") +
                    "cancel this rollout and plan it anew");
  return {};
}

Status RolloutShow(Context& context, const std::string& plan_id) {
  TRY(Argument("plan", PlanId::Parse(plan_id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto rollout, client->Get("/admin/v1/rollouts/" + plan_id));
  Answer(context, rollout,
         IsNotStarted(rollout)
             ? NotStartedText(rollout)
             : TextOr(rollout, "state", "") + ": " + CountsText(rollout) + "\n" + DevicesText(rollout));
  return WarnOfMissingContent(context, *client, rollout);
}

}  // namespace fleetseal::cli

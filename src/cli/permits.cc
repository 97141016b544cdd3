#include "cli/permits.h"

#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/permit_document.h"
#include "cli/table.h"
#include "cli/updates.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "jose/jws.h"
#include "manifest/permit.h"
#include "manifest/typ.h"
#include "manifest/update_manifest.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

constexpr const char* kPermitsPath = "/admin/v1/permits";
constexpr int64_t kDecisionSeconds = 86'400;

std::string PathOf(const std::string& permit) { return std::string(kPermitsPath) + "/" + permit; }

// What the approver would sign for, recomputed here.
struct Examined {
  manifest::Permit payload;
  manifest::UpdateManifest from;
  manifest::UpdateManifest to;
  Sha256 payload_sha256;
  Sha256 policy_sha256;
  Sha256 key_thumbprint;
  std::string policy;
  std::string plan;  // what the server shows of the plan
};

Result<manifest::UpdateManifest> ExamineManifest(const codec::Json& detail, std::string_view name,
                                                 const manifest::Permit& payload, const Sha256& expected) {
  TRY_ASSIGN(const auto text, TextOf(detail, name));
  TRY_ASSIGN(const auto bytes, codec::DecodeBase64Url(text));
  if (crypto::HashSha256(bytes) != expected)
    return Fail(ErrorCode::kManifestHashMismatch, "the permit is about another release than the one shown");
  TRY_ASSIGN(auto manifest, manifest::UpdateManifest::Parse(AsText(bytes)));
  if (manifest.product != payload.product)
    return Fail(ErrorCode::kProductMismatch, "payload and manifest name different products");
  return manifest;
}

Result<std::string> ExaminePlan(const codec::Json& detail, const manifest::Permit& payload) {
  if (!payload.plan_id) return std::string();
  TRY_ASSIGN(const auto compact, TextOf(detail, "plan"));
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(const auto plan, manifest::Plan::Parse(AsText(jws.unverified_payload())));
  if (plan.plan_id != *payload.plan_id || plan.manifest_sha256 != payload.to.manifest_sha256)
    return Fail(ErrorCode::kPlanInvalid, "the plan shown is not the one that the permit names");
  std::string devices = plan.count_max ? "at most " + std::to_string(*plan.count_max) + " devices" : "";
  for (const auto& id : plan.devices.value_or(std::vector<DeviceId>()))
    devices += (devices.empty() ? "" : " ") + id.text();
  return plan.plan_id.text() + " by " + plan.operator_id.text() + " in " + plan.environment.text() + ": " + devices;
}

Result<Examined> Examine(const codec::Json& detail) {
  TRY_ASSIGN(const auto payload_text, TextOf(detail, "payload"));
  TRY_ASSIGN(const auto policy, TextOf(detail, "policy"));
  TRY_ASSIGN(const auto thumbprint, TextOf(detail, "keyThumbprint"));
  TRY_ASSIGN_CONTEXT(auto payload, manifest::Permit::Parse(payload_text), "reading the payload");
  TRY_ASSIGN(auto from, ExamineManifest(detail, "fromManifest", payload, payload.from.manifest_sha256));
  TRY_ASSIGN(auto to, ExamineManifest(detail, "toManifest", payload, payload.to.manifest_sha256));
  TRY_ASSIGN(auto plan, ExaminePlan(detail, payload));
  TRY_ASSIGN(const auto key, codec::DecodeBase64UrlSha256(thumbprint));
  const Sha256 payload_sha256 = crypto::HashSha256(payload_text);
  const Sha256 policy_sha256 = crypto::HashSha256(policy);
  return Examined{std::move(payload), std::move(from), std::move(to), payload_sha256, policy_sha256, key, policy,
                  std::move(plan)};
}

std::string ShownRelease(const manifest::UpdateManifest& manifest, const manifest::ReleasePoint& point) {
  return manifest.product.text() + "@" + manifest.version.text() + ", release counter " +
         std::to_string(point.release_counter) + ", manifest " + ToBase64Url(point.manifest_sha256);
}

std::string Describe(const Examined& examined, const codec::Json& detail) {
  const auto& payload = examined.payload;
  std::string text = "permit " + payload.permit_id.text() + " asked for by " + ShownOr(detail, "requester", "?") +
                     ", " + ShownOr(detail, "state", "?") + ", approved by " +
                     std::to_string(ArrayOr(detail, "approved").size()) + " of " +
                     std::to_string(IntegerOr(detail, "needed", 0)) + "\n\nTo be signed: leave to go back\n";
  text += "  from " + ShownRelease(examined.from, payload.from) + "\n  to   " + ShownRelease(examined.to, payload.to);
  if (payload.device_ids) {
    text += "\n  once on each of";
    for (const auto& id : *payload.device_ids) text += " " + id.text();
  } else {
    text += "\n  once on each device of the plan " + examined.plan;
  }
  return text + "\n  until " + FormatTime(payload.expires) + "\n  payload sha256 " +
         ToBase64Url(examined.payload_sha256) + "\n  key " + ToBase64Url(examined.key_thumbprint) + "\n  policy " +
         examined.policy + "\n";
}

std::string ScopeText(const codec::Json& row) {
  const std::string plan = ShownOr(row, "planId", "");
  if (!plan.empty()) return plan;
  std::string text;
  for (const auto& device : ArrayOr(row, "deviceIds")) {
    if (device.is_string()) text += (text.empty() ? "" : " ") + device.as_string();
  }
  return text;
}

std::string VersionText(const codec::Json& row, std::string_view name) {
  const codec::Json* point = row.Find(name);
  return point == nullptr ? "?" : ShownOr(*point, "version", "?");
}

// The update that a plan rolls out.
Result<codec::Json> UpdateOfPlan(AdminClient& client, const std::string& plan) {
  TRY_ASSIGN_CONTEXT(const auto rollout, client.Get("/admin/v1/rollouts/" + plan), "looking at the plan");
  TRY_ASSIGN(const auto hex, TextOf(rollout, "update"));
  TRY_ASSIGN(auto update, client.Get("/admin/v1/updates/" + hex));
  TRY(CheckUpdateRow(client, update));
  return update;
}

}  // namespace

std::string ReleaseText(const codec::Json& update) {
  return ShownOr(update, "product", "?") + "@" + ShownOr(update, "version", "?") + " (counter " +
         std::to_string(IntegerOr(update, "releaseCounter", 0)) + ")";
}

std::string NextForPermit(const codec::Json& detail) {
  const std::string id = ShownOr(detail, "permitId", "");
  if (ShownOr(detail, "state", "") != "waiting") return "the permit " + id + " is signed";
  return "approvers, " + std::to_string(IntegerOr(detail, "needed", 0)) + " of them: `fleetseal permit approve " + id +
         "`";
}

Result<codec::Json> AskForPermit(Context& context, AdminClient& client, const PermitWish& wish) {
  const auto point = [](const codec::Json& update) -> Result<manifest::ReleasePoint> {
    TRY_ASSIGN(const auto id, TextOf(update, "id"));
    manifest::ReleasePoint read;
    TRY_ASSIGN(read.manifest_sha256, codec::DecodeHexSha256(id));
    read.release_counter = IntegerOr(update, "releaseCounter", 0);
    if (read.release_counter < 1) return Fail(ErrorCode::kUpdateNotSigned, ReleaseText(update));
    return read;
  };
  manifest::PermitRequest request;
  request.request_id = NewIdOf<RequestId>(context, "permit");
  TRY_ASSIGN(request.product, ProductName::Parse(TextOr(wish.from, "product", "")));
  TRY_ASSIGN(request.from, point(wish.from));
  TRY_ASSIGN(request.to, point(wish.to));
  if (wish.plan) {
    request.plan_id = wish.plan;
  } else {
    if (wish.devices.size() > manifest::kPermitRequestDevicesMax)
      return BadArgument("--device", "a permit names " + std::to_string(manifest::kPermitRequestDevicesMax) +
                                         " devices at most; for more make a plan, and a permit for it: --plan PLAN");
    request.device_ids = wish.devices;
  }
  request.audience = manifest::AudienceOf(client.identity().organisation());
  request.requester = client.identity().id();
  request.nonce = NewNonce(context);
  request.issued = context.clock.Now();
  request.expires = request.issued + std::min<int64_t>(wish.valid_seconds, 7 * 86'400);
  request.permit_expires = request.issued + wish.valid_seconds;
  TRY_ASSIGN(auto compact, client.identity().SignDocument(manifest::kTypRequest, request.Build()));
  return client.Post(kPermitsPath, codec::Json::MakeObject().Set("request", std::move(compact)));
}

Status PermitRequest(Context& context, const PermitRequestOptions& options) {
  if (options.plan.empty() == options.devices.empty())
    return Fail(ErrorCode::kInvalidArgument,
                "say who may go back: --plan PLAN (its update is where to), or --device ID … with --to UPDATE");
  if (options.plan.empty() == options.to.empty())
    return BadArgument("--to", "goes with --device; a plan says itself where to");
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kPublisher));
  PermitWish wish;
  wish.valid_seconds = options.valid_seconds;
  TRY_ASSIGN(wish.from, FindUpdate(*client, options.from));
  for (const auto& text : options.devices) {
    TRY_ASSIGN(auto id, Argument("--device", DeviceId::Parse(text)));
    wish.devices.push_back(std::move(id));
  }
  if (!options.plan.empty()) {
    TRY_ASSIGN(wish.plan, Argument("--plan", PlanId::Parse(options.plan)));
    TRY_ASSIGN(wish.to, UpdateOfPlan(*client, options.plan));
  } else {
    TRY_ASSIGN(wish.to, FindUpdate(*client, options.to));
  }
  TRY_ASSIGN(const auto answer, AskForPermit(context, *client, wish));
  Answer(context, answer,
         ShownOr(answer, "permitId", "") + ": back from " + ReleaseText(wish.from) + " to " + ReleaseText(wish.to) +
             "\nnext: " + NextForPermit(answer));
  return {};
}

Status PermitList(Context& context, const std::string& state) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  AdminClient::Query query;
  if (!state.empty()) query.emplace_back("state", state);
  TRY_ASSIGN(const auto answer, client->Get(kPermitsPath, query));
  std::vector<std::vector<std::string>> rows;
  for (const auto& permit : ArrayOr(answer, "permits")) {
    rows.push_back(
        {ShownOr(permit, "permitId", ""), ShownOr(permit, "product", ""), VersionText(permit, "from"),
         VersionText(permit, "to"), ScopeText(permit), ShownOr(permit, "state", ""),
         std::to_string(ArrayOr(permit, "approved").size()) + " of " + std::to_string(IntegerOr(permit, "needed", 0)),
         FormatTime({IntegerOr(permit, "permitExpires", 0)})});
  }
  Answer(context, answer, FormatTable({"PERMIT", "PRODUCT", "FROM", "TO", "FOR", "STATE", "APPROVED", "UNTIL"}, rows));
  return {};
}

Status PermitShow(Context& context, const PermitShowOptions& options) {
  TRY(Argument("permit", PermitId::Parse(options.permit)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto detail, client->Get(PathOf(options.permit)));
  TRY_ASSIGN(const auto examined, Examine(detail));
  std::string text = Describe(examined, detail);
  if (!options.output.empty()) {
    const std::string permit = TextOr(detail, "permit", "");
    if (permit.empty()) return Fail(ErrorCode::kApprovalsMissing, "the permit is not signed: " + NextForPermit(detail));
    TRY(sys::WriteFileDurably(options.output, AsBytes(permit), 0644));
    text += "written to " + options.output;
  }
  Answer(context, detail, text);
  return {};
}

Status PermitDecide(Context& context, const std::string& permit, bool is_approval, const std::string& reason) {
  TRY_ASSIGN(const auto id, Argument("permit", RequestId::Parse(permit)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kApprover));
  TRY_ASSIGN(const auto detail, client->Get(PathOf(permit)));
  TRY_ASSIGN(const auto examined, Examine(detail));
  if (examined.payload.permit_id.text() != id.text())
    return Fail(ErrorCode::kApprovalMismatch, "the server shows the permit " + examined.payload.permit_id.text());
  Note(context, Describe(examined, detail));
  manifest::Approval approval;
  approval.request_id = id;
  approval.typ = std::string(manifest::kTypPermit);
  approval.payload_sha256 = examined.payload_sha256;
  approval.key_thumbprint = examined.key_thumbprint;
  approval.policy_sha256 = examined.policy_sha256;
  approval.decision = is_approval ? manifest::Decision::kApprove : manifest::Decision::kReject;
  if (!reason.empty()) approval.reason = reason;
  approval.approver = client->identity().id();
  approval.nonce = NewNonce(context);
  approval.issued = context.clock.Now();
  approval.expires = approval.issued + kDecisionSeconds;
  TRY_ASSIGN(auto compact, client->identity().SignDocument(manifest::kTypApproval, approval.Build()));
  TRY_ASSIGN(const auto answer, client->Post(PathOf(permit) + "/approvals",
                                             codec::Json::MakeObject().Set("approval", std::move(compact))));
  const std::string state = ShownOr(answer, "state", "");
  std::string text = approval.approver.text() + (is_approval ? " approved " : " rejected ") + permit + ": " + state;
  if (state == "waiting")
    text += ", " + std::to_string(ArrayOr(answer, "approved").size()) + " of " +
            std::to_string(IntegerOr(answer, "needed", 0));
  if (state == "signed") {
    text += ", on the log at index " + std::to_string(IntegerOr(answer, "logIndex", 0));
    if (examined.payload.plan_id) text += "\nnext: `fleetseal rollout start " + examined.payload.plan_id->text() + "`";
  }
  Answer(context, answer, text);
  return {};
}

}  // namespace fleetseal::cli

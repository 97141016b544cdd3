#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/table.h"
#include "cli/updates.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "manifest/manifest_signature.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "manifest/update_manifest.h"

namespace fleetseal::cli {
namespace {

// What the approver would sign for, recomputed here: the server's own words about it are not used.
struct Examined {
  manifest::ManifestSignature payload;
  manifest::UpdateManifest manifest;
  Sha256 payload_sha256;
  Sha256 policy_sha256;
  std::string policy;
  Sha256 key_thumbprint;
  std::string requester;
};

Result<Examined> Examine(const codec::Json& detail) {
  TRY_ASSIGN(const auto payload, TextOf(detail, "payload"));
  TRY_ASSIGN(const auto manifest_text, TextOf(detail, "manifest"));
  TRY_ASSIGN(const auto manifest_bytes, codec::DecodeBase64Url(manifest_text));
  TRY_ASSIGN(const auto thumbprint_text, TextOf(detail, "keyThumbprint"));
  TRY_ASSIGN(const auto policy, TextOf(detail, "policy"));
  TRY_ASSIGN_CONTEXT(auto signature, manifest::ManifestSignature::Parse(payload), "reading the payload");
  TRY_ASSIGN_CONTEXT(auto manifest, manifest::UpdateManifest::Parse(AsText(manifest_bytes)), "reading the manifest");
  TRY_ASSIGN(const auto thumbprint, codec::DecodeBase64UrlSha256(thumbprint_text));
  if (crypto::HashSha256(manifest_bytes) != signature.manifest_sha256) {
    return Fail(ErrorCode::kManifestHashMismatch,
                "the payload to be signed is for another manifest than the one shown");
  }
  if (manifest.product != signature.product) {
    return Fail(ErrorCode::kProductMismatch, "payload and manifest name different products");
  }
  return Examined{std::move(signature),
                  std::move(manifest),
                  crypto::HashSha256(payload),
                  crypto::HashSha256(policy),
                  policy,
                  thumbprint,
                  TextOr(detail, "requester", "")};
}

std::string Describe(const Examined& examined, const codec::Json& detail) {
  const auto& manifest = examined.manifest;
  std::string text = "request " + TextOr(detail, "requestId", "") + " by " + examined.requester + ", " +
                     TextOr(detail, "state", "") + ", approved by " +
                     std::to_string(ArrayOr(detail, "approved").size()) + " of " +
                     std::to_string(IntegerOr(detail, "needed", 0)) + "\n\nTo be signed:\n";
  text += "  " + manifest.product.text() + " " + manifest.version.text() + ", release counter " +
          std::to_string(examined.payload.release_counter) + ", " +
          std::string(manifest::DeliveryName(examined.payload.delivery)) + " for " + examined.payload.audience + "\n";
  for (const auto& set : manifest.compatibility) {
    text += "  for";
    for (const auto& [name, value] : set) text += " " + name + "=" + value;
    text += "\n";
  }
  for (const auto& file : manifest.files) {
    text += "  file " + file.file_name + "  " + FormatBytes(file.size.value) + "  sha256 " +
            codec::EncodeBase64(file.sha256.view()) + "\n";
  }
  for (const auto& step : manifest.steps) text += "  step " + step.handler + "\n";
  text += "  payload sha256 " + ToBase64Url(examined.payload_sha256) + "\n  key " +
          ToBase64Url(examined.key_thumbprint) + "\n  policy " + examined.policy + "\n";
  return text;
}

}  // namespace

Status ApprovalList(Context& context, const std::string& state) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  AdminClient::Query query;
  if (!state.empty()) query.emplace_back("state", state);
  TRY_ASSIGN(const auto answer, client->Get("/admin/v1/requests", query));
  std::vector<std::vector<std::string>> rows;
  for (const auto& request : ArrayOr(answer, "requests")) {
    rows.push_back({TextOr(request, "requestId", ""), TextOr(request, "product", ""), TextOr(request, "version", ""),
                    TextOr(request, "requester", ""), TextOr(request, "state", ""),
                    std::to_string(ArrayOr(request, "approved").size()) + " of " +
                        std::to_string(IntegerOr(request, "needed", 0))});
  }
  Answer(context, answer, FormatTable({"REQUEST", "PRODUCT", "VERSION", "BY", "STATE", "APPROVED"}, rows, {"BY"}));
  return {};
}

Status ApprovalShow(Context& context, const std::string& request_id) {
  TRY(Argument("request", RequestId::Parse(request_id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto detail, client->Get("/admin/v1/requests/" + request_id));
  TRY_ASSIGN(const auto examined, Examine(detail));
  Answer(context, detail, Describe(examined, detail));
  return {};
}

Status ApprovalDecide(Context& context, const std::string& request_id, bool is_approval, const std::string& reason) {
  TRY_ASSIGN(const auto id, Argument("request", RequestId::Parse(request_id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kApprover));
  TRY_ASSIGN(const auto detail, client->Get("/admin/v1/requests/" + request_id));
  TRY_ASSIGN(const auto examined, Examine(detail));
  Note(context, Describe(examined, detail));
  manifest::Approval approval;
  approval.request_id = id;
  approval.typ = std::string(manifest::kTypManifest);
  approval.payload_sha256 = examined.payload_sha256;
  approval.key_thumbprint = examined.key_thumbprint;
  approval.policy_sha256 = examined.policy_sha256;
  approval.decision = is_approval ? manifest::Decision::kApprove : manifest::Decision::kReject;
  if (!reason.empty()) approval.reason = reason;
  approval.approver = client->identity().id();
  approval.nonce = NewNonce(context);
  approval.issued = context.clock.Now();
  approval.expires = approval.issued + 86400;
  TRY_ASSIGN(auto compact, client->identity().SignDocument(manifest::kTypApproval, approval.Build()));
  codec::Json body = codec::Json::MakeObject();
  body.Set("approval", std::move(compact));
  TRY_ASSIGN(const auto answer, client->Post("/admin/v1/requests/" + request_id + "/approvals", body));
  const std::string state = TextOr(answer, "state", "");
  std::string text =
      client->identity().id().text() + (is_approval ? " approved " : " rejected ") + request_id + ": " + state;
  if (state == "waiting") {
    text += ", " + std::to_string(IntegerOr(answer, "approved", 0)) + " of " +
            std::to_string(IntegerOr(answer, "needed", 0));
  }
  if (state == "signed") text += ", on the log at index " + std::to_string(IntegerOr(answer, "logIndex", 0));
  Answer(context, answer, text);
  return {};
}

}  // namespace fleetseal::cli

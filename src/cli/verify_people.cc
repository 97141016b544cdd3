#include "cli/verify_people.h"

#include "cli/table.h"
#include "cli/verify_chain.h"
#include "codec/json.h"
#include "crypto/low_s.h"
#include "jose/jwk.h"
#include "manifest/enrolment.h"
#include "manifest/permit.h"
#include "manifest/person_documents.h"
#include "manifest/receipt.h"
#include "manifest/register_change.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kKeyFileBytesMax = 256 * 1024;

Status TakeKey(KeysByThumbprint& keys, const codec::Json& json, const std::string& name, const std::string& path) {
  TRY_ASSIGN_CONTEXT(const auto jwk, jose::ParseJwk(json), path);
  const std::string thumbprint = jwk.key.key_id();
  if (!name.empty() && name != thumbprint)
    return Fail(ErrorCode::kKeyInvalid, path + ": the key named " + name + " has the thumbprint " + thumbprint);
  keys.emplace(thumbprint, jwk.key);
  return {};
}

// What a document says, in a line, and when it holds.
struct Claims {
  std::string text;
  UnixSeconds issued;
  std::optional<UnixSeconds> expires = std::nullopt;
  ErrorCode code = ErrorCode::kApprovalExpired;  // outside its dates
};

template <typename Request>
Claims RequestClaims(const Request& request, const std::string& what) {
  return {request.requester.text() + " asks " + what + ", request " + request.request_id.text() + ", " +
              DatesText(request.issued, request.expires),
          request.issued, request.expires};
}

// Each kind of request has members of its own.
Result<Claims> DescribeRequest(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(payload));
  const codec::Json* kind = json.Find("kind");
  if (kind != nullptr && *kind == "permit") {
    TRY_ASSIGN(const auto request, manifest::PermitRequest::Parse(payload));
    return RequestClaims(request, "for leave to go back from release " + std::to_string(request.from.release_counter) +
                                      " of " + request.product.text() + " to " +
                                      std::to_string(request.to.release_counter));
  }
  if (kind != nullptr && *kind == "resign") {
    TRY_ASSIGN(const auto request, manifest::ResignRequest::Parse(payload));
    return RequestClaims(request, "to sign " + request.product.text() + " again");
  }
  TRY_ASSIGN(const auto request, manifest::SignRequest::Parse(payload));
  return RequestClaims(request, "to sign " + request.product.text());
}

// The document's own parser decides whether it may say so.
Result<Claims> Describe(DocumentKind kind, std::string_view payload) {
  using Kind = DocumentKind;
  if (kind == Kind::kRequest) return DescribeRequest(payload);
  if (kind == Kind::kApproval) {
    TRY_ASSIGN(const auto approval, manifest::Approval::Parse(payload));
    return Claims{approval.approver.text() +
                      (approval.decision == manifest::Decision::kApprove ? " approves" : " rejects") + " request " +
                      approval.request_id.text() + ", " + DatesText(approval.issued, approval.expires),
                  approval.issued, approval.expires};
  }
  if (kind == Kind::kPlan) {
    TRY_ASSIGN(const auto plan, manifest::Plan::Parse(payload));
    const std::string devices = plan.devices ? FormatCount(std::ssize(*plan.devices), "device")
                                             : "at most " + FormatCount(*plan.count_max, "device");
    return Claims{plan.operator_id.text() + " plans " + plan.product.text() + " in " + plan.environment.text() +
                      " on " + devices + ", plan " + plan.plan_id.text() + ", " + DatesText(plan.issued, plan.expires),
                  plan.issued, plan.expires, ErrorCode::kPlanExpired};
  }
  if (kind == Kind::kRevocation) {
    TRY_ASSIGN(const auto revocation, manifest::Revocation::Parse(payload));
    return Claims{revocation.person.text() + ": " + std::string(manifest::RevocationActionName(revocation.action)) +
                      " " + std::string(manifest::RevocationKindName(revocation.kind)) + " " + revocation.subject +
                      ", " + FormatTime(revocation.issued) + ", because: " + revocation.reason,
                  revocation.issued};
  }
  if (kind == Kind::kRegisterChange) {
    TRY_ASSIGN(const auto change, manifest::RegisterChange::Parse(payload));
    return Claims{"change " + change.change_id.text() + ", number " + std::to_string(change.sequence) + ", " +
                      std::to_string(change.changes.size()) + " changes, " + FormatTime(change.issued) +
                      "; one signature: whether the quorum of security keys signed is for the register to say",
                  change.issued};
  }
  if (kind == Kind::kReceipt) {
    TRY_ASSIGN(const auto receipt, manifest::Receipt::Parse(payload));
    return Claims{
        "device " + receipt.device_id.text() + ", receipt " + std::to_string(receipt.number) + ": " +
            std::string(manifest::OutcomeName(receipt.outcome)) + (receipt.code ? " (" + *receipt.code + ")" : "") +
            (receipt.order_id ? ", order " + receipt.order_id->text() : "") + ", " + FormatTime(receipt.issued),
        receipt.issued};
  }
  if (kind == Kind::kDeviceKeys) {
    TRY_ASSIGN(const auto device, manifest::DeviceKeys::Parse(payload));
    return Claims{"device " + device.device_id.text() + ", generation " + std::to_string(device.generation) +
                      ", receipt key " + device.receipt_key.key_id() + ", " + FormatTime(device.issued),
                  device.issued};
  }
  TRY_ASSIGN(const auto enrolment, manifest::Enrolment::Parse(payload));
  return Claims{"device " + enrolment.device_id.text() + " enrols, " + FormatTime(enrolment.issued), enrolment.issued};
}

}  // namespace

Result<KeysByThumbprint> ReadKeys(const std::vector<std::string>& paths) {
  KeysByThumbprint keys;
  for (const auto& path : paths) {
    TRY_ASSIGN(const auto text, sys::ReadTextFile(path, kKeyFileBytesMax));
    TRY_ASSIGN_CONTEXT(const auto json, codec::ParseJson(text), path);
    if (!json.is_object()) return Fail(ErrorCode::kMemberTypeWrong, path + " is neither a JWK nor an object of JWKs");
    if (json.Find("kty") != nullptr) {
      TRY(TakeKey(keys, json, "", path));
      continue;
    }
    for (const auto& [name, value] : json.as_object()) TRY(TakeKey(keys, value, name, path));
  }
  return keys;
}

bool IsOfPersonOrDevice(DocumentKind kind) {
  return kind >= DocumentKind::kRequest && kind <= DocumentKind::kEnrolment;
}

Verdict<void> JudgeDates(UnixSeconds issued, std::optional<UnixSeconds> expires, UnixSeconds now, ErrorCode code) {
  constexpr int64_t kClockSlack = 300;
  if (issued > now + kClockSlack)
    return Refuse(code, "issued only at " + FormatTime(issued) + ": --as-of TIME judges it as of another time");
  if (expires && *expires <= now)
    return Refuse(code, "it ended at " + FormatTime(*expires) + ": --as-of TIME judges it as of then");
  return {};
}

void JudgePersonDocument(const FoundDocument& document, const KeysByThumbprint& keys, UnixSeconds now,
                         const Surroundings& around, Report& report) {
  const std::string name(KindName(document.kind));
  const Report::Files files = {document.path};
  const jose::UnverifiedJws& jws = *document.jws;
  if (jws.header().sjwk || !jws.header().kid)
    return report.Bad(name, files, {ErrorCode::kHeaderNotAllowed, "the header is not exactly alg, typ and kid"});
  const auto what = Describe(document.kind, AsText(jws.unverified_payload()));
  if (!what) return report.Bad(name, files, Refusal(what.error()));
  const auto key = keys.find(*jws.header().kid);
  if (key == keys.end()) {
    return report.NotJudged(name, files, "signature not judged: the register has its key: --key FILE gives it (a JWK)",
                            Chain({"key " + *jws.header().kid + " (not given)", "claims: " + what->text}));
  }
  const auto verified = jws.Verify(key->second, key->second.default_algorithm());
  if (!verified) return report.Bad(name, files, Refusal(verified.error()));
  const bool has_other_form = document.kind == DocumentKind::kReceipt &&
                              key->second.default_algorithm() == crypto::SignatureAlgorithm::kEs256 &&
                              !crypto::IsLowS(jws.signature());
  if (has_other_form)
    return report.Bad(name, files, {ErrorCode::kReceiptInvalid, "the signature is not in its lower form"});
  const std::vector<Link> chain = Chain({"key " + key->first + ", which you gave", what->text});
  // A device's own clock may be wrong: when it says it signed is its claim. People's documents hold for a time.
  const bool is_of_device = document.kind >= DocumentKind::kReceipt;
  if (!is_of_device) {
    const auto dates = JudgeDates(what->issued, what->expires, now, what->code);
    if (!dates) return report.Bad(name, files, dates.error(), chain);
  }
  if (const auto why = OutOfPlace(document.kind, AsText(jws.unverified_payload()), around))
    return report.NotJudged(name, files, "good by itself, and out of place: " + *why, chain);
  report.Good(name, files, what->text, chain);
}

}  // namespace fleetseal::cli

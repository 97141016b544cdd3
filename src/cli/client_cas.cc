#include "cli/client_cas.h"

#include <algorithm>

#include "cli/admin_client.h"
#include "cli/identity.h"
#include "cli/recover.h"
#include "cli/table.h"
#include "cli/tls.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "pki/certificate.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

using codec::Json;

// The server may be on another machine: then the signer's answer is carried there.
bool HasServer(const std::string& data) { return sys::FileExists(data + "/server/server.toml"); }

Result<Json> Ask(const std::string& data, const char* name, const char* verb) {
  TRY_ASSIGN(const auto text, AskProgram(data, name, {verb}));
  return codec::ParseJson(text);
}

Result<Json> MemberOf(const Json& json, std::string_view name) {
  const Json* member = json.Find(name);
  if (member == nullptr || !member->is_object())
    return Fail(ErrorCode::kProtocolError, "the program shows no " + std::string(name));
  return *member;
}

// What the signer and the server show of the CAs of that kind.
struct Shown {
  Json ca;
  int64_t sequence = 0;
  bool is_same_at_server = true;  // also without a server here
  bool is_server_behind = false;  // its file has nothing, or first a CA that still counts
  bool is_made = false;           // by a decision; the first one was made with the organisation
};

// What was decided and not handed over. A server that has another CA first may be newer than a signer that was
// restored.
// `--drop-old` says more than the server's file can show, and a CA that nobody
// decided on must not come back by a file.
bool IsToFinish(const CaReplaceOptions& options, const Shown& shown) {
  return !shown.is_same_at_server && shown.is_server_behind && shown.is_made && !options.is_old_dropped;
}

Result<Json> FingerprintsOf(const std::string& pem) {
  TRY_ASSIGN(const auto cas, pki::Certificate::AllFromPem(pem));
  Json list = Json::MakeArray();
  for (const auto& ca : cas) list.Push(codec::EncodeBase64Url(ca.fingerprint().view()));
  return list;
}

Result<Shown> Look(const CaReplaceOptions& options) {
  TRY_ASSIGN(const Json signer, Ask(options.data, "signer", "--show-cas"));
  TRY_ASSIGN(const Json cas, MemberOf(signer, "cas"));
  const Json* is_halted = signer.Find("isHalted");
  if (is_halted == nullptr || !is_halted->is_bool() || is_halted->as_bool())
    return Fail(ErrorCode::kSignerHalted, "which register and which CAs count is not decided");
  Shown shown;
  TRY_ASSIGN(shown.ca, MemberOf(cas, options.kind));
  shown.sequence = IntegerOr(signer, "registerSequence", 0);
  shown.is_made = IntegerOr(shown.ca, "number", 1) > 1;
  // What the signer cannot read it does not show: handed over, the server would lose it too.
  const auto lost = ArrayOr(shown.ca, "lost");
  if (!lost.empty() && !options.is_old_dropped)
    return Fail(ErrorCode::kNotFound,
                lost.front().is_string() ? lost.front().as_string() : "the file of an accepted CA");
  if (!HasServer(options.data)) return shown;
  TRY_ASSIGN(const Json server, Ask(options.data, "server", "--show-client-cas"));
  TRY_ASSIGN(const Json taken, MemberOf(server, options.kind));
  TRY_ASSIGN(const Json counting, FingerprintsOf(TextOr(shown.ca, "certificates", "")));
  const auto known = ArrayOr(taken, "certificateSha256");
  shown.is_same_at_server = known == counting.as_array();
  shown.is_server_behind =
      known.empty() || std::ranges::find(counting.as_array(), known.front()) != counting.as_array().end();
  return shown;
}

std::string What(const CaReplaceOptions& options, const Shown& shown) {
  const bool has_key = shown.ca.Find("hasKey") != nullptr && shown.ca.Find("hasKey")->as_bool();
  const std::string whose = options.kind == "device" ? "devices" : "people";
  return "the " + options.kind + " CA \"" + TextOr(shown.ca, "name", "") + "\" (" +
         TextOr(shown.ca, "certificateSha256", "") + (has_key ? "" : ", whose key is lost") +
         ") issues no more, a new one does; " +
         (options.is_old_dropped
              ? whose + " with a certificate of the old one are let in no more from the server's next start"
              : "certificates of the old one are taken until they end");
}

Result<Json> Replace(Context& context, const CaReplaceOptions& options, const Shown& shown) {
  manifest::ReplaceCa decision;
  TRY_ASSIGN(decision.kind, manifest::ClientCaKindFromName(options.kind));
  TRY_ASSIGN(decision.previous_sha256, codec::DecodeBase64UrlSha256(TextOr(shown.ca, "certificateSha256", "")));
  decision.is_old_dropped = options.is_old_dropped;
  TRY_ASSIGN(const auto identity, Identity::Choose(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const auto document,
             SignDecision(context, *identity, options.also_signed_by, shown.sequence + 1, decision));
  TRY_ASSIGN(const auto text, HandOver(options.data, "signer", "--replace-ca", document.Serialize()));
  return codec::ParseJson(text);
}

std::string NextSteps(const CaReplaceOptions& options, bool is_handed_over) {
  if (!is_handed_over)
    return "\nthe server is not here: carry `certificates` of `fleetseal-signer --show-cas` to it, for "
           "`fleetseal-server --take-" +
           options.kind + "-cas FILE`";
  return "\nsigner and server use it from their next start:\n  fleetseal run --data " + options.data +
         "   (or: systemctl start fleetseal-signer; systemctl restart fleetseal-server)";
}

}  // namespace

Status CaReplace(Context& context, const CaReplaceOptions& options) {
  TRY(RequireOrganisation(context, options.data));
  auto shown = Look(options);
  if (!shown && shown.error().code == ErrorCode::kBusy) context.advice = kStopSignerAdvice;
  TRY(shown);
  const std::string what = What(options, *shown);
  const bool is_to_finish = IsToFinish(options, *shown);
  if (!options.is_confirmed) {
    Json json = shown->ca;
    json.Set("isSigned", false).Set("isSameAtServer", shown->is_same_at_server);
    if (!is_to_finish) json.Set("wouldSign", what);
    Answer(context, json,
           is_to_finish
               ? "the server does not take what counts by the signer, whose " + options.kind + " CA is \"" +
                     TextOr(shown->ca, "name", "") +
                     "\": run the same command with --yes to hand it over; nothing is replaced by that"
               : "to be signed: " + what + "\nnothing is signed yet: run the same command with --yes to sign it");
    return {};
  }
  Json made = shown->ca;
  if (!is_to_finish) {
    TRY_ASSIGN(made, Replace(context, options, *shown));
  }
  const bool is_handed_over = HasServer(options.data);
  if (is_handed_over)
    TRY(HandOver(options.data, "server", "--take-" + options.kind + "-cas", TextOr(made, "certificates", "")));
  made.Set("isHandedOver", is_handed_over).Set("isReplaced", !is_to_finish);
  Answer(context, made,
         (is_to_finish ? "nothing was replaced; only handed over: the " : "the ") + options.kind + " CA " +
             std::to_string(IntegerOr(made, "number", 0)) + (is_to_finish ? " issues" : " issues from now on") +
             ", until " + FormatTime({IntegerOr(made, "ends", 0)}) + "\n  " + TextOr(made, "certificateSha256", "") +
             NextSteps(options, is_handed_over));
  return {};
}

}  // namespace fleetseal::cli

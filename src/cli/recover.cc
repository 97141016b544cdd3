#include "cli/recover.h"

#include <sys/stat.h>

#include <algorithm>

#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/supervisor.h"
#include "cli/table.h"
#include "codec/base64.h"
#include "manifest/typ.h"
#include "sys/errors.h"
#include "sys/file.h"
#include "sys/users.h"

namespace fleetseal::cli {
namespace {

Result<codec::Json> ReadState(const std::string& data) {
  TRY_ASSIGN(const auto text, AskProgram(data, "signer", {"--recovery"}));
  return codec::ParseJson(text);
}

bool IsTrue(const codec::Json& json, std::string_view name) {
  const codec::Json* member = json.Find(name);
  return member != nullptr && member->is_bool() && member->as_bool();
}

std::string Human(const codec::Json& state) {
  if (IsTrue(state, "awaitsPackage"))
    return "the log is given up, and the signer waits for the root-key package that names " +
           TextOr(state, "logOrigin", "?") + " first: `fleetseal root rotate --log`, then `fleetseal root publish`";
  if (const std::string problem = TextOr(state, "logProblem", ""); !problem.empty())
    return "the signer is not halted, but its log " + TextOr(state, "logOrigin", "?") +
           " cannot be opened: " + problem +
           "\nbring its files back from a backup, a mirror or an auditor's copy; if they are lost for good: `fleetseal "
           "recover new-log` (docs/operations/lost-log.md)";
  if (!IsTrue(state, "isHalted") && state.Find("filesProblem") == nullptr)
    return "the signer is not halted; its log has " + std::to_string(IntegerOr(state, "logSize", 0)) + " records";
  const std::string reason = TextOr(state, "reason", "?");  // a restore adds the backup's own header, in JSON
  std::string text = "the signer is halted: " + reason.substr(0, reason.find(" {")) + "\n  halt " +
                     TextOr(state, "haltId", "?") + " since " + FormatTime({IntegerOr(state, "since", 0)}) +
                     "\n  its log has " + std::to_string(IntegerOr(state, "logSize", 0)) + " records\n";
  if (state.Find("filesSize") != nullptr) {
    text += "  the log files have " + std::to_string(IntegerOr(state, "filesSize", 0)) +
            " records, all of them good: --adopt-log takes them over\n";
  }
  if (state.Find("filesProblem") != nullptr) text += "  the log files: " + TextOr(state, "filesProblem", "") + "\n";
  std::vector<std::vector<std::string>> rows;
  for (const auto& suspect : ArrayOr(state, "suspects")) {
    rows.push_back({TextOr(suspect, "deviceId", ""), std::to_string(IntegerOr(suspect, "checkpointSize", 0)),
                    std::to_string(IntegerOr(suspect, "sequence", 0)), FormatTime({IntegerOr(suspect, "seen", 0)})});
  }
  text += "  if newer log files are lost for good: `fleetseal recover new-log` (docs/operations/lost-log.md)\n";
  if (rows.empty()) return text + "no device has shown more than the signer knows";
  return text + "devices that know more:\n" + FormatTable({"DEVICE", "LOG SIZE", "ORDER", "SEEN"}, rows);
}

manifest::NewLog DecideNewLog(const Context& context, const RecoverNewLogOptions& options, const codec::Json& state) {
  manifest::NewLog decision;
  decision.origin = options.origin;
  decision.previous_origin = TextOr(state, "logOrigin", "");
  decision.previous_size = IntegerOr(state, "logSize", 0);
  decision.is_lost = IsTrue(state, "isHalted") || state.Find("logProblem") != nullptr;
  if (IsTrue(state, "isHalted")) {
    if (const auto id = codec::DecodeBase64Url(TextOr(state, "haltId", "")); id) decision.halt_id = *id;
  }
  decision.sequence_floor =
      std::max({context.clock.NowMs(), IntegerOr(state, "sequenceFloor", 0), IntegerOr(state, "filesSequence", 0)});
  for (const auto& suspect : ArrayOr(state, "suspects"))
    decision.sequence_floor = std::max(decision.sequence_floor, IntegerOr(suspect, "sequence", 0));
  decision.reason = options.reason;
  return decision;
}

std::string NextSteps(const codec::Json& made) {
  const std::string origin = TextOr(made, "origin", "");
  return "the signer has made the log " + origin +
         "; nothing trusts it yet\nits verifier key, which only this machine "
         "vouches for: " +
         TextOr(made, "vkey", "") +
         "\nnext, where the roots are:\n  fleetseal root rotate --package "
         "PRESENT.json --log " +
         origin + " --log-key '" + TextOr(made, "vkey", "") + "' --remove-log " + TextOr(made, "previousOrigin", "") +
         " -o NEXT.json, and sign it with `fleetseal root package`\nthen start "
         "`fleetseal run`, and: fleetseal root publish NEXT.json\n" +
         (IsTrue(made, "lost") ? "until then the signer is halted" : "until then everything goes on with the old log");
}

}  // namespace

Result<codec::Json> SignDecision(Context& context, const Identity& identity,
                                 const std::vector<std::string>& also_signed_by, int64_t sequence,
                                 manifest::Change decision) {
  manifest::RegisterChange change;
  change.change_id = NewIdOf<ChangeId>(context, "change");
  change.sequence = sequence;
  change.changes.push_back(std::move(decision));
  change.nonce = NewNonce(context);
  change.issued = context.clock.Now();
  const std::string payload = change.Build();
  codec::Json signatures = codec::Json::MakeArray();
  TRY_ASSIGN(auto compact, identity.SignDocument(manifest::kTypRegisterChange, payload));
  signatures.Push(std::move(compact));
  for (const auto& folder : also_signed_by) {
    TRY_ASSIGN(const auto other, Identity::Load(folder));
    TRY_ASSIGN(auto more, other->SignDocument(manifest::kTypRegisterChange, payload));
    signatures.Push(std::move(more));
  }
  return codec::Json::MakeObject().Set("jws", std::move(signatures));
}

Result<std::string> AskProgram(const std::string& data, const std::string& name,
                               const std::vector<std::string>& arguments) {
  TRY_ASSIGN(const auto program, SiblingProgram("fleetseal-" + name));
  const std::string folder = data + "/" + name;
  struct stat facts {};
  if (::stat(folder.c_str(), &facts) != 0) return sys::FailErrno("look at", folder, errno);
  std::optional<sys::ChildUser> user;
  if (sys::IsRoot() && facts.st_uid != 0) user = sys::ChildUserFor(facts.st_uid);
  std::vector<std::string> all{"--config", folder + "/" + name + ".toml"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return CaptureProgram(program, all, std::move(user));
}

Result<std::string> HandOver(const std::string& data, const std::string& name, const std::string& verb,
                             std::string_view text, const std::vector<std::string>& more) {
  const std::string path = data + "/run/handed-over";
  TRY(sys::WriteFileDurably(path, AsBytes(text), 0644));
  TRY_ASSIGN(const std::string real, sys::RealPath(path));
  std::vector<std::string> arguments{verb, real};
  arguments.insert(arguments.end(), more.begin(), more.end());
  auto answer = AskProgram(data, name, arguments);
  TRY(sys::RemoveFile(path));
  return answer;
}

Status RecoverShow(Context& context, const std::string& data) {
  TRY_ASSIGN(const auto state, ReadState(data));
  Answer(context, state, Human(state));
  return {};
}

Result<manifest::ContinueAfterRestore> DecideContinue(const Context& context, const codec::Json& state,
                                                      bool is_log_adopted, const std::vector<std::string>& quarantine) {
  manifest::ContinueAfterRestore decision;
  TRY_ASSIGN(decision.halt_id, codec::DecodeBase64Url(TextOr(state, "haltId", "")));
  decision.is_log_adopted = is_log_adopted;
  decision.log_size = IntegerOr(state, is_log_adopted ? "filesSize" : "logSize", 0);
  decision.sequence_floor =
      std::max({context.clock.NowMs(), IntegerOr(state, "sequenceFloor", 0), IntegerOr(state, "filesSequence", 0)});
  for (const auto& name : quarantine) {
    TRY_ASSIGN(auto id, Argument("--quarantine", DeviceId::Parse(name)));
    decision.quarantine.push_back(std::move(id));
  }
  for (const auto& suspect : ArrayOr(state, "suspects")) {
    if (std::ranges::find(quarantine, TextOr(suspect, "deviceId", "")) == quarantine.end())
      decision.sequence_floor = std::max(decision.sequence_floor, IntegerOr(suspect, "sequence", 0));
  }
  return decision;
}

Status RecoverContinue(Context& context, const RecoverContinueOptions& options) {
  TRY_ASSIGN(const auto state, ReadState(options.data));
  if (!IsTrue(state, "isHalted")) return Fail(ErrorCode::kConflict, "the signer is not halted");
  TRY_ASSIGN(const auto decision, DecideContinue(context, state, options.is_log_adopted, options.quarantine));
  const std::string what = "the signer goes on with a log of " + std::to_string(decision.log_size) +
                           " records; orders begin above " + std::to_string(decision.sequence_floor);
  if (!options.is_confirmed) {
    codec::Json shown = state;
    shown.Set("wouldSign", what).Set("isSigned", false);
    Answer(context, shown,
           Human(state) + "\nto be signed: " + what +
               "\nnothing is signed yet: look at the evidence, then run the same command with --yes");
    return {};
  }
  TRY_ASSIGN(auto identity, Identity::Choose(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const auto document, SignDecision(context, *identity, options.also_signed_by,
                                               IntegerOr(state, "registerSequence", 0) + 1, decision));
  if (IsTrue(state, "isRunning")) {
    if (options.is_log_adopted) return Fail(ErrorCode::kBusy, "stop `fleetseal run` first: log files are taken over");
    TRY_ASSIGN(auto client, AdminClient::Open(context, std::move(identity)));
    TRY(client->Post("/admin/v1/register-changes", document));
  } else {
    TRY(HandOver(options.data, "signer", "--continue", document.Serialize()));
  }
  TRY_ASSIGN(const auto after, ReadState(options.data));
  Answer(context, after, what);
  return {};
}

Status RecoverNewLog(Context& context, const RecoverNewLogOptions& options) {
  TRY_ASSIGN(const auto state, ReadState(options.data));
  if (IsTrue(state, "isRunning"))
    return Fail(ErrorCode::kBusy, "stop `fleetseal run` first: a new log is made on the stopped signer");
  // Made already, by a run that was cut off before it could say so: nobody signs again.
  if (const auto* made = state.Find("newLog"); made != nullptr && TextOr(*made, "origin", "") == options.origin) {
    Answer(context, *made, NextSteps(*made));
    return {};
  }
  const auto decision = DecideNewLog(context, options, state);
  const std::string what = "the log " + decision.previous_origin + " of " + std::to_string(decision.previous_size) +
                           " records is left for a new one, " + decision.origin +
                           (decision.is_lost ? "; it is lost: the signer is halted until the roots name the new one"
                                             : "; it goes on until the roots name the new one") +
                           "; because: " + decision.reason;
  if (!options.is_confirmed) {
    codec::Json shown = state;
    shown.Set("wouldSign", what).Set("isSigned", false);
    Answer(context, shown,
           "to be signed: " + what + "\nnothing is signed yet: run the same command with --yes to sign it");
    return {};
  }
  TRY_ASSIGN(const auto identity, Identity::Choose(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const auto document, SignDecision(context, *identity, options.also_signed_by,
                                               IntegerOr(state, "registerSequence", 0) + 1, decision));
  TRY_ASSIGN(const auto text, HandOver(options.data, "signer", "--new-log", document.Serialize()));
  TRY_ASSIGN(const auto made, codec::ParseJson(text));
  Answer(context, made, NextSteps(made));
  return {};
}

}  // namespace fleetseal::cli

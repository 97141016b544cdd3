#include "cli/recover.h"

#include <sys/stat.h>

#include <algorithm>

#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/supervisor.h"
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
  if (rows.empty()) return text + "no device has shown more than the signer knows";
  return text + "devices that know more:\n" + FormatTable({"DEVICE", "LOG SIZE", "ORDER", "SEEN"}, rows);
}

Result<manifest::ContinueAfterRestore> Decide(Context& context, const RecoverContinueOptions& options,
                                              const codec::Json& state) {
  manifest::ContinueAfterRestore decision;
  TRY_ASSIGN(decision.halt_id, codec::DecodeBase64Url(TextOr(state, "haltId", "")));
  decision.is_log_adopted = options.is_log_adopted;
  decision.log_size = IntegerOr(state, options.is_log_adopted ? "filesSize" : "logSize", 0);
  decision.sequence_floor =
      std::max({context.clock.NowMs(), IntegerOr(state, "sequenceFloor", 0), IntegerOr(state, "filesSequence", 0)});
  for (const auto& name : options.quarantine) {
    TRY_ASSIGN(auto id, Argument("--quarantine", DeviceId::Parse(name)));
    decision.quarantine.push_back(std::move(id));
  }
  for (const auto& suspect : ArrayOr(state, "suspects")) {
    if (std::ranges::find(options.quarantine, TextOr(suspect, "deviceId", "")) == options.quarantine.end())
      decision.sequence_floor = std::max(decision.sequence_floor, IntegerOr(suspect, "sequence", 0));
  }
  return decision;
}

Result<codec::Json> Sign(Context& context, const Identity& identity, const RecoverContinueOptions& options,
                         const codec::Json& state, manifest::ContinueAfterRestore decision) {
  manifest::RegisterChange change;
  change.change_id = NewIdOf<ChangeId>(context, "change");
  change.sequence = IntegerOr(state, "registerSequence", 0) + 1;
  change.changes.emplace_back(std::move(decision));
  change.nonce = NewNonce(context);
  change.issued = context.clock.Now();
  const std::string payload = change.Build();
  codec::Json signatures = codec::Json::MakeArray();
  TRY_ASSIGN(auto compact, identity.SignDocument(manifest::kTypRegisterChange, payload));
  signatures.Push(std::move(compact));
  for (const auto& folder : options.also_signed_by) {
    TRY_ASSIGN(const auto other, Identity::Load(folder));
    TRY_ASSIGN(auto more, other->SignDocument(manifest::kTypRegisterChange, payload));
    signatures.Push(std::move(more));
  }
  return codec::Json::MakeObject().Set("jws", std::move(signatures));
}

// Public bytes, in a folder that the signer's user passes through.
Status HandOver(const std::string& data, const codec::Json& document) {
  const std::string path = data + "/run/decision.json";
  TRY(sys::WriteFileDurably(path, AsBytes(document.Serialize()), 0644));
  TRY_ASSIGN(const std::string real, sys::RealPath(path));
  const auto answer = AskProgram(data, "signer", {"--continue", real});
  TRY(sys::RemoveFile(path));
  TRY(answer);
  return {};
}

}  // namespace

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

Status RecoverShow(Context& context, const std::string& data) {
  TRY_ASSIGN(const auto state, ReadState(data));
  Answer(context, state, Human(state));
  return {};
}

Status RecoverContinue(Context& context, const RecoverContinueOptions& options) {
  TRY_ASSIGN(const auto state, ReadState(options.data));
  if (!IsTrue(state, "isHalted")) return Fail(ErrorCode::kConflict, "the signer is not halted");
  TRY_ASSIGN(const auto decision, Decide(context, options, state));
  const std::string what = "the signer goes on with a log of " + std::to_string(decision.log_size) +
                           " records; orders begin above " + std::to_string(decision.sequence_floor);
  if (!options.is_confirmed) {
    Say(context, Human(state));
    return Fail(ErrorCode::kInvalidArgument, "to be signed: " + what + ". Look at the evidence, then say --yes");
  }
  TRY_ASSIGN(auto identity, Identity::Choose(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const auto document, Sign(context, *identity, options, state, decision));
  if (IsTrue(state, "isRunning")) {
    if (options.is_log_adopted) return Fail(ErrorCode::kBusy, "stop `fleetseal run` first: log files are taken over");
    TRY_ASSIGN(auto client, AdminClient::Open(context, std::move(identity)));
    TRY(client->Post("/admin/v1/register-changes", document));
  } else {
    TRY(HandOver(options.data, document));
  }
  TRY_ASSIGN(const auto after, ReadState(options.data));
  Answer(context, after, what);
  return {};
}

}  // namespace fleetseal::cli

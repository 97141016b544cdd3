#include "cli/root_security.h"

#include "base/limits.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/identity.h"
#include "cli/recover.h"
#include "cli/root_change.h"
#include "cli/root_keys.h"
#include "cli/table.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "manifest/root_package.h"
#include "manifest/security_replacement.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kFileBytesMax = 256 * 1024;

struct Draft {
  std::string payload;
  std::vector<std::string> jws;
};

Result<Draft> ReadDraft(const std::string& file) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(file, kFileBytesMax));
  TRY_ASSIGN_CONTEXT(const auto json, codec::ParseJson(text), file);
  codec::ObjectReader reader(json, "security replacement");
  Draft draft;
  draft.payload = reader.String("payload", kFileBytesMax);
  draft.jws = reader.Strings("jws", 32);
  TRY_CONTEXT(reader.Finish(), file);
  for (const auto& compact : draft.jws) {
    TRY_ASSIGN_CONTEXT(const auto jws, jose::UnverifiedJws::Parse(compact), file);
    if (AsText(jws.unverified_payload()) != draft.payload)
      return Fail(ErrorCode::kSignatureInvalid, "a signature in " + file + " is over another text");
  }
  return draft;
}

Status WriteDraft(const Draft& draft, const std::string& file) {
  codec::Json list = codec::Json::MakeArray();
  for (const auto& compact : draft.jws) list.Push(compact);
  codec::Json json = codec::Json::MakeObject();
  json.Set("payload", draft.payload).Set("jws", std::move(list));
  return sys::WriteFileDurably(file, AsBytes(json.Serialize() + "\n"), 0644);
}

std::string HaltWords(const manifest::SecurityReplacement& replacement) {
  if (!replacement.decision) return "";
  const auto& decision = *replacement.decision;
  std::string text = "the halted signer goes on with a log of " + std::to_string(decision.log_size) +
                     " records; orders begin above " + std::to_string(decision.sequence_floor) + "\n";
  if (decision.is_log_adopted) text += "the log files that are ahead of its database are taken over\n";
  for (const auto& device : decision.quarantine) text += "device " + device.text() + " is not believed\n";
  return text;
}

std::string Words(const manifest::SecurityReplacement& replacement, size_t signatures) {
  std::string text = "from now on these people alone are the security team of " + replacement.organisation.text() +
                     ", " + std::to_string(replacement.quorum) + " of them decide:\n";
  for (const auto& person : replacement.people) text += "  " + person.id.text() + ", key " + person.key.key_id() + "\n";
  return text + "everybody else with the security role is revoked, with every other role\nfor package version " +
         std::to_string(replacement.package_version) + " and register number " + std::to_string(replacement.sequence) +
         ", until " + FormatTime(replacement.expires) + "\n" + HaltWords(replacement) + std::to_string(signatures) +
         " signatures so far";
}

Result<manifest::SecurityPerson> ReadPerson(const std::string& file) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(file, kFileBytesMax));
  TRY_ASSIGN_CONTEXT(const auto json, codec::ParseJson(text), file);
  codec::ObjectReader reader(json, "person");
  const PersonId id = reader.Parsed<PersonId>("id");
  const codec::Json key = reader.Object("key");
  TRY_CONTEXT(reader.Finish(), file);
  TRY_ASSIGN_CONTEXT(const auto jwk, jose::ParseJwk(key), file);
  return manifest::SecurityPerson{id, jwk.key};
}

Result<Draft> Begin(Context& context, const ReplaceSecurityOptions& options) {
  std::optional<codec::Json> halt;
  if (!options.recovery.empty()) {
    TRY_ASSIGN(const auto text, sys::ReadTextFile(options.recovery, kFileBytesMax));
    TRY_ASSIGN_CONTEXT(halt, codec::ParseJson(text), options.recovery);
    const codec::Json* is_halted = halt->Find("isHalted");
    if (is_halted == nullptr || !is_halted->is_bool() || !is_halted->as_bool())
      return BadArgument("--recovery", "is what `recover show --json` prints of a halted signer");
  }
  if (options.sequence < 1) return BadArgument("--sequence", "is registerSequence + 1, as `recover show --json` says");
  manifest::SecurityReplacement made;
  made.change_id = NewIdOf<ChangeId>(context, "change");
  TRY_ASSIGN(made.organisation, Argument("--organisation", Organisation::Parse(options.organisation)));
  TRY_ASSIGN(const auto package, ReadPackage(options.package));
  made.package_version = package.package.version;
  made.package_sha256 = package.signed_sha256;
  made.sequence = options.sequence;
  for (const auto& file : options.people) {
    TRY_ASSIGN(auto person, ReadPerson(file));
    made.people.push_back(std::move(person));
  }
  made.quorum = options.quorum;
  if (halt) {
    TRY_ASSIGN(made.decision, DecideContinue(context, *halt, options.is_log_adopted, options.quarantine));
  }
  made.issued = context.clock.Now();
  made.expires = made.issued + manifest::kReplacementLifetimeMax;
  return Draft{made.Build(), {}};
}

}  // namespace

Status RootSecurityPerson(Context& context, const SecurityPersonOptions& options) {
  TRY_ASSIGN(const auto id, Argument("--id", PersonId::Parse(options.id)));
  TRY_ASSIGN(const auto organisation, Argument("--organisation", Organisation::Parse(options.organisation)));
  TRY_ASSIGN(auto ca, sys::ReadTextFile(options.server_ca, 64 * 1024));
  TRY(WriteIdentity({options.folder, id, organisation, options.url, {manifest::PersonRole::kSecurity}, ca}));
  TRY_ASSIGN(const auto made, Identity::Load(options.folder));
  codec::Json json = codec::Json::MakeObject();
  json.Set("id", options.id).Set("key", jose::BuildJwk({.key = made->public_key(), .kid = {}, .alg = {}}));
  const std::string file = sys::JoinPath(options.folder, "person.pub.json");
  TRY(sys::WriteFileDurably(file, AsBytes(json.Serialize() + "\n"), 0644));
  Answer(context, json,
         "key " + made->public_key().key_id() + " of " + options.id + "; the holders of the roots get " + file +
             ", and compare this key id with you");
  return {};
}

Status RootReplaceSecurity(Context& context, const ReplaceSecurityOptions& options) {
  if (options.draft.empty() == options.package.empty())
    return Fail(ErrorCode::kInvalidArgument, "name --package and the new people, or --draft FILE");
  Draft draft;
  if (options.draft.empty()) {
    TRY_ASSIGN(draft, Begin(context, options));
  } else {
    TRY_ASSIGN(draft, ReadDraft(options.draft));
  }
  TRY_ASSIGN_CONTEXT(const auto replacement, manifest::SecurityReplacement::Parse(draft.payload), "the document");
  if (!options.folder.empty()) {
    TRY_ASSIGN(const auto roots, LoadRoots(options.folder, options.passphrase_file, options.kids));
    for (const auto& root : roots) {
      jose::JwsHeader header;
      header.alg = root.signer->public_key().default_algorithm();
      header.typ = manifest::kTypSecurityReplacement;
      header.kid = root.kid.text();
      TRY_ASSIGN(auto compact, jose::SignCompact(*root.signer, header, AsBytes(draft.payload)));
      draft.jws.push_back(std::move(compact));
    }
  }
  TRY(WriteDraft(draft, options.output));
  codec::Json json = codec::Json::MakeObject();
  json.Set("signatures", static_cast<int64_t>(draft.jws.size())).Set("output", options.output);
  Answer(context, json, Words(replacement, draft.jws.size()));
  return {};
}

Status RootPublishSecurity(Context& context, const PublishSecurityOptions& options) {
  TRY_ASSIGN(const auto draft, ReadDraft(options.file));
  codec::Json list = codec::Json::MakeArray();
  for (const auto& compact : draft.jws) list.Push(compact);
  const std::string path = options.data + "/run/replacement.json";
  TRY(sys::WriteFileDurably(path, AsBytes(codec::Json::MakeObject().Set("jws", std::move(list)).Serialize()), 0644));
  TRY_ASSIGN(const std::string real, sys::RealPath(path));
  const auto answer = AskProgram(options.data, "signer", {"--replace-security", real});
  TRY(sys::RemoveFile(path));
  TRY(answer);
  TRY_ASSIGN(const auto json, codec::ParseJson(*answer));
  const codec::Json* certificates = json.Find("certificates");
  const std::string not_certified = TextOr(json, "notCertified", "");
  std::string words = "the security team is replaced";
  if (!not_certified.empty()) words += "; nobody is certified: " + not_certified;
  for (const auto& folder : options.identities) {
    TRY_ASSIGN(const auto identity, Identity::Load(folder));
    const std::string pem = certificates == nullptr ? "" : TextOr(*certificates, identity->id().text(), "");
    if (pem.empty() && !not_certified.empty()) continue;
    if (pem.empty()) return Fail(ErrorCode::kNotFound, "there is no certificate for " + identity->id().text());
    TRY(WriteIdentityCertificate(folder, pem));
    words += "\n" + folder + " has its certificate";
  }
  Answer(context, json, words);
  return {};
}

}  // namespace fleetseal::cli

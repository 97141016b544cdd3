// The online end of a ceremony: publishing a package, and reading afterwards who made it.
#include "api/signing/key_messages.h"
#include "base/limits.h"
#include "cli/admin_client.h"
#include "cli/public_log.h"
#include "cli/root.h"
#include "cli/root_change.h"
#include "cli/table.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "sys/file.h"
#include "trust/log_proof.h"

namespace fleetseal::cli {
namespace {

constexpr const char* kPackagesPath = "/admin/v1/packages";
constexpr const char* kKeysPath = "/admin/v1/keys";

struct Sjwk {
  std::string file;
  std::string compact;
};

Result<std::vector<Sjwk>> ReadSjwks(const std::vector<std::string>& files) {
  std::vector<Sjwk> sjwks;
  for (const auto& file : files) {
    TRY_ASSIGN(std::string compact, sys::ReadTextFile(file, limits::kJwsBytesMax));
    while (compact.ends_with('\n')) compact.pop_back();
    sjwks.push_back({file, std::move(compact)});
  }
  return sjwks;
}

Status HandOver(AdminClient& client, const Sjwk& sjwk) {
  codec::Json body = codec::Json::MakeObject();
  body.Set("sjwk", sjwk.compact);
  TRY_CONTEXT(client.Post(kKeysPath, body), "handing over " + sjwk.file);
  return {};
}

// What the signer lacks under the package of now, such as a root's signature over a key that it lists. The package is
// published all the same: what cannot be asked for is said, and no failure.
std::string AddWarnings(AdminClient& client, codec::Json& json) {
  const auto asked = client.Get(kKeysPath);
  const auto keys = asked ? api::signing::KeysAnswer::Parse(*asked) : tl::unexpected(asked.error());
  std::vector<std::string> warnings;
  if (keys)
    warnings = keys->warnings;
  else
    warnings.push_back("the signer's keys could not be looked at (" + keys.error().ToString() +
                       "): see `fleetseal key list`");
  codec::Json list = codec::Json::MakeArray();
  std::string text;
  for (const auto& warning : warnings) {
    list.Push(warning);
    text += "\nwarning: " + warning;
  }
  json.Set("warnings", std::move(list));
  return text;
}

std::string Steps(const manifest::CeremonyTranscript& transcript) {
  std::string text = "drafted by " + transcript.draft.by + " at " + FormatTime(transcript.draft.time) +
                     " from version " + std::to_string(transcript.previous_version) + ":\n";
  for (const auto& change : transcript.draft.changes) text += "  " + change + "\n";
  for (const auto& step : transcript.signatures) {
    text += "signed by " + step.by + " with " + step.root.text() + " at " + FormatTime(step.time) + "\n  thumbprint " +
            codec::EncodeBase64Url(step.thumbprint.view()) + "\n";
  }
  return text;
}

Result<std::string> ServedPackage(AdminClient& client, int64_t version) {
  TRY_ASSIGN(const auto answer, client.Get(kPackagesPath, {{"from", std::to_string(version)}}));
  const auto& packages = ArrayOr(answer, "packages");
  if (packages.empty() || !packages.front().is_string())
    return Fail(ErrorCode::kProtocolError, "the server does not show package " + std::to_string(version));
  return packages.front().as_string();
}

// The record as it stands in the tree of a checkpoint that the log's key has signed: the server, which shows it, has no
// part in that. Whether this log is the one that others see is what `audit verify --known` tells.
Result<codec::Json> ProvenLeaf(AdminClient& client, const std::string& package_file, int64_t version, int64_t index) {
  std::string text;
  if (package_file.empty()) {
    TRY_ASSIGN(text, ServedPackage(client, version));
  } else {
    TRY_ASSIGN(text, sys::ReadTextFile(package_file, limits::kPackageBytesMax));
  }
  TRY_ASSIGN_CONTEXT(const auto package, manifest::RootPackageDocument::Parse(text), "reading the root-key package");
  if (package.package.logs.empty()) return Fail(ErrorCode::kLogProofMissing, "the package names no log");
  const std::string& origin = package.package.logs.front().origin;
  const translog::LogReader reader = ServedLog(client, {}, origin);
  TRY_ASSIGN(const auto note, client.GetText("/log/origins/" + origin + "/checkpoint"));
  const auto checkpoint = trust::VerifyLogCheckpoint(package.package, note);
  if (!checkpoint) return Fail(checkpoint.error());
  const auto position = static_cast<uint64_t>(index);
  if (index < 0 || position >= checkpoint->size)
    return Fail(ErrorCode::kLogProofMissing, "the log has no record " + std::to_string(index));
  TRY_ASSIGN_CONTEXT(const auto leaves, reader.ReadEntries(position, position + 1, *checkpoint),
                     "showing that record " + std::to_string(index) + " is in the log");
  return codec::ParseJson(AsText(leaves.front()));
}

// The package that devices get is the one of the record.
Status CheckServedPackage(AdminClient& client, int64_t version, const std::string& recorded) {
  TRY_ASSIGN(const auto text, ServedPackage(client, version));
  TRY_ASSIGN(const auto served, manifest::RootPackageDocument::Parse(text));
  if (served.package.version != version || codec::EncodeBase64Url(served.signed_sha256.view()) != recorded)
    return Fail(ErrorCode::kCorrupt, "the server's package " + std::to_string(version) + " is not the recorded one");
  return {};
}

}  // namespace

Status RootPublish(Context& context, const RootPublishOptions& options) {
  TRY_ASSIGN(const auto document, ReadPackage(options.package));
  std::string transcript_file = options.transcript;
  if (transcript_file.empty() && sys::FileExists(TranscriptPath(options.package)))
    transcript_file = TranscriptPath(options.package);
  codec::Json body = codec::Json::MakeObject();
  body.Set("package", document.text);
  if (transcript_file.empty()) {
    Note(context, "no transcript lies beside the package: the log will not tell who signed it");
  } else {
    TRY_ASSIGN(const auto text, sys::ReadTextFile(transcript_file, manifest::kTranscriptBytesMax));
    body.Set("transcript", text);
  }
  TRY_ASSIGN(const auto sjwks, ReadSjwks(options.sjwks));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  // Before the package, so that no moment is without a key that devices take; those by a root that only the new package
  // knows must wait for it.
  std::vector<const Sjwk*> later;
  for (const auto& sjwk : sjwks) {
    const Status taken = HandOver(*client, sjwk);
    if (taken) continue;
    const ErrorCode code = taken.error().code;
    if (code != ErrorCode::kUnknownRootKid && code != ErrorCode::kSigningKeyNotListed) return taken;
    later.push_back(&sjwk);
  }
  TRY_ASSIGN(const auto answer, client->Post(kPackagesPath, body));
  for (const Sjwk* sjwk : later) TRY(HandOver(*client, *sjwk));
  codec::Json json = answer;
  const std::string warnings = AddWarnings(*client, json);
  Answer(context, json,
         "package version " + std::to_string(IntegerOr(answer, "version", 0)) +
             " is published; each device takes it at its next check-in" + warnings);
  return {};
}

Status AuditPackage(Context& context, const AuditPackageOptions& options) {
  const int64_t version = options.version;
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto record, client->Get(std::string(kPackagesPath) + "/" + std::to_string(version)));
  const int64_t index = IntegerOr(record, "logIndex", -1);
  TRY_ASSIGN(const auto leaf, ProvenLeaf(*client, options.package, version, index));
  if (TextOr(leaf, "type", "") != "package" || IntegerOr(leaf, "version", 0) != version)
    return Fail(ErrorCode::kCorrupt, "record " + std::to_string(index) + " of the log is not that of this package");
  TRY(CheckServedPackage(*client, version, TextOr(leaf, "signedBytesSha256", "")));
  codec::Json json = codec::Json::MakeObject();
  json.Set("version", version).Set("logIndex", index).Set("leaf", leaf);
  std::string words = "package " + std::to_string(version) + " is record " + std::to_string(index) + " of the log, " +
                      FormatTime({IntegerOr(leaf, "time", 0)}) +
                      "\nSHA-256 of what the roots signed: " + TextOr(leaf, "signedBytesSha256", "") + "\n";
  const codec::Json* text = record.Find("transcript");
  if (text == nullptr) {
    if (leaf.Find("transcriptSha256") != nullptr)
      return Fail(ErrorCode::kCorrupt, "the log names a transcript of this package, and the signer does not have it");
    Answer(context, json, words + "no transcript came with it");
    return {};
  }
  if (!text->is_string()) return Fail(ErrorCode::kProtocolError, "the transcript is no text");
  TRY_ASSIGN(const auto transcript, manifest::CeremonyTranscript::Parse(text->as_string()));
  const std::string hash = codec::EncodeBase64Url(crypto::HashSha256(text->as_string()).view());
  if (TextOr(leaf, "transcriptSha256", "") != hash ||
      TextOr(leaf, "signedBytesSha256", "") != codec::EncodeBase64Url(transcript.signed_sha256.view()))
    return Fail(ErrorCode::kCorrupt, "the signer's transcript is not the one that the log names");
  TRY_ASSIGN(auto parsed, codec::ParseJson(text->as_string()));
  json.Set("transcript", std::move(parsed));
  Answer(context, json, words + Steps(transcript) + "The log names this transcript: SHA-256 " + hash);
  return {};
}

}  // namespace fleetseal::cli

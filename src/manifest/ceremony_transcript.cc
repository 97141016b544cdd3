#include "manifest/ceremony_transcript.h"

#include <algorithm>

#include "crypto/digest.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {

using codec::Json;
using codec::ObjectReader;

namespace {

constexpr int64_t kFormat = 1;
constexpr size_t kNameMax = 64;
constexpr size_t kChangesMax = 128;
constexpr size_t kSignaturesMax = 64;  // as many as a package may bear

CeremonyDraft ReadDraft(const Json& json, ObjectReader& outer) {
  ObjectReader reader(json, "draft");
  CeremonyDraft draft{Text(reader, "by", kNameMax), reader.Time("time"), reader.Strings("changes", kChangesMax)};
  for (const std::string& change : draft.changes) {
    if (change.empty() || change.size() > kTextBytesMax || !codec::IsPrintableAscii(change))
      reader.Stop(ErrorCode::kTextInvalid, "changes", "not 1 to 512 printable characters");
  }
  outer.Take(reader.Finish(), "draft");
  return draft;
}

Result<CeremonySignature> ReadSignature(const Json& json) {
  ObjectReader reader(json, "signature");
  CeremonySignature signature{Text(reader, "by", kNameMax), reader.Time("time"), reader.Parsed<KeyId>("root"),
                              reader.Base64UrlSha256("thumbprint"), reader.Base64UrlSha256("signatureSha256")};
  TRY(reader.Finish());
  return signature;
}

// Nobody is named who has not signed, and each root's step once, with that root's key.
Status CheckSteps(const std::vector<CeremonySignature>& steps, const RootPackageDocument& document) {
  for (auto step = steps.begin(); step != steps.end(); ++step) {
    const auto is_same_root = [&](const auto& other) { return other.root == step->root; };
    const auto signature = std::find_if(document.signatures.begin(), document.signatures.end(),
                                        [&](const PackageSignature& candidate) { return candidate.kid == step->root; });
    if (signature == document.signatures.end() || crypto::HashSha256(signature->signature) != step->signature_sha256 ||
        std::any_of(steps.begin(), step, is_same_root))
      return Fail(ErrorCode::kConflict,
                  "the transcript tells of a signature of " + step->root.text() + " that the package does not bear");
    // A root that leaves with this package is known to the one before it only.
    const RootKey* root = document.package.FindRoot(step->root.text());
    if (root != nullptr && root->key.thumbprint() != step->thumbprint)
      return Fail(ErrorCode::kConflict, "the transcript names another key for " + step->root.text());
  }
  return {};
}

}  // namespace

Result<CeremonyTranscript> CeremonyTranscript::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text, {.bytes_max = kTranscriptBytesMax}));
  ObjectReader reader(json, "transcript");
  const int64_t format = reader.Integer("format");
  if (reader.is_good() && format != kFormat) reader.Stop(ErrorCode::kFormatVersionUnknown, "format", "is not 1");
  CeremonyTranscript transcript;
  transcript.version = reader.Integer("version", 1);
  transcript.signed_sha256 = reader.Base64UrlSha256("signedSha256");
  ObjectReader previous(reader.Object("previous"), "previous");
  transcript.previous_version = previous.Integer("version", 1);
  transcript.previous_signed_sha256 = previous.Base64UrlSha256("signedSha256");
  reader.Take(previous.Finish(), "previous");
  transcript.draft = ReadDraft(reader.Object("draft"), reader);
  for (const Json& element : reader.Array("signatures", kSignaturesMax)) {
    auto signature = ReadSignature(element);
    if (reader.Take(signature, "signatures")) transcript.signatures.push_back(*std::move(signature));
  }
  TRY(reader.Finish());
  return transcript;
}

std::string CeremonyTranscript::Build() const {
  Json changes = Json::MakeArray();
  for (const std::string& change : draft.changes) changes.Push(change);
  Json drafted = Json::MakeObject();
  drafted.Set("by", draft.by).Set("time", TimeJson(draft.time)).Set("changes", std::move(changes));
  Json steps = Json::MakeArray();
  for (const CeremonySignature& signature : signatures) {
    Json step = Json::MakeObject();
    step.Set("by", signature.by)
        .Set("time", TimeJson(signature.time))
        .Set("root", signature.root.text())
        .Set("thumbprint", HashJson(signature.thumbprint))
        .Set("signatureSha256", HashJson(signature.signature_sha256));
    steps.Push(std::move(step));
  }
  Json previous = Json::MakeObject();
  previous.Set("version", previous_version).Set("signedSha256", HashJson(previous_signed_sha256));
  Json json = Json::MakeObject();
  json.Set("format", kFormat)
      .Set("version", version)
      .Set("signedSha256", HashJson(signed_sha256))
      .Set("previous", std::move(previous))
      .Set("draft", std::move(drafted))
      .Set("signatures", std::move(steps));
  return json.Serialize();
}

Status CeremonyTranscript::CheckFits(const RootPackageDocument& document) const {
  if (version != document.package.version || signed_sha256 != document.signed_sha256)
    return Fail(ErrorCode::kConflict, "the transcript is of another package");
  for (const PackageSignature& signature : document.signatures) {
    const Sha256 hash = crypto::HashSha256(signature.signature);
    const bool is_told = std::any_of(signatures.begin(), signatures.end(), [&](const CeremonySignature& step) {
      return step.root == signature.kid && step.signature_sha256 == hash;
    });
    if (!is_told)
      return Fail(ErrorCode::kConflict, "the transcript does not tell of the signature of " + signature.kid.text());
  }
  return CheckSteps(signatures, document);
}

}  // namespace fleetseal::manifest

#include "cli/root.h"

#include <algorithm>

#include "base/limits.h"
#include "cli/root_change.h"
#include "cli/root_known.h"
#include "cli/root_words.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jwk.h"
#include "jose/sjwk.h"
#include "sys/file.h"
#include "trust/package.h"

namespace fleetseal::cli {
namespace {

using manifest::RootPackage;
using manifest::RootPackageDocument;

constexpr size_t kFileBytesMax = 64 * 1024;

// What one holder works on.
struct Ceremony {
  RootPackageDocument previous;
  RootPackageDocument document;
  manifest::CeremonyTranscript transcript;
};

// What a holder compares with must be a package that roots signed: beside a draft lies what its drafter put there.
Result<RootPackageDocument> ReadSigned(const std::string& file) {
  TRY_ASSIGN(auto document, ReadPackage(file));
  if (trust::CountRootSignatures(document.package, document) < document.package.threshold)
    return Fail(ErrorCode::kPackageStepInvalid,
                file + " is not signed by enough of its own roots: compare with the package that devices have");
  return document;
}

std::string PreviousFile(const RootPackageOptions& options, const RootPackage& next) {
  if (!options.renew.empty()) return options.renew;
  if (!options.previous.empty()) return options.previous;
  return sys::JoinPath(sys::ParentDirectory(options.draft),
                       "root-package-" + std::to_string(next.version - 1) + ".json");
}

Result<RootPackageDocument> ReadPrevious(const RootPackageOptions& options, const RootPackage& next) {
  const std::string file = PreviousFile(options, next);
  if (options.previous.empty() && !sys::FileExists(file))
    return Fail(ErrorCode::kInvalidArgument,
                "name the package before this one: --previous FILE (" + file + " is not there)");
  return ReadSigned(file);
}

Result<Ceremony> ReadCeremony(const RootPackageOptions& options) {
  Ceremony ceremony;
  TRY_ASSIGN(ceremony.document, ReadPackage(options.draft));
  TRY_ASSIGN(ceremony.previous, ReadPrevious(options, ceremony.document.package));
  const std::string path = TranscriptPath(options.draft);
  TRY_ASSIGN_CONTEXT(const auto text, sys::ReadTextFile(path, manifest::kTranscriptBytesMax),
                     "reading the transcript, which travels with the draft");
  TRY_ASSIGN_CONTEXT(ceremony.transcript, manifest::CeremonyTranscript::Parse(text), "reading the transcript " + path);
  TRY(ceremony.transcript.CheckFits(ceremony.document));
  if (ceremony.transcript.previous_version != ceremony.previous.package.version ||
      ceremony.transcript.previous_signed_sha256 != ceremony.previous.signed_sha256)
    return Fail(ErrorCode::kConflict, "the draft was made from another package than the one given as the previous");
  return ceremony;
}

Result<Ceremony> BeginRenewal(const Context& context, const RootPackageOptions& options) {
  RootChangeOptions change;
  change.package = options.renew;
  change.by = options.by;
  change.is_renewed = true;
  change.days = options.days;
  TRY_ASSIGN(auto draft, MakeRootDraft(context, change));
  return Ceremony{std::move(draft.previous), std::move(draft.document), std::move(draft.transcript)};
}

bool IsEnabledRoot(const RootPackage& package, const RootKeyPair& root) {
  const manifest::RootKey* known = package.FindRoot(root.kid.text());
  return known != nullptr && known->key == root.signer->public_key() && !package.IsRootDisabled(root.kid.text());
}

// Every signature that is there is by a root of either package and good: else somebody changed the file.
Status CheckSignatures(const Ceremony& ceremony) {
  for (const auto& signature : ceremony.document.signatures) {
    const std::string& kid = signature.kid.text();
    const auto is_good = [&](const RootPackage& package) {
      const manifest::RootKey* root = package.FindRoot(kid);
      return root != nullptr && root->key.default_algorithm() == signature.alg &&
             root->key.Verify(signature.alg, AsBytes(ceremony.document.SignedBytes()), signature.signature).has_value();
    };
    if (!is_good(ceremony.previous.package) && !is_good(ceremony.document.package))
      return Fail(ErrorCode::kSignatureInvalid,
                  "the draft's signature of " + kid + " is not one of a root over this text");
  }
  return {};
}

Status SignBy(const Context& context, const RootKeyPair& root, const std::string& by, Ceremony& ceremony) {
  const std::string& kid = root.kid.text();
  const bool is_known =
      IsEnabledRoot(ceremony.previous.package, root) || IsEnabledRoot(ceremony.document.package, root);
  if (!is_known) {
    const bool is_disabled =
        ceremony.previous.package.IsRootDisabled(kid) || ceremony.document.package.IsRootDisabled(kid);
    return Fail(is_disabled ? ErrorCode::kDisallowedRootKid : ErrorCode::kUnknownRootKid,
                "the signature of " + kid + " would not count: it is an enabled root of neither package");
  }
  const auto alg = root.signer->public_key().default_algorithm();
  TRY_ASSIGN(auto bytes, root.signer->Sign(alg, AsBytes(ceremony.document.SignedBytes())));
  auto& signatures = ceremony.document.signatures;
  std::erase_if(signatures, [&](const auto& other) { return other.kid == root.kid; });
  std::erase_if(ceremony.transcript.signatures, [&](const auto& other) { return other.root == root.kid; });
  ceremony.transcript.signatures.push_back(
      {by, context.clock.Now(), root.kid, root.signer->public_key().thumbprint(), crypto::HashSha256(bytes)});
  signatures.push_back({root.kid, alg, std::move(bytes)});
  return {};
}

// Azure-style readers find a root's signature by its place in rootKeys (reference adu.md 3.4), so all or none.
std::vector<Bytes> Positional(const RootPackageDocument& document) {
  std::vector<Bytes> positional;
  for (const auto& root : document.package.root_keys) {
    const auto it = std::find_if(document.signatures.begin(), document.signatures.end(),
                                 [&](const auto& signature) { return signature.kid == root.kid; });
    if (it == document.signatures.end()) return {};
    positional.push_back(it->signature);
  }
  return positional;
}

// What a device that has the previous package does with this one.
Status CheckAsDevice(const RootPackageDocument& previous, std::string_view text) {
  const auto state = trust::Provision(previous.text, {0});
  if (!state) return Fail(state.error());
  const auto next = trust::AcceptPackageStep(*state, text);
  if (!next) return Fail(next.error());
  return {};
}

std::string NextStep(const RootPackageOptions& options, const Ceremony& ceremony, bool is_complete) {
  const auto& package = ceremony.document.package;
  std::string text;
  if (!package.root_keys.empty() && Positional(ceremony.document).empty())
    text += "Azure-style readers need the signature of every RSA root; devices of ours do not.\n";
  if (is_complete) {
    return text + "Complete: a device that trusts version " + std::to_string(ceremony.previous.package.version) +
           " takes this step. Publish it: fleetseal root publish " + options.output;
  }
  return text + "Not complete yet: pass " + options.output + " and " + TranscriptPath(options.output) + " on.";
}

codec::Json KidsJson(const RootPackageDocument& document) {
  codec::Json kids = codec::Json::MakeArray();
  for (const auto& signature : document.signatures) kids.Push(signature.kid.text());
  return kids;
}

}  // namespace

Result<std::string> SignSigningKey(const RootKeyPair& root, const std::string& kid, const crypto::PublicKey& key,
                                   bool is_standard_modulus) {
  jose::SjwkOptions options;
  options.root_kid = root.kid.text();
  options.root_alg = root.signer->public_key().default_algorithm();
  options.form = is_standard_modulus ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url;
  return jose::SignSjwk(*root.signer, options, {key, kid, key.default_algorithm()});
}

Status RootSignKey(Context& context, const RootSignKeyOptions& options) {
  TRY_ASSIGN(std::string text, sys::ReadTextFile(options.key_file, kFileBytesMax));
  while (text.ends_with('\n')) text.pop_back();
  std::optional<jose::UnverifiedJws> old;
  if (!text.starts_with("{")) {
    TRY_ASSIGN_CONTEXT(old, jose::UnverifiedJws::Parse(text), "reading the sjwk in " + options.key_file);
    text = std::string(AsText(old->unverified_payload()));
  }
  TRY_ASSIGN_CONTEXT(auto json, codec::ParseJson(text), "reading the signing key in " + options.key_file);
  if (const codec::Json* role = json.Find("role"); role != nullptr) {
    if (*role == codec::Json("artefact"))
      return Fail(ErrorCode::kKeyPurposeWrong, "a root never vouches for an artefact key");
    const codec::Json* inner = json.Find("jwk");
    if (inner == nullptr) return Fail(ErrorCode::kMemberMissing, options.key_file + ": jwk");
    codec::Json jwk = *inner;
    json = std::move(jwk);
  }
  const auto form =
      old && options.is_standard_modulus ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url;
  TRY_ASSIGN_CONTEXT(const auto jwk, jose::ParseJwk(json, form), "reading the signing key in " + options.key_file);
  if (!jwk.kid || !jwk.alg) return Fail(ErrorCode::kMemberMissing, options.key_file + " needs kid and alg");
  TRY_ASSIGN(const auto roots, LoadRoots(options.folder, options.passphrase_file, {options.kid}));
  TRY_ASSIGN(const auto sjwk, SignSigningKey(roots.front(), *jwk.kid, jwk.key, options.is_standard_modulus));
  TRY(sys::WriteFileDurably(options.output, AsBytes(sjwk), 0644));
  Say(context, "root " + options.kid + " signed the key " + *jwk.kid + " (thumbprint " + jwk.key.key_id() + ") into " +
                   options.output);
  return {};
}

Result<std::string> SignPackage(const std::string& protected_text, const RootPackage& package,
                                const std::vector<RootKeyPair>& roots, bool is_positional) {
  RootPackageDocument document;
  document.package = package;
  for (const auto& root : roots) {
    const auto alg = root.signer->public_key().default_algorithm();
    TRY_ASSIGN(auto signature, root.signer->Sign(alg, AsBytes(protected_text)));
    document.signatures.push_back({root.kid, alg, std::move(signature)});
  }
  std::vector<Bytes> positional;
  if (is_positional) {
    positional = Positional(document);
    if (positional.empty())
      return Fail(ErrorCode::kPackageStepInvalid, "an Azure-readable package needs the signature of every root");
  }
  return manifest::AssemblePackage(protected_text, positional, document.signatures);
}

Status RootPackageSign(Context& context, const RootPackageOptions& options) {
  if (options.draft.empty() == options.renew.empty())
    return Fail(ErrorCode::kInvalidArgument, "name --draft FILE, or --renew PRESENT-PACKAGE");
  TRY_ASSIGN(Ceremony ceremony, options.renew.empty() ? ReadCeremony(options) : BeginRenewal(context, options));
  const RootPackage before = ceremony.previous.package;
  const RootPackage after = ceremony.document.package;
  TRY(CheckKnownPackage(context, options.folder, ceremony.previous, PreviousFile(options, after)));
  TRY(CheckDraft(ceremony.previous, after));
  TRY(CheckSignatures(ceremony));
  TRY_ASSIGN(const auto roots, LoadRoots(options.folder, options.passphrase_file, options.kids));
  for (const auto& root : roots) TRY(SignBy(context, root, PersonName(options.by), ceremony));
  const std::string text = manifest::AssemblePackage(ceremony.document.SignedBytes(), Positional(ceremony.document),
                                                     ceremony.document.signatures);
  TRY_ASSIGN(ceremony.document, RootPackageDocument::Parse(text));
  TRY(ceremony.transcript.CheckFits(ceremony.document));
  const auto old_roots = CountSignatures(before, ceremony.document);
  const auto new_roots = CountSignatures(after, ceremony.document);
  const bool is_complete = old_roots.is_enough() && new_roots.is_enough();
  if (is_complete)
    TRY_CONTEXT(CheckAsDevice(ceremony.previous, text), "checking the finished package as a device does");
  TRY_CONTEXT(RememberPackage(options.folder, ceremony.previous.text), "remembering what these roots built on");
  TRY(sys::WriteFileDurably(options.output, AsBytes(text), 0644));
  TRY(sys::WriteFileDurably(TranscriptPath(options.output), AsBytes(ceremony.transcript.Build()), 0644));
  codec::Json json = codec::Json::MakeObject();
  json.Set("version", after.version)
      .Set("signedSha256", codec::EncodeBase64Url(ceremony.document.signed_sha256.view()))
      .Set("signedBy", KidsJson(ceremony.document))
      .Set("signatures", codec::Json::Array{SignaturesJson(old_roots), SignaturesJson(new_roots)})
      .Set("isComplete", is_complete)
      .Set("output", options.output);
  Answer(context, json,
         DescribeDraft(before, after, context.clock.Now()) + "\nSIGNATURES\n  " + DescribeSignatures(old_roots) +
             "\n  " + DescribeSignatures(new_roots) + "\n" + NextStep(options, ceremony, is_complete));
  return {};
}

Status RootShow(Context& context, const RootShowOptions& options) {
  TRY_ASSIGN(const auto document, ReadPackage(options.package));
  const UnixSeconds now = context.clock.Now();
  codec::Json json = codec::Json::MakeObject();
  json.Set("version", document.package.version)
      .Set("signedSha256", codec::EncodeBase64Url(document.signed_sha256.view()))
      .Set("signedBy", KidsJson(document))
      .Set("expires", document.package.expires.value);
  std::string words;
  std::optional<RootPackageDocument> previous;
  if (options.previous.empty()) {
    words = DescribePackage(document.package, now);
    for (const auto& line : DescribeDangers(nullptr, document.package, now)) words += "! " + line + "\n";
  } else {
    TRY_ASSIGN(previous, ReadSigned(options.previous));
    words = DescribeDraft(previous->package, document.package, now);
    TRY(CheckDraft(*previous, document.package));
    const auto old_roots = CountSignatures(previous->package, document);
    const Status step = CheckAsDevice(*previous, document.text);
    json.Set("signatures", codec::Json::Array{SignaturesJson(old_roots),
                                              SignaturesJson(CountSignatures(document.package, document))});
    json.Set("isComplete", step.has_value());
    words += "\nSIGNATURES\n  " + DescribeSignatures(old_roots) + "\n";
  }
  const auto own = CountSignatures(document.package, document);
  words += (previous ? "  " : "signatures by ") + DescribeSignatures(own) + "\n";
  words += "SHA-256 of what the roots sign: " + codec::EncodeBase64Url(document.signed_sha256.view());
  Answer(context, json, words);
  return {};
}

}  // namespace fleetseal::cli

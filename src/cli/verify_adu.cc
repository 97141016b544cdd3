#include "cli/verify_adu.h"

#include <algorithm>
#include <set>

#include "adu/adu.h"
#include "base/limits.h"
#include "cli/documents.h"
#include "cli/table.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/digest.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

class Judge {
 public:
  Judge(std::vector<adu::RootKey> roots, Report& report) : roots_(std::move(roots)), report_(report) {}

  void JudgePackage(const FoundDocument& document);
  // The signature of `signature_file`, and the manifest if it is there.
  void JudgeSignature(const Report::Files& files, const std::string& compact, const std::string* manifest);
  const std::optional<adu::Package>& package() const { return package_; }

 private:
  std::vector<adu::RootKey> roots_;
  std::optional<adu::Package> package_;  // the highest version
  Report& report_;
};

std::string Kids(const std::vector<adu::RootKey>& roots) {
  std::string text;
  for (const auto& root : roots) text += (text.empty() ? "" : " ") + root.kid;
  return text;
}

void Judge::JudgePackage(const FoundDocument& document) {
  const std::string name(KindName(DocumentKind::kPackage));
  const auto package = adu::VerifyPackage(roots_, document.text);
  if (!package) return report_.Bad(name, {document.path}, package.error());
  const bool is_other =
      package_ && package_->version == package->version && !(package_->signed_sha256 == package->signed_sha256);
  if (is_other) {
    return report_.Bad(name, {document.path},
                       {ErrorCode::kPackageStepInvalid, "two packages of version " + std::to_string(package->version)});
  }
  std::vector<Link> chain = Chain({"signed by " + Kids(roots_) + ", each at its own place"});
  if (package->signatures_left > 0)
    chain.push_back({std::to_string(package->signatures_left) + " signatures by other roots: not judged", {}});
  chain.push_back({"roots " + Kids(package->roots), {}});
  for (const auto& kid : package->disabled_roots) chain.push_back({"disabled root " + kid, {}});
  for (const auto& hash : package->disabled_signing_keys)
    chain.push_back({"disabled signing key " + codec::EncodeBase64Url(hash.view()), {}});
  report_.Good(name, {document.path},
               "version " + std::to_string(package->version) + ", published " + FormatTime(package->published),
               std::move(chain));
  if (!package_ || package->version > package_->version) package_ = *package;
}

void Judge::JudgeSignature(const Report::Files& files, const std::string& compact, const std::string* manifest) {
  const std::string name = manifest == nullptr ? "manifest signature" : "manifest";
  // Rule 3.6: without a package no root is found.
  if (!package_)
    return report_.Bad(name, files, {ErrorCode::kTrustStateMissing, "no good root-key package among the documents"});
  const auto verified = adu::VerifySignature(roots_, *package_, compact);
  if (!verified) return report_.Bad(name, files, verified.error());
  const std::string hash = codec::EncodeBase64(verified->manifest_sha256.view());
  const auto chain = Chain({"root " + verified->root_kid,
                            "key " + verified->key_kid + ", hash " + codec::EncodeBase64Url(verified->key_hash.view()),
                            "manifest with SHA-256 " + hash});
  if (manifest == nullptr)
    return report_.Good(name, files, "the signature is good; the manifest that it names is for you to compare", chain);
  if (const auto exact = adu::CheckManifest(*verified, *manifest); !exact)
    return report_.Bad(name, files, exact.error(), chain);
  report_.Good(name, files, "the exact bytes that were signed; not judged by these rules: date, rollback, log", chain);
}

void JudgeDeployment(Judge& judge, const FoundDocument& document, Report& report) {
  const auto json = codec::ParseJson(document.text, {.bytes_max = limits::kPackageBytesMax});
  const codec::Json* manifest = json ? json->Find("updateManifest") : nullptr;
  const codec::Json* signature = json ? json->Find("updateManifestSignature") : nullptr;
  if (manifest == nullptr || signature == nullptr || !manifest->is_string() || !signature->is_string()) {
    return report.Bad("deployment message", {document.path},
                      {ErrorCode::kMemberTypeWrong, "updateManifest and updateManifestSignature are texts"});
  }
  const std::string text = manifest->as_string();
  judge.JudgeSignature({document.path}, signature->as_string(), &text);
}

// The hash that a signature claims, before anything is verified: to find its manifest among the files.
std::string ClaimedHash(const FoundDocument& document) {
  const auto json = codec::ParseJson(AsText(document.jws->unverified_payload()));
  const codec::Json* hash = json ? json->Find("sha256") : nullptr;
  return hash != nullptr && hash->is_string() ? hash->as_string() : "";
}

}  // namespace

Status JudgeByAzureRules(const std::string& roots_file, const std::vector<FoundDocument>& documents, Report& report) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(roots_file, limits::kPackageBytesMax));
  TRY_ASSIGN_CONTEXT(auto roots, adu::ParseRoots(text), roots_file);
  Judge judge(std::move(roots), report);
  std::vector<const FoundDocument*> signatures;
  std::vector<const FoundDocument*> manifests;
  for (const auto& document : documents) {
    if (document.kind == DocumentKind::kPackage && !document.refusal) judge.JudgePackage(document);
    if (document.kind == DocumentKind::kManifestSignature && !document.refusal) signatures.push_back(&document);
    if (document.kind == DocumentKind::kManifest && !document.refusal) manifests.push_back(&document);
  }
  std::set<const FoundDocument*> used;
  for (const FoundDocument* signature : signatures) {
    const std::string hash = ClaimedHash(*signature);
    auto manifest = std::find_if(manifests.begin(), manifests.end(), [&](const FoundDocument* each) {
      return codec::EncodeBase64(crypto::HashSha256(each->text).view()) == hash;
    });
    // A pair that does not fit is told as such.
    if (manifest == manifests.end() && manifests.size() == 1 && signatures.size() == 1) manifest = manifests.begin();
    const bool has_manifest = manifest != manifests.end();
    Report::Files files = {signature->path};
    if (has_manifest) {
      files.push_back((*manifest)->path);
      used.insert(*manifest);
    }
    judge.JudgeSignature(files, signature->text, has_manifest ? &(*manifest)->text : nullptr);
  }
  for (const auto& document : documents) {
    const Report::Files files = {document.path};
    const std::string name(KindName(document.kind));
    if (document.refusal) {
      report.Bad(name, files, *document.refusal);
    } else if (document.kind == DocumentKind::kDeployment) {
      JudgeDeployment(judge, document, report);
    } else if (document.kind == DocumentKind::kManifest && used.count(&document) == 0) {
      report.NotJudged(name, files, "no signature among the documents names it");
    } else if (document.kind != DocumentKind::kPackage && document.kind != DocumentKind::kManifestSignature &&
               document.kind != DocumentKind::kManifest) {
      report.NotJudged(name, files, "the Azure rules know no such document: judge it without --profile adu");
    }
  }
  return {};
}

}  // namespace fleetseal::cli

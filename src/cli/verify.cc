#include "cli/verify.h"

#include <algorithm>
#include <map>

#include "base/limits.h"
#include "cli/documents.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jws.h"
#include "manifest/manifest_signature.h"
#include "manifest/order.h"
#include "manifest/typ.h"
#include "sys/file.h"
#include "trust/trust.h"

namespace fleetseal::cli {
namespace {

struct Found {
  std::map<int64_t, std::string> packages;  // text by version
  std::map<std::string, std::string> jws;   // compact by typ
  std::string manifest;
  std::string log_proof;
  std::vector<std::string> others;  // paths of what nobody here can judge
};

bool IsJudged(std::string_view typ) {
  return typ == manifest::kTypStatus || typ == manifest::kTypOrder || typ == manifest::kTypManifest;
}

// One document of a kind: a second one would go unjudged, and "trusted" would be said of it too.
Status Keep(std::string& place, const std::string& text, const std::string& path) {
  if (!place.empty() && place != text)
    return Fail(ErrorCode::kInvalidArgument, path + " is a second document of its kind: verify them one at a time");
  place = text;
  return {};
}

Status Classify(const std::string& path, Found& found) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(path, 4 * 1024 * 1024));
  if (text.starts_with("c2sp.org/tlog-proof@")) return Keep(found.log_proof, text, path);
  if (text.starts_with("ey")) {
    TRY_ASSIGN_CONTEXT(const auto jws, jose::UnverifiedJws::Parse(text), path);
    if (IsJudged(jws.header().typ)) return Keep(found.jws[jws.header().typ], text, path);
    found.jws[jws.header().typ] = text;
    return {};
  }
  if (!text.starts_with("{")) {
    found.others.push_back(path);
    return {};
  }
  TRY_ASSIGN_CONTEXT(const auto json, codec::ParseJson(text, {.bytes_max = limits::kPackageBytesMax}), path);
  if (json.Find("protected") != nullptr) {
    TRY_ASSIGN_CONTEXT(const auto package, manifest::RootPackageDocument::Parse(text), path);
    return Keep(found.packages[package.package.version], text, path);
  }
  if (json.Find("manifestVersion") != nullptr) return Keep(found.manifest, text, path);
  found.others.push_back(path);
  return {};
}

Result<std::vector<std::string>> Expand(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const auto& path : paths) {
    if (!sys::DirectoryExists(path)) {
      files.push_back(path);
      continue;
    }
    TRY_ASSIGN(auto names, sys::ListDirectory(path));
    std::sort(names.begin(), names.end());
    for (const auto& name : names) files.push_back(sys::JoinPath(path, name));
  }
  if (files.empty()) return Fail(ErrorCode::kInvalidArgument, "name documents or folders of documents");
  return files;
}

// Collects one line a check; the first refusal is kept.
class Findings {
 public:
  void Good(const std::string& what, const std::string& detail) {
    text_ += "  ok       " + what + (detail.empty() ? "" : ": " + detail) + "\n";
    Add(what, "ok", "", detail);
  }
  void Bad(const std::string& what, const Refusal& refusal) {
    text_ += "  REFUSED  " + what + ": " + refusal.ToString() + "\n";
    Add(what, "refused", ErrorCodeName(refusal.code), refusal.detail);
    if (!first_) first_ = refusal;
  }
  void Skipped(const std::string& what, const std::string& why) {
    text_ += "  skipped  " + what + ": " + why + "\n";
    Add(what, "skipped", "", why);
  }
  const std::string& text() const { return text_; }
  const codec::Json& json() const { return json_; }
  const std::optional<Refusal>& first_refusal() const { return first_; }

 private:
  void Add(const std::string& what, std::string_view outcome, std::string_view code, const std::string& detail) {
    codec::Json row = codec::Json::MakeObject();
    row.Set("document", what).Set("outcome", outcome);
    if (!code.empty()) row.Set("code", code);
    row.Set("detail", detail);
    json_.Push(std::move(row));
  }
  std::string text_;
  codec::Json json_ = codec::Json::MakeArray();
  std::optional<Refusal> first_;
};

std::string SignerText(const trust::SignerInfo& signer) {
  return "key " + signer.key_kid.text() + " (" + std::string(manifest::KeyRoleName(signer.role)) + ", listed to " +
         FormatTime(signer.not_after) + ") signed by root " + signer.root_kid.text();
}

// First trust, then every step in order (trust model section 3).
std::optional<trust::TrustState> WalkPackages(const Found& found, const std::string& trusted_text, UnixSeconds now,
                                              Findings& findings) {
  const std::string& first =
      trusted_text.empty() && !found.packages.empty() ? found.packages.begin()->second : trusted_text;
  if (first.empty()) {
    findings.Bad("root-key package", {ErrorCode::kTrustStateMissing, "no root-key package: name one with --package"});
    return std::nullopt;
  }
  auto state = trust::Provision(first, UnixSeconds{0});
  if (!state) {
    findings.Bad("root-key package", state.error());
    return std::nullopt;
  }
  findings.Good("root-key package " + std::to_string(state->root_package().version),
                "where trust starts, on your word");
  for (const auto& [version, text] : found.packages) {
    if (version <= state->root_package().version) continue;
    auto next = trust::AcceptPackageStep(*state, text);
    if (!next) {
      findings.Bad("root-key package " + std::to_string(version), next.error());
      return std::nullopt;
    }
    state = std::move(next);
    findings.Good("root-key package " + std::to_string(version), "follows from " + std::to_string(version - 1));
  }
  const auto fresh = trust::JudgePackageFresh(*state, now);
  if (!fresh) findings.Bad("root-key package", fresh.error());
  return *std::move(state);
}

void JudgeManifest(const Found& found, const trust::TrustState& state, UnixSeconds now, Findings& findings) {
  const auto signature = found.jws.find(std::string(manifest::kTypManifest));
  if (signature == found.jws.end()) {
    findings.Bad("manifest", {ErrorCode::kSignatureInvalid, "there is a manifest but no manifest signature"});
    return;
  }
  if (found.manifest.empty()) {
    findings.Bad("manifest", {ErrorCode::kManifestHashMismatch, "there is a manifest signature but no manifest"});
    return;
  }
  // The organisation is what the signature says; whether it is yours is for the reader to compare.
  const auto jws = jose::UnverifiedJws::Parse(signature->second);
  const auto payload =
      jws ? manifest::ManifestSignature::Parse(AsText(jws->unverified_payload())) : tl::unexpected(jws.error());
  constexpr std::string_view kPrefix = "urn:fleetseal:";
  const auto organisation =
      payload && payload->audience.starts_with(kPrefix)
          ? Organisation::Parse(payload->audience.substr(kPrefix.size()))
          : Fail(ErrorCode::kAudienceMismatch, "the audience is not urn:fleetseal:<organisation>");
  if (!payload || !organisation) {
    findings.Bad("manifest", payload ? Refusal(organisation.error()) : Refusal(payload.error()));
    return;
  }
  const std::vector<Sha256> withdrawn = state.status ? state.status->withdrawn : std::vector<Sha256>{};
  const auto verified = trust::VerifyManifest({state.root_package(), state.profile, *organisation, withdrawn, now},
                                              found.manifest, signature->second);
  if (!verified) {
    findings.Bad("manifest", verified.error());
    return;
  }
  findings.Good("manifest", verified->manifest().product.text() + " " + verified->manifest().version.text() +
                                ", release counter " + std::to_string(verified->signature().release_counter) + " for " +
                                payload->audience + "; " + SignerText(verified->signer()));
  if (found.log_proof.empty()) {
    findings.Bad("log", {ErrorCode::kLogProofMissing, "no log proof among the documents"});
    return;
  }
  const auto logged = trust::VerifyLogged(state.root_package(), *verified, found.log_proof);
  if (!logged)
    findings.Bad("log", logged.error());
  else
    findings.Good("log", "the signature is on " + logged->origin + ", tree size " + std::to_string(logged->size));
}

// What a device would say of the order, as far as it can be said without the device's state.
void JudgeOrder(const Found& found, const trust::TrustState& state, UnixSeconds now, Findings& findings) {
  const auto compact = found.jws.find(std::string(manifest::kTypOrder));
  if (compact == found.jws.end()) return;
  const auto verified = trust::VerifyOrder(state, compact->second, now);
  if (!verified) return findings.Bad("order", verified.error());
  const manifest::Order& order = verified->order();
  if (now >= order.expires) return findings.Bad("order", {ErrorCode::kOrderExpired, "the order has expired"});
  if (order.epoch != state.root_package().director_epoch)
    return findings.Bad("order", {ErrorCode::kOrderReplayed, "the order is of another epoch than the package"});
  const bool is_for_other =
      !verified->is_cancel() && !found.manifest.empty() && order.manifest_sha256 != crypto::HashSha256(found.manifest);
  if (is_for_other)
    return findings.Bad("order", {ErrorCode::kManifestHashMismatch, "the order names another manifest"});
  findings.Good("order", order.order_id.text() + " for device " + order.device_id.text() + ", sequence " +
                             std::to_string(order.sequence) + "; " + SignerText(verified->signer()));
}

}  // namespace

Status Verify(Context& context, const VerifyOptions& options) {
  TRY_ASSIGN(const auto files, Expand(options.paths));
  Found found;
  for (const auto& file : files) TRY(Classify(file, found));
  std::string trusted;
  if (!options.trusted_package.empty()) {
    TRY_ASSIGN(trusted, sys::ReadTextFile(options.trusted_package, limits::kPackageBytesMax));
  }
  const UnixSeconds now = options.as_of ? UnixSeconds{*options.as_of} : context.clock.Now();
  Findings findings;
  auto state = WalkPackages(found, trusted, now, findings);
  if (state) {
    const auto status = found.jws.find(std::string(manifest::kTypStatus));
    if (status != found.jws.end()) {
      auto next = trust::AcceptStatus(*state, status->second, now);
      if (next) {
        state = std::move(*next);
        findings.Good("status", "version " + std::to_string(state->status->version) + ", good until " +
                                    FormatTime(state->status->expires));
      } else {
        findings.Bad("status", next.error());
      }
    }
    if (!found.manifest.empty() || found.jws.count(std::string(manifest::kTypManifest)) > 0)
      JudgeManifest(found, *state, now, findings);
    JudgeOrder(found, *state, now, findings);
    bool is_any_judged = false;
    for (const auto& [typ, compact] : found.jws) {
      is_any_judged = is_any_judged || IsJudged(typ);
      if (!IsJudged(typ)) findings.Skipped(typ, "its key is in the signer's register, not in a package");
    }
    // Nobody may read "trusted" of a document that was only skipped.
    if (!found.jws.empty() && !is_any_judged)
      findings.Bad("documents", {ErrorCode::kUnsupported, "none of the signed documents can be judged offline"});
  }
  for (const auto& path : found.others) findings.Skipped(path, "no document that can be judged by itself");
  codec::Json json = codec::Json::MakeObject();
  json.Set("trusted", !findings.first_refusal().has_value()).Set("asOf", now.value).Set("findings", findings.json());
  Answer(context, json, findings.text() + (findings.first_refusal() ? "not trusted" : "trusted"));
  if (findings.first_refusal()) return Fail(*findings.first_refusal());
  return {};
}

}  // namespace fleetseal::cli

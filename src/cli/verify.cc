#include "cli/verify.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/limits.h"
#include "cli/documents.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verify_adu.h"
#include "cli/verify_chain.h"
#include "cli/verify_device.h"
#include "cli/verify_documents.h"
#include "cli/verify_people.h"
#include "cli/verify_report.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "manifest/log_leaf.h"
#include "manifest/manifest_signature.h"
#include "manifest/order.h"
#include "manifest/receipt_proof.h"
#include "manifest/typ.h"
#include "merkle/proof.h"
#include "sealing/sealed_file.h"
#include "sys/file.h"
#include "trust/security_replacement.h"
#include "trust/trust.h"

namespace fleetseal::cli {
namespace {

using Documents = std::vector<const FoundDocument*>;

bool NeedsPackage(const FoundDocument& document) {
  return !document.refusal && document.kind != DocumentKind::kUnknown && document.kind != DocumentKind::kDeployment &&
         !IsOfPersonOrDevice(document.kind);
}

// Where trust starts. Whoever made all the documents may have made this package too, unless the reader named it.
struct Anchor {
  int64_t version = 0;
  Sha256 sha256;  // of what is signed
  bool is_named = false;
};

// Judges what a package vouches for. Documents of a kind are judged one by one; only trust/ says what is good.
class NativeJudge {
 public:
  NativeJudge(const std::vector<FoundDocument>& documents, UnixSeconds now, Report& report)
      : documents_(documents), now_(now), report_(report) {
    around_.has_signatures = !Of(DocumentKind::kManifestSignature).empty();
    around_.has_permits = !Of(DocumentKind::kPermit).empty();
    around_.has_orders = !Of(DocumentKind::kOrder).empty();
  }

  // Gives the first package, where trust starts, once it is known.
  std::optional<Anchor> Judge(const std::string& trusted_text, trust::Profile profile);
  // What was good, for those whose keys no package holds.
  const Surroundings& around() const { return around_; }

 private:
  Documents Of(DocumentKind kind) const;
  bool WalkPackages(const std::string& trusted_text, trust::Profile profile);
  void JudgeStatuses();
  void JudgeManifests();
  void JudgeManifest(const FoundDocument& signature, const FoundDocument* manifest);
  void JudgeLogged(const trust::VerifiedManifest& verified, bool is_only);
  void JudgeLog();
  void JudgeReceiptProof(const FoundDocument& document);
  void JudgeOrder(const FoundDocument& document);
  void JudgePermit(const FoundDocument& document);
  void JudgeSigningKey(const FoundDocument& document);
  void JudgeReplacement(const FoundDocument& document);
  void JudgeTrustState(const FoundDocument& document);
  void JudgeSealedFile(const FoundDocument& document);
  template <typename T>
  void Bad(const FoundDocument& document, const T& refusal) {
    report_.Bad(std::string(KindName(document.kind)), {document.path}, refusal);
  }

  const std::vector<FoundDocument>& documents_;
  UnixSeconds now_;
  Report& report_;
  std::optional<trust::TrustState> state_;
  std::optional<Anchor> anchor_;
  std::set<const FoundDocument*> proofs_used_;
  std::vector<trust::VerifiedManifest> manifests_;  // good ones
  Surroundings around_;
};

Documents NativeJudge::Of(DocumentKind kind) const {
  Documents found;
  for (const auto& document : documents_) {
    if (document.kind == kind && !document.refusal) found.push_back(&document);
  }
  return found;
}

// First trust, then every step in order (trust model section 3).
bool NativeJudge::WalkPackages(const std::string& trusted_text, trust::Profile profile) {
  const std::string name(KindName(DocumentKind::kPackage));
  std::multimap<int64_t, const FoundDocument*> packages;
  for (const FoundDocument* document : Of(DocumentKind::kPackage)) {
    const auto parsed = manifest::RootPackageDocument::Parse(document->text);
    if (!parsed) return Bad(*document, Refusal(parsed.error())), false;
    packages.emplace(parsed->package.version, document);
  }
  if (trusted_text.empty() && packages.empty()) {
    report_.Bad(name, {}, {ErrorCode::kTrustStateMissing, "no root-key package: name one with --trusted-package"});
    return false;
  }
  const FoundDocument* first = trusted_text.empty() ? packages.begin()->second : nullptr;
  const Report::Files first_files = first == nullptr ? Report::Files{} : Report::Files{first->path};
  auto state = trust::Provision(first == nullptr ? trusted_text : first->text, UnixSeconds{0}, profile);
  if (!state) return report_.Bad(name, first_files, state.error()), false;
  const auto named = [&](int64_t version) { return name + " " + std::to_string(version); };
  anchor_ = {state->root_package().version, state->package->signed_sha256, first == nullptr};
  report_.Good(named(state->root_package().version), first_files,
               first == nullptr ? "where trust starts: you named it"
                                : "where trust starts, though you did not name it: compare its SHA-256 with one that "
                                  "you know, and name it with --trusted-package",
               PackageChain(*state->package));
  for (const auto& [version, document] : packages) {
    if (document == first) continue;
    const auto known = state->package_hashes.find(version);
    const auto parsed = manifest::RootPackageDocument::Parse(document->text);
    if (known != state->package_hashes.end() && parsed && parsed->signed_sha256 == known->second) {
      report_.Good(named(version), {document->path}, "the package of this version that was judged above");
      continue;
    }
    if (version < state->root_package().version && known == state->package_hashes.end()) {
      report_.NotJudged(named(version), {document->path}, "trust starts at a later package");
      continue;
    }
    auto next = trust::AcceptPackageStep(*state, document->text);
    if (!next) return report_.Bad(named(version), {document->path}, next.error()), false;
    state = std::move(next);
    report_.Good(named(version), {document->path}, "follows from " + std::to_string(version - 1),
                 PackageChain(*state->package));
  }
  const auto fresh = trust::JudgePackageFresh(*state, now_);
  if (!fresh) report_.Bad(named(state->root_package().version), {}, fresh.error());
  state_ = *std::move(state);
  return true;
}

void NativeJudge::JudgeStatuses() {
  // Ascending, so that an older one beside a newer one is no replay.
  std::vector<std::pair<std::pair<int64_t, int64_t>, const FoundDocument*>> statuses;
  for (const FoundDocument* document : Of(DocumentKind::kStatus)) {
    const auto claimed = manifest::StatusDocument::Parse(AsText(document->jws->unverified_payload()));
    const std::pair<int64_t, int64_t> number =
        claimed ? std::pair{claimed->epoch, claimed->version} : std::pair<int64_t, int64_t>{0, 0};
    statuses.emplace_back(number, document);
  }
  std::stable_sort(statuses.begin(), statuses.end(),
                   [](const auto& left, const auto& right) { return left.first < right.first; });
  for (const auto& [number, document] : statuses) {
    auto next = trust::AcceptStatus(*state_, document->text, now_);
    if (!next) {
      Bad(*document, next.error());
      continue;
    }
    state_ = *std::move(next);
    const auto& status = *state_->status;
    const auto jws = trust::VerifyListedJws(state_->root_package(), state_->profile, document->text,
                                            {manifest::kTypStatus, {manifest::KeyRole::kDirector}, now_});
    report_.Good("status", {document->path},
                 "version " + std::to_string(status.version) + ", epoch " + std::to_string(status.epoch) +
                     ", good until " + FormatTime(status.expires),
                 jws ? SignerChain(state_->root_package(), jws->signer(),
                                   {"status, " + DatesText(status.issued, status.expires) + ", " +
                                    std::to_string(status.withdrawn.size()) + " manifests withdrawn"})
                     : std::vector<Link>{});
  }
}

void NativeJudge::JudgeManifests() {
  const Documents signatures = Of(DocumentKind::kManifestSignature);
  Documents manifests = Of(DocumentKind::kManifest);
  const bool is_pair = signatures.size() == 1 && manifests.size() == 1;
  std::set<const FoundDocument*> used;
  for (const FoundDocument* signature : signatures) {
    const auto claimed = manifest::ManifestSignature::Parse(AsText(signature->jws->unverified_payload()));
    const FoundDocument* manifest = is_pair ? manifests.front() : nullptr;
    for (const FoundDocument* each : manifests) {
      if (claimed && crypto::HashSha256(each->text) == claimed->manifest_sha256) manifest = each;
    }
    if (manifest != nullptr) used.insert(manifest);
    JudgeManifest(*signature, manifest);
  }
  for (const FoundDocument* manifest : manifests) {
    if (used.count(manifest) != 0) continue;
    report_.Bad("manifest", {manifest->path},
                {ErrorCode::kSignatureInvalid, "no manifest signature among the documents names it"});
  }
}

void NativeJudge::JudgeManifest(const FoundDocument& signature, const FoundDocument* manifest) {
  const auto bad = [&](const Refusal& refusal) {
    Report::Files files = {signature.path};
    if (manifest != nullptr) files.push_back(manifest->path);
    report_.Bad("manifest", files, refusal);
  };
  if (manifest == nullptr)
    return bad({ErrorCode::kManifestHashMismatch, "the manifest that it signs is not among the documents"});
  // The organisation is what the signature says; whether it is yours is for the reader to compare.
  const auto payload = manifest::ManifestSignature::Parse(AsText(signature.jws->unverified_payload()));
  constexpr std::string_view kPrefix = "urn:fleetseal:";
  const auto organisation =
      payload && payload->audience.starts_with(kPrefix)
          ? Organisation::Parse(payload->audience.substr(kPrefix.size()))
          : Fail(ErrorCode::kAudienceMismatch, "the audience is not urn:fleetseal:<organisation>");
  if (!payload) return bad(Refusal(payload.error()));
  if (!organisation) return bad(Refusal(organisation.error()));
  const std::vector<Sha256> withdrawn = state_->status ? state_->status->withdrawn : std::vector<Sha256>{};
  const auto verified = trust::VerifyManifest({state_->root_package(), state_->profile, *organisation, withdrawn, now_},
                                              manifest->text, signature.text);
  if (!verified) return bad(verified.error());
  report_.Good("manifest", {signature.path, manifest->path},
               verified->manifest().product.text() + " " + verified->manifest().version.text() + ", release counter " +
                   std::to_string(verified->signature().release_counter) + " for " + payload->audience,
               SignerChain(state_->root_package(), verified->signer(),
                           {"manifest signature, issued " + FormatTime(payload->issued),
                            "manifest, SHA-256 " + ToBase64Url(verified->sha256())}));
  manifests_.push_back(*verified);
  around_.releases.push_back({verified->sha256(), crypto::HashSha256(signature.jws->unverified_payload())});
  JudgeLogged(*verified, Of(DocumentKind::kManifestSignature).size() == 1);
}

void NativeJudge::JudgeLogged(const trust::VerifiedManifest& verified, bool is_only) {
  const Documents proofs = Of(DocumentKind::kLogProof);
  const FoundDocument* found = is_only && proofs.size() == 1 ? proofs.front() : nullptr;
  for (const FoundDocument* each : proofs) {
    const auto proof = merkle::ParseLogProof(each->text);
    const auto leaf = proof ? manifest::ManifestSignatureLeaf::Parse(AsText(proof->leaf))
                            : Fail(ErrorCode::kLogProofMissing, "no proof");
    if (leaf && leaf->jws_sha256 == verified.jws_sha256()) found = each;
  }
  if (found == nullptr)
    return report_.Bad("log", {}, {ErrorCode::kLogProofMissing, "no log proof among the documents"});
  proofs_used_.insert(found);
  const auto logged = trust::VerifyLogged(state_->root_package(), verified, found->text);
  if (!logged) return report_.Bad("log", {found->path}, logged.error());
  const auto proof = merkle::ParseLogProof(found->text);
  report_.Good("log", {found->path}, "the manifest signature is on the log " + logged->origin,
               Chain({"root-key package " + std::to_string(state_->root_package().version),
                      "log " + logged->origin + ", checkpoint of " + std::to_string(logged->size) + " records",
                      "record " + std::to_string(proof->index) + ": manifest signature"}));
}

void NativeJudge::JudgeLog() {
  for (const FoundDocument* document : Of(DocumentKind::kLogProof)) {
    if (proofs_used_.count(document) != 0) continue;
    const auto record = trust::VerifyLogRecord(state_->root_package(), document->text);
    if (!record) {
      Bad(*document, record.error());
      continue;
    }
    const auto type = manifest::LeafType(AsText(record->leaf));
    report_.Good("log proof", {document->path}, "a record that no other document here is",
                 Chain({"log " + record->checkpoint.origin + ", checkpoint of " +
                            std::to_string(record->checkpoint.size) + " records",
                        "record " + std::to_string(record->index) + ": " + (type ? *type : "of an unknown type")}));
  }
  for (const FoundDocument* document : Of(DocumentKind::kCheckpoint)) {
    const auto checkpoint = trust::VerifyLogCheckpoint(state_->root_package(), document->text);
    if (!checkpoint) {
      Bad(*document, checkpoint.error());
      continue;
    }
    report_.Good("checkpoint", {document->path},
                 "log " + checkpoint->origin + ", " + std::to_string(checkpoint->size) + " records, root " +
                     codec::EncodeBase64(checkpoint->root.view()));
  }
}

// The receipt itself is judged by its signature; this says that the log has it.
void NativeJudge::JudgeReceiptProof(const FoundDocument& document) {
  const auto proof = manifest::ReceiptProof::Parse(document.text);
  if (!proof) return Bad(document, Refusal(proof.error()));
  for (const FoundDocument* receipt : Of(DocumentKind::kReceipt)) {
    if (manifest::ReceiptLeafHash(proof->salt, receipt->text) != proof->batch[static_cast<size_t>(proof->place)])
      continue;
    const auto record = trust::VerifyReceiptLogged(state_->root_package(), receipt->text, *proof);
    if (!record) return report_.Bad("receipt proof", {document.path, receipt->path}, record.error());
    return report_.Good(
        "receipt proof", {document.path, receipt->path}, "the receipt is on the log " + record->checkpoint.origin,
        Chain({"log " + record->checkpoint.origin + ", checkpoint of " + std::to_string(record->checkpoint.size) +
                   " records",
               "record " + std::to_string(record->index) + ": receipt batch",
               "receipt " + std::to_string(proof->place + 1) + " of " + std::to_string(proof->batch.size())}));
  }
  report_.NotJudged("receipt proof", {document.path}, "its receipt is not among the documents");
}

// What a device would say of the order, as far as it can be said without the device's state.
void NativeJudge::JudgeOrder(const FoundDocument& document) {
  const auto verified = trust::VerifyOrder(*state_, document.text, now_);
  if (!verified) return Bad(document, verified.error());
  const manifest::Order& order = verified->order();
  const auto own = std::find_if(manifests_.begin(), manifests_.end(), [&](const trust::VerifiedManifest& each) {
    return each.sha256() == order.manifest_sha256;
  });
  const auto permit = trust::JudgeOrderAlone(*state_, *verified, own == manifests_.end() ? nullptr : &*own, now_);
  if (!permit) return Bad(document, permit.error());
  const Documents manifests = Of(DocumentKind::kManifest);
  const bool has_its_manifest = std::any_of(manifests.begin(), manifests.end(), [&](const FoundDocument* each) {
    return crypto::HashSha256(each->text) == order.manifest_sha256;
  });
  if (!verified->is_cancel() && !manifests.empty() && !has_its_manifest)
    return Bad(document, Refusal(ErrorCode::kManifestHashMismatch, "the order names another manifest"));
  std::vector<std::string> below = {"order " + order.order_id.text() + " of plan " + order.plan_id.text() + ", " +
                                    DatesText(order.issued, order.expires)};
  if (*permit) {
    below.push_back("with downgrade permit " + (*permit)->permit_id.text() + ", to " + FormatTime((*permit)->expires));
  }
  report_.Good("order", {document.path},
               std::string(verified->is_cancel() ? "cancel" : "install") + " for device " + order.device_id.text() +
                   ", generation " + std::to_string(order.generation) + ", sequence " + std::to_string(order.sequence) +
                   ", manifest " + ToBase64Url(order.manifest_sha256),
               SignerChain(state_->root_package(), verified->signer(), std::move(below)));
  around_.orders.push_back(order);
}

void NativeJudge::JudgePermit(const FoundDocument& document) {
  const auto permit = trust::VerifyPermit(*state_, document.text, now_);
  if (!permit) return Bad(document, permit.error());
  if (now_ >= permit->expires) return Bad(document, Refusal(ErrorCode::kPermitInvalid, "the permit has expired"));
  around_.permits.push_back(crypto::HashSha256(document.jws->unverified_payload()));
  report_.Good("permit", {document.path},
               permit->permit_id.text() + ": " + permit->product.text() + " from release " +
                   std::to_string(permit->from.release_counter) + " back to " +
                   std::to_string(permit->to.release_counter) + ", " + DatesText(permit->issued, permit->expires) +
                   "; whether it was used only the device knows");
}

void NativeJudge::JudgeSigningKey(const FoundDocument& document) {
  const auto signer = trust::VerifySigningKey(state_->root_package(), state_->profile, document.text, now_);
  if (!signer) return Bad(document, signer.error());
  report_.Good("signing key", {document.path}, "listed and signed by a root",
               SignerChain(state_->root_package(), *signer, {}));
}

void NativeJudge::JudgeReplacement(const FoundDocument& document) {
  const auto verified = trust::VerifySecurityReplacement(*state_, document.signatures);
  if (!verified) return Bad(document, Refusal(verified.error()));
  const manifest::SecurityReplacement& replacement = verified->replacement();
  if (const auto dates = JudgeDates(replacement.issued, replacement.expires, now_, ErrorCode::kApprovalExpired); !dates)
    return Bad(document, dates.error());
  std::string roots;
  for (const KeyId& root : verified->roots()) roots += (roots.empty() ? "" : ", ") + root.text();
  std::vector<std::string> steps = {"root-key package " + std::to_string(replacement.package_version),
                                    "roots " + roots + " signed"};
  for (const auto& person : replacement.people)
    steps.push_back("security person " + person.id.text() + ", key " + person.key.key_id());
  report_.Good("security replacement", {document.path},
               std::to_string(replacement.people.size()) + " people, " + std::to_string(replacement.quorum) +
                   " decide, " + DatesText(replacement.issued, replacement.expires) + ", number " +
                   std::to_string(replacement.sequence) + (replacement.decision ? "; it ends a halt too" : "") +
                   ". Whether it was carried out the log says",
               Chain(std::move(steps)));
}

void NativeJudge::JudgeTrustState(const FoundDocument& document) {
  const auto stored = trust::TrustState::Parse(document.text);
  if (!stored) return Bad(document, Refusal(stored.error()));
  if (const auto whole = trust::CheckStored(*stored, {}); !whole) return Bad(document, whole.error());
  const int64_t version = stored->root_package().version;
  std::vector<Link> chain =
      Chain({"root-key package " + std::to_string(version),
             "time floor " + FormatTime(stored->time_floor) + ", " + std::to_string(stored->counters.size()) +
                 " counters, " + std::to_string(stored->checkpoints.size()) + " checkpoints"});
  const auto known = state_->package_hashes.find(version);
  if (known == state_->package_hashes.end()) {
    return report_.NotJudged("trust state", {document.path},
                             "its package " + std::to_string(version) + " is not among the documents", chain);
  }
  if (known->second != stored->package->signed_sha256) {
    return Bad(document, Refusal(ErrorCode::kPackageStepInvalid,
                                 "its package " + std::to_string(version) + " is another one than this chain's"));
  }
  report_.Good("trust state", {document.path},
               "whole, and its package is of this chain; that it is the device's newest only the device can say",
               chain);
}

void NativeJudge::JudgeSealedFile(const FoundDocument& document) {
  const auto header = sealing::SealedHeader::Parse(document.head);
  if (!header) return Bad(document, Refusal(header.error()));
  if (sealing::SealedSize(header->plain_size).value != document.size)
    return Bad(document, Refusal(ErrorCode::kTruncated, "the file is not as long as its header says"));
  Context quiet;
  quiet.is_quiet = true;
  const auto hashed = HashFile(quiet, document.path);
  if (!hashed) return Bad(document, Refusal(hashed.error()));
  const std::string size = std::to_string(header->plain_size.value) + " plain bytes";
  for (const manifest::Order& order : around_.orders) {
    for (const auto& content : order.contents) {
      if (content.sealed_sha256 != hashed->sha256) continue;
      return report_.Good("sealed file", {document.path},
                          size + "; file " + content.file_id.text() + " of order " + order.order_id.text() +
                              ". Its contents only the device can open");
    }
  }
  report_.NotJudged("sealed file", {document.path}, size + "; no good order among the documents names it");
}

std::optional<Anchor> NativeJudge::Judge(const std::string& trusted_text, trust::Profile profile) {
  if (!WalkPackages(trusted_text, profile)) {
    for (const auto& document : documents_) {
      if (NeedsPackage(document) && document.kind != DocumentKind::kPackage)
        report_.NotJudged(std::string(KindName(document.kind)), {document.path},
                          "no good root-key package to judge it by");
    }
    return anchor_;
  }
  JudgeStatuses();
  JudgeManifests();
  JudgeLog();
  for (const FoundDocument* document : Of(DocumentKind::kReceiptProof)) JudgeReceiptProof(*document);
  for (const FoundDocument* document : Of(DocumentKind::kOrder)) JudgeOrder(*document);
  for (const FoundDocument* document : Of(DocumentKind::kPermit)) JudgePermit(*document);
  for (const FoundDocument* document : Of(DocumentKind::kSigningKey)) JudgeSigningKey(*document);
  for (const FoundDocument* document : Of(DocumentKind::kSecurityReplacement)) JudgeReplacement(*document);
  for (const FoundDocument* document : Of(DocumentKind::kTrustState)) JudgeTrustState(*document);
  for (const FoundDocument* document : Of(DocumentKind::kSealedFile)) JudgeSealedFile(*document);
  return anchor_;
}

Result<std::optional<Anchor>> JudgeNatively(const std::vector<FoundDocument>& documents, const VerifyOptions& options,
                                            UnixSeconds now, Report& report) {
  std::optional<Anchor> anchor;
  std::string trusted;
  if (!options.trusted_package.empty()) {
    TRY_ASSIGN(trusted, sys::ReadTextFile(options.trusted_package, limits::kPackageBytesMax));
  }
  TRY_ASSIGN(const auto keys, ReadKeys(options.keys));
  const auto profile = options.is_adu_readable ? trust::Profile::kAdu : trust::Profile::kNative;
  Surroundings around;
  if (!trusted.empty() || std::any_of(documents.begin(), documents.end(), NeedsPackage)) {
    NativeJudge judge(documents, now, report);
    anchor = judge.Judge(trusted, profile);
    around = judge.around();
  }
  for (const auto& document : documents) {
    const std::string name(KindName(document.kind));
    if (document.refusal)
      report.Bad(name, {document.path}, *document.refusal);
    else if (IsOfPersonOrDevice(document.kind))
      JudgePersonDocument(document, keys, now, around, report);
    else if (document.kind == DocumentKind::kDeployment)
      report.NotJudged(name, {document.path},
                       "a message of Azure Device Update: judge it with --profile adu --roots FILE");
    else if (document.kind == DocumentKind::kUnknown)
      report.NotJudged(name, {document.path},
                       sys::DirectoryExists(document.path)
                           ? "a folder in a folder: documents that belong together lie in one; verify it by itself"
                           : "no document of ours: take it out, or name the documents alone");
  }
  return anchor;
}

Result<UnixSeconds> ParseAsOf(const std::string& text, UnixSeconds now) {
  if (text.empty()) return now;
  int64_t seconds = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (problem == std::errc{} && end == text.data() + text.size() && seconds >= 0) return UnixSeconds{seconds};
  if (const auto time = manifest::ParseDateTime(text); time) return *time;
  return Fail(ErrorCode::kInvalidArgument, "--as-of is seconds since 1970 or a time like 2026-11-21T10:00:00Z");
}

Status CheckOptions(const VerifyOptions& options) {
  const auto wrong = [](std::string detail) { return Fail(ErrorCode::kInvalidArgument, std::move(detail)); };
  if ((options.profile == "adu") == options.roots.empty())
    return wrong("--profile adu and --roots FILE belong together");
  const bool is_device = !options.device.empty();
  if (is_device == options.trust_state.empty()) return wrong("--device FILE and --trust-state FILE belong together");
  if (!is_device && !(options.offer.empty() && options.contents.empty()))
    return wrong("--offer and --content are what a device gets: name --device and --trust-state");
  const bool has_other_judge =
      options.profile == "adu" || !options.trusted_package.empty() || options.is_adu_readable || !options.keys.empty();
  if (is_device && has_other_judge) return wrong("a device is judged for by its own trust state and nothing else");
  if (options.paths.empty() && options.offer.empty()) return wrong("name documents or folders of documents");
  return {};
}

void Conclude(Context& context, const Report& report, const std::optional<Anchor>& anchor, codec::Json json) {
  const bool is_good = report.Verdict() == "trusted";
  const bool is_unnamed = anchor && !anchor->is_named;
  std::string verdict = report.Verdict();
  if (is_good && is_unnamed) {
    verdict += " from root-key package " + std::to_string(anchor->version) + ", SHA-256 " +
               ToBase64Url(anchor->sha256) + ", which you did not name";
  }
  json.Set("trusted", is_good && !is_unnamed).Set("verdict", verdict);
  if (anchor) {
    codec::Json object = codec::Json::MakeObject();
    object.Set("version", anchor->version).Set("sha256", ToBase64Url(anchor->sha256)).Set("isNamed", anchor->is_named);
    json.Set("trustStartsAt", std::move(object));
  }
  json.Set("findings", report.ToJson());
  Answer(context, json, report.Text(false) + verdict);
}

}  // namespace

Status Verify(Context& context, const VerifyOptions& options) {
  TRY(CheckOptions(options));
  const bool is_adu = options.profile == "adu";
  TRY_ASSIGN(const UnixSeconds now, ParseAsOf(options.as_of, context.clock.Now()));
  std::vector<FoundDocument> documents;
  if (!options.paths.empty()) {
    TRY_ASSIGN(const auto paths, ExpandPaths(options.paths));
    for (const auto& path : paths) {
      TRY_ASSIGN(auto document, ReadDocument(path, is_adu));
      documents.push_back(std::move(document));
    }
  }
  Report report;
  std::optional<Anchor> anchor;
  codec::Json json = codec::Json::MakeObject();
  json.Set("asOf", now.value);
  if (is_adu) {
    TRY(JudgeByAzureRules(options.roots, documents, report));
  } else if (!options.device.empty()) {
    TRY(JudgeAsDevice({options.trust_state, options.device, options.offer, options.contents}, documents, now, report,
                      json));
  } else {
    TRY_ASSIGN(anchor, JudgeNatively(documents, options, now, report));
  }
  Conclude(context, report, anchor, std::move(json));
  const auto outcome = report.Outcome();
  if (!outcome && outcome.error().code == ErrorCode::kUnsupported)
    context.advice = "add what the finding names, or leave the document out; nothing was found wrong with it";
  return outcome;
}

}  // namespace fleetseal::cli

// publish-package and packages: root-key packages are checked as a device would, recorded, then served.
#include "crypto/digest.h"
#include "log/log.h"
#include "manifest/ceremony_transcript.h"
#include "manifest/log_leaf.h"
#include "signer/new_log.h"
#include "signer/status_room.h"
#include "signer/store/ceremony_store.h"
#include "signer/store/plan_store.h"
#include "signer/store/register_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

// Of one answer: well below a message with its JSON escapes.
constexpr size_t kAnswerBytesMax = 2 * 1024 * 1024;

Result<std::optional<std::string>> FindPackage(const Core& core, int64_t version) {
  TRY_ASSIGN(const auto rows, core.database().WithSnapshot(
                                  [&](storage::Session& session) { return store::ListPackages(session, version, 1); }));
  std::optional<std::string> text;
  if (!rows.empty() && rows.front().version == version) text = rows.front().text;
  return text;
}

// Trust model section 1: one purpose a key. What this signer knows as a CA's, a person's or a device's key is listed
// for nothing, whatever the roots signed.
Status CheckPurposes(const Core& core, const manifest::RootPackage& package) {
  std::vector<pki::Certificate> cas;
  for (const Purpose purpose : {Purpose::kServerCa, Purpose::kDeviceCa, Purpose::kPeopleCa}) {
    for (auto& ca : core.cas().AllOf(purpose)) cas.push_back(std::move(ca));
  }
  for (const auto& listing : package.signing_keys) {
    for (const pki::Certificate& ca : cas) {
      if (ca.public_key().thumbprint() == listing.thumbprint)
        return Fail(ErrorCode::kKeyPurposeWrong, listing.kid.text() + " is the key of a CA");
    }
    TRY_ASSIGN(const auto owner, core.database().WithSnapshot([&](storage::Session& session) {
      return store::FindKeyOwner(session, Text(listing.thumbprint));
    }));
    if (owner) return Fail(ErrorCode::kKeyPurposeWrong, listing.kid.text() + " is the key of " + *owner);
  }
  return {};
}

// What devices judge servers by must be readable to all of them.
Status CheckCertificates(const manifest::RootPackage& package) {
  for (const auto* list : {&package.server_cas, &package.device_cas}) {
    for (const Bytes& der : *list) {
      const auto certificate = pki::Certificate::FromDer(der);
      if (!certificate)
        return Fail(ErrorCode::kCertificateInvalid,
                    "a CA of the package cannot be read: " + certificate.error().detail);
      if (!certificate->is_ca() || !certificate->can_sign_certificates())
        return Fail(ErrorCode::kCertificateInvalid,
                    "the package names " + certificate->subject_common_name() + ", which is no CA");
    }
  }
  return {};
}

// Devices refuse every update whose proof lacks the witnesses that the package asks for, and nothing collects their
// cosignatures yet.
Status CheckWitnesses(const manifest::RootPackage& package) {
  for (const manifest::PackageLog& log : package.logs) {
    if (log.quorum > 0)
      return Fail(ErrorCode::kUnsupported, "the package asks for " + std::to_string(log.quorum) +
                                               " witnesses of the log " + log.origin +
                                               ", and none cosigns its checkpoints: devices would refuse every update "
                                               "(QuorumMissing); publish one with --quorum 0");
  }
  return {};
}

Status CheckTranscript(std::string_view text, const manifest::RootPackageDocument& document) {
  TRY_ASSIGN_CONTEXT(const auto transcript, manifest::CeremonyTranscript::Parse(text), "reading the transcript");
  return transcript.CheckFits(document);
}

}  // namespace

Result<int64_t> PublishPackage(Core& core, std::string_view package, const std::optional<std::string>& transcript) {
  const std::unique_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const auto document, manifest::RootPackageDocument::Parse(package));
  const int64_t version = document.package.version;
  TRY_ASSIGN(const auto known, FindPackage(core, version));
  if (known && *known == package) return version;
  TRY_ASSIGN(const auto trust, core.Trust());
  auto next = trust::AcceptPackageStep(*trust, package);
  if (!next) return Fail(next.error());
  TRY(CheckPurposes(core, document.package));
  TRY(CheckCertificates(document.package));
  TRY(CheckWitnesses(document.package));
  // A lower minCounter brings withdrawn updates back to the list.
  TRY(core.database().WithSnapshot(
      [&](storage::Session& session) { return CheckStatusRoom(session, document.package); }));
  TRY_ASSIGN(auto log_change, LogChange::Prepare(core, document.package));
  if (!log_change) TRY(core.RequireRunning());
  manifest::PackageLeaf leaf{core.Now(), version, document.signed_sha256};
  if (transcript) {
    TRY(CheckTranscript(*transcript, document));
    leaf.transcript_sha256 = crypto::HashSha256(*transcript);
  }
  TRY_ASSIGN(const int64_t index, log_change ? log_change->Record(core, leaf.Build()) : core.Record(leaf.Build()));
  const bool is_new_epoch = next->root_package().director_epoch > trust->root_package().director_epoch;
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    // Whoever ran the numbers of the old epoch to their end is undone by this step (trust model section 5).
    if (is_new_epoch) TRY(store::RestartSequences(session));
    if (log_change) TRY(log_change->Store(session, core));
    TRY(store::InsertCeremony(session, {version, transcript.value_or(""), index}));
    return store::InsertPackage(session, {version, std::string(package)});
  });
  TRY(stored);
  if (log_change) TRY(std::move(*log_change).Finish(core));
  core.SetTrust(*std::move(next));
  core.SetCachedStatus(std::nullopt);
  log::Event(log::Level::kInfo, "package.published", {{"version", version}, {"logIndex", index}});
  return version;
}

Result<std::vector<std::string>> Packages(Core& core, int64_t from) {
  TRY_ASSIGN(const auto rows, core.database().WithSnapshot([&](storage::Session& session) {
    return store::ListPackages(session, from, static_cast<int64_t>(limits::kPackageStepsMax));
  }));
  std::vector<std::string> texts;
  size_t bytes = 0;
  for (const auto& row : rows) {
    bytes += row.text.size();
    if (bytes > kAnswerBytesMax && !texts.empty()) break;
    texts.push_back(row.text);
  }
  return texts;
}

Result<api::signing::PackageRecord> FindPackageRecord(Core& core, int64_t version) {
  TRY_ASSIGN(const auto row, core.database().WithSnapshot(
                                 [&](storage::Session& session) { return store::FindCeremony(session, version); }));
  if (!row)
    return Fail(ErrorCode::kNotFound, "package " + std::to_string(version) + " was not published here as a step");
  api::signing::PackageRecord record{row->log_index, std::nullopt};
  if (!row->transcript.empty()) record.transcript = row->transcript;
  return record;
}

}  // namespace fleetseal::signer

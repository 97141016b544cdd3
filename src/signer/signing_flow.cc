// submit-request: fixes the exact payload that people will approve.
#include <algorithm>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "manifest/log_leaf.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "manifest/update_manifest.h"
#include "signer/people.h"
#include "signer/release.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::SubmitAnswer;

// Everything that was read and found good.
struct Submission {
  PersonDocument document;
  manifest::SignRequest request;
  manifest::UpdateManifest manifest;
  manifest::Policy policy;
  const KeyFacts* key = nullptr;
};

Status CheckManifest(const Core& core, const Submission& submission, ByteView bytes) {
  const auto& request = submission.request;
  if (crypto::HashSha256(bytes) != request.manifest_sha256) {
    return Fail(ErrorCode::kManifestHashMismatch, "the manifest is not the one that the request names");
  }
  if (submission.manifest.product != request.product) {
    return Fail(ErrorCode::kProductMismatch, "the manifest is for " + submission.manifest.product.text());
  }
  if (request.audience != manifest::AudienceOf(core.config().organisation)) {
    return Fail(ErrorCode::kAudienceMismatch, "the request is for " + request.audience);
  }
  if (submission.manifest.has_self_step())
    return Fail(ErrorCode::kRoleNotAllowed, "a publisher key signs no agent release");
  return {};
}

Status CheckPolicy(const Core& core, Submission& submission) {
  const ProductName& product = submission.request.product;
  TRY_ASSIGN(submission.policy, FindPolicy(core, product));
  if (submission.policy.delivery != submission.request.delivery) {
    return Fail(ErrorCode::kDeliveryNotAllowed,
                "the policy delivers " + std::string(manifest::DeliveryName(submission.policy.delivery)));
  }
  submission.key = core.publishers().Find(product);
  if (submission.key == nullptr)
    return Fail(ErrorCode::kProductNotAllowed, "no publisher key is made for " + product.text());
  TRY(core.Sjwk(submission.key->kid));
  return {};
}

Result<Submission> ReadSubmission(const Core& core, PersonDocument document, manifest::SignRequest request,
                                  ByteView bytes) {
  TRY_ASSIGN(manifest::UpdateManifest manifest, manifest::UpdateManifest::Parse(AsText(bytes)));
  Submission submission{std::move(document), std::move(request), std::move(manifest), {}, nullptr};
  TRY(RequireRole(submission.document.person, manifest::PersonRole::kPublisher, submission.request.product));
  TRY(CheckDates(submission.request.issued, submission.request.expires, core.Now(), kRequestLifetimeMax,
                 ErrorCode::kApprovalExpired));
  TRY(CheckManifest(core, submission, bytes));
  TRY(CheckPolicy(core, submission));
  return submission;
}

// A version names one manifest for ever, and only goes up.
Status CheckVersion(const std::vector<store::VersionRow>& versions, const Submission& submission, UnixSeconds now) {
  const auto& version = submission.manifest.version;
  for (const auto& row : versions) {
    TRY_ASSIGN(const auto known, manifest::UpdateVersion::Parse(row.version));
    const bool is_signed = row.state == "signed";
    if (!is_signed && row.expires <= now.value) continue;
    if (known == version) {
      const bool is_same = row.manifest_sha256 == Text(submission.request.manifest_sha256);
      return Fail(ErrorCode::kVersionExists,
                  version.text() + (is_same ? " was requested already" : " exists with other bytes"));
    }
    if (is_signed && version < known) return Fail(ErrorCode::kVersionTooLow, known.text() + " is signed already");
  }
  return {};
}

store::RequestRow MakeRow(const Core& core, const Submission& submission, std::string_view compact, ByteView bytes,
                          int64_t counter) {
  manifest::ManifestSignature payload;
  payload.manifest_sha256 = submission.request.manifest_sha256;
  payload.product = submission.request.product;
  payload.release_counter = counter;
  payload.audience = manifest::AudienceOf(core.config().organisation);
  payload.delivery = submission.policy.delivery;
  payload.issued = core.Now();
  store::RequestRow row;
  row.id = submission.request.request_id.text();
  row.product = payload.product.text();
  row.component = submission.manifest.component;
  row.version = submission.manifest.version.text();
  row.requester = submission.document.person.id.text();
  row.state = "waiting";
  row.manifest_sha256 = Text(payload.manifest_sha256);
  row.manifest = codec::EncodeBase64Url(bytes);
  row.compact = compact;
  row.payload = payload.Build();
  row.payload_sha256 = HashText(row.payload);
  row.key_kid = submission.key->kid;
  row.key_thumbprint = Text(submission.key->key.thumbprint());
  row.policy = submission.policy.ToJson().Serialize();
  row.policy_sha256 = Text(submission.policy.Hash());
  row.needed = submission.policy.approvals;
  row.release_counter = counter;
  row.issued = submission.request.issued.value;
  row.expires = submission.request.expires.value;
  return row;
}

Result<int64_t> NextCounter(const Core& core, storage::Session& session, const Submission& submission) {
  TRY_ASSIGN(const int64_t last, store::ReadCounter(session, submission.manifest.CounterName()));
  TRY_ASSIGN(const auto trust, core.Trust());
  // Devices refuse what is below minCounter.
  const auto& least = trust->root_package().min_counter;
  const auto found = least.find(submission.request.product);
  return std::max(last + 1, found == least.end() ? int64_t{1} : found->second);
}

// The same request once more: its answer, unless it is another one under the same id.
Result<std::optional<store::RequestRow>> FindRepeated(const Core& core, const RequestId& id, std::string_view compact) {
  TRY_ASSIGN(auto row, core.database().WithSnapshot(
                           [&](storage::Session& session) { return store::FindRequest(session, id.text()); }));
  if (row && row->compact != compact)
    return Fail(ErrorCode::kAlreadyExists, "the request id " + id.text() + " is taken");
  return row;
}

Result<SubmitAnswer> AnswerFor(const store::RequestRow& row, UnixSeconds now) {
  SubmitAnswer answer;
  TRY_ASSIGN(answer.request_id, RequestId::Parse(row.id));
  answer.payload = row.payload;
  TRY_ASSIGN(answer.payload_sha256, codec::DecodeBase64UrlSha256(row.payload_sha256));
  TRY_ASSIGN(answer.key_thumbprint, codec::DecodeBase64UrlSha256(row.key_thumbprint));
  TRY_ASSIGN(answer.policy_sha256, codec::DecodeBase64UrlSha256(row.policy_sha256));
  answer.approvals = row.needed;
  TRY_ASSIGN(answer.state, StateOf(row, now));
  answer.manifest_signature = row.manifest_signature;
  answer.log_index = row.log_index;
  return answer;
}

Result<store::RequestRow> RecordRequest(Core& core, const Submission& submission, std::string_view compact,
                                        ByteView bytes) {
  const std::string person = submission.document.person.id.text();
  const ByteView nonce = submission.request.nonce;
  const auto judge = [&](storage::Session& session) -> Result<int64_t> {
    TRY_ASSIGN(const auto versions,
               store::ListVersions(session, submission.request.product.text(), submission.manifest.component));
    TRY(CheckVersion(versions, submission, core.Now()));
    TRY(CheckNonce(session, person, nonce));
    return NextCounter(core, session, submission);
  };
  TRY_ASSIGN(const int64_t counter, core.database().WithSnapshot(judge));
  const store::RequestRow row = MakeRow(core, submission, compact, bytes, counter);
  const manifest::PersonDocumentLeaf leaf{"request", core.Now(), crypto::HashSha256(compact), row.id};
  TRY_ASSIGN(const int64_t index, core.Record(leaf.Build()));
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(TakeNonce(session, person, nonce, submission.document.sha256));
    TRY(store::InsertRequest(session, row));
    TRY(store::PutCounter(session, submission.manifest.CounterName(), counter));
    return store::InsertDocument(session, {submission.document.sha256, std::string(manifest::kTypRequest), row.id,
                                           person, std::string(compact), core.Now().value, index});
  });
  TRY(stored);
  return row;
}

}  // namespace

Result<SubmitAnswer> SubmitRequest(Core& core, std::string_view request, ByteView manifest) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(PersonDocument document, VerifyPersonDocument(core, request, manifest::kTypRequest));
  TRY_ASSIGN(manifest::SignRequest parsed, manifest::SignRequest::Parse(document.payload));
  TRY(RequireSelf(document.person, parsed.requester));
  const RequestId id = parsed.request_id;
  const auto guard = core.objects.Acquire({"request:" + id.text(), "product:" + parsed.product.text()});
  TRY_ASSIGN(auto row, FindRepeated(core, id, request));
  if (!row) {
    TRY_ASSIGN(const Submission submission, ReadSubmission(core, std::move(document), std::move(parsed), manifest));
    TRY_ASSIGN(row, RecordRequest(core, submission, request, manifest));
  }
  if (row->state == "waiting" && row->needed == 0 && row->expires > core.Now().value) {
    TRY(Release(core, *row, std::nullopt));
    TRY_ASSIGN(row, FindRepeated(core, id, request));
  }
  return AnswerFor(*row, core.Now());
}

}  // namespace fleetseal::signer

// submit-request: fixes the exact payload that people will approve.
#include <algorithm>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "log/log.h"
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
  HeldKey key;
  std::string_view compact;  // as it came
  ByteView bytes;            // of the manifest
};

Status CheckManifest(const Core& core, const Submission& submission) {
  const auto& request = submission.request;
  if (crypto::HashSha256(submission.bytes) != request.manifest_sha256) {
    return Fail(ErrorCode::kManifestHashMismatch, "the manifest is not the one that the request names");
  }
  if (submission.manifest.product != request.product) {
    return Fail(ErrorCode::kProductMismatch, "the manifest is for " + submission.manifest.product.text());
  }
  if (request.audience != manifest::AudienceOf(core.config().organisation)) {
    return Fail(ErrorCode::kAudienceMismatch, "the request is for " + request.audience);
  }
  return {};
}

bool IsMadeFor(const DocumentKey& key, const ProductName& product) {
  return std::ranges::find(key.facts.products, product) != key.facts.products.end();
}

Status CheckPolicy(const Core& core, const Result<manifest::Policy>& policy, Submission& submission) {
  const ProductName& product = submission.request.product;
  TRY_ASSIGN(submission.policy, policy);
  if (submission.policy.delivery != submission.request.delivery) {
    return Fail(ErrorCode::kDeliveryNotAllowed,
                "the policy delivers " + std::string(manifest::DeliveryName(submission.policy.delivery)));
  }
  const bool is_agent = submission.manifest.has_self_step();
  const auto key = core.KeyFor(is_agent ? Purpose::kAgentRelease : Purpose::kPublisher, &product);
  if (!key && is_agent)
    return Fail(ErrorCode::kRoleNotAllowed, "a publisher key signs no agent release: " + key.error().detail);
  if (!key && std::ranges::none_of(core.keys().All(), [&](const HeldKey& held) { return IsMadeFor(*held, product); }))
    return Fail(ErrorCode::kProductNotAllowed, "no publisher key is made for " + product.text());
  TRY(key);
  submission.key = key->key;
  return {};
}

Result<Submission> ReadSubmission(const Core& core, PersonDocument document, manifest::SignRequest request,
                                  const Result<manifest::Policy>& policy, std::string_view compact, ByteView bytes) {
  TRY_ASSIGN(manifest::UpdateManifest manifest, manifest::UpdateManifest::Parse(AsText(bytes)));
  Submission submission{std::move(document), std::move(request), std::move(manifest), {}, {}, compact, bytes};
  TRY(RequireRole(submission.document.person, manifest::PersonRole::kPublisher, submission.request.product));
  TRY(CheckDates(submission.request.issued, submission.request.expires, core.Now(), kRequestLifetimeMax,
                 ErrorCode::kApprovalExpired));
  TRY(CheckManifest(core, submission));
  TRY(CheckPolicy(core, policy, submission));
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
      return Fail(ErrorCode::kVersionExists, version.text() + " was requested already" +
                                                 (is_same ? " by " : " with another manifest by ") + row.id + " (" +
                                                 row.state + ")");
    }
    if (is_signed && version < known) return Fail(ErrorCode::kVersionTooLow, known.text() + " is signed already");
  }
  return {};
}

store::RequestRow MakeRow(const Core& core, const Submission& submission, int64_t counter) {
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
  row.manifest = codec::EncodeBase64Url(submission.bytes);
  row.compact = submission.compact;
  row.payload = payload.Build();
  row.payload_sha256 = HashText(row.payload);
  row.key_kid = submission.key->facts.kid;
  row.key_thumbprint = Text(submission.key->facts.key.thumbprint());
  row.policy = submission.policy.ToJson().Serialize();
  row.policy_sha256 = Text(submission.policy.Hash());
  row.needed = submission.policy.approvals;
  row.release_counter = counter;
  row.issued = submission.request.issued.value;
  row.expires = submission.request.expires.value;
  return row;
}

// What is read under the counter's lock, in one snapshot.
struct Judged {
  int64_t counter = 0;
  Result<SigningFacts> facts;  // its error is SignRelease's
};

Result<int64_t> NextCounter(const Core& core, storage::Session& session, const Submission& submission,
                            const std::vector<Reservation>& reserved) {
  TRY_ASSIGN(int64_t last, store::ReadCounter(session, submission.manifest.CounterName()));
  for (const auto& one : reserved) last = std::max(last, one.release_counter);
  TRY_ASSIGN(const auto trust, core.Trust());
  // Devices refuse what is below minCounter.
  const auto& least = trust->root_package().min_counter;
  const auto found = least.find(submission.request.product);
  return std::max(last + 1, found == least.end() ? int64_t{1} : found->second);
}

// What the database knows when a request comes.
struct Known {
  std::optional<store::PersonRow> signer;
  std::optional<store::RequestRow> row;  // under the same id, once before
  Result<manifest::Policy> policy;       // PolicyMissing
};

// `claimed` is not verified yet: what is found is used only after that. `request` is what it says, if that is a
// request.
Result<Known> Read(const Core& core, const ClaimedDocument& claimed, const Result<manifest::SignRequest>& request) {
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<Known> {
    Known known{{}, {}, Fail(ErrorCode::kPolicyMissing, "no product")};
    TRY_ASSIGN(known.signer, claimed.FindSigner(session));
    if (!request) return known;
    TRY_ASSIGN(known.row, store::FindRequest(session, request->request_id.text()));
    if (!known.row) known.policy = ReadPolicy(session, request->product);
    return known;
  });
}

Result<SubmitAnswer> AnswerFor(const Core& core, const store::RequestRow& row) {
  SubmitAnswer answer;
  TRY_ASSIGN(answer.request_id, RequestId::Parse(row.id));
  answer.payload = row.payload;
  TRY_ASSIGN(answer.payload_sha256, codec::DecodeBase64UrlSha256(row.payload_sha256));
  TRY_ASSIGN(answer.key_thumbprint, codec::DecodeBase64UrlSha256(row.key_thumbprint));
  TRY_ASSIGN(answer.policy_sha256, codec::DecodeBase64UrlSha256(row.policy_sha256));
  answer.approvals = row.needed;
  TRY_ASSIGN(answer.state, StateOf(row, core.Now()));
  if (row.log_index) TRY(core.AwaitPublished(*row.log_index));
  answer.manifest_signature = row.manifest_signature;
  answer.log_index = row.log_index;
  return answer;
}

// The counter for a request that fits what is stored and what is about to be.
Result<Judged> Judge(Core& core, const Submission& submission) {
  const std::string person = submission.document.person.id.text();
  return JudgeWithReserved(
      core, submission.manifest.CounterName(), [&](const std::vector<Reservation>& reserved) -> Result<Judged> {
        return core.database().WithSnapshot([&](storage::Session& session) -> Result<Judged> {
          TRY_ASSIGN(auto versions,
                     store::ListVersions(session, submission.request.product.text(), submission.manifest.component));
          versions.insert(versions.end(), reserved.begin(), reserved.end());
          TRY(CheckVersion(versions, submission, core.Now()));
          TRY(CheckNonce(session, person, submission.request.nonce));
          TRY_ASSIGN(const int64_t counter, NextCounter(core, session, submission, reserved));
          return Judged{counter,
                        FindSigningFacts(session, submission.key->facts.kid, Text(submission.request.manifest_sha256))};
        });
      });
}

Status StoreRequest(storage::Session& session, const Submission& submission, const store::RequestRow& row,
                    UnixSeconds now, int64_t log_index) {
  const auto& document = submission.document;
  const std::string person = document.person.id.text();
  TRY(TakeNonce(session, person, submission.request.nonce, document.sha256));
  // The signature's record stands right behind the request's.
  TRY(store::InsertRequest(session, row, row.manifest_signature ? std::optional(log_index + 1) : std::nullopt));
  TRY(store::PutCounter(session, submission.manifest.CounterName(), row.release_counter));
  return store::InsertDocument(session, {document.sha256, std::string(manifest::kTypRequest), row.id, person,
                                         row.compact, now.value, log_index});
}

// Takes a request that nobody has seen; where no approval is needed, its signature is made and recorded with it: one
// decision, one transaction. On any error nothing has changed; after LogNotWritable that is unknown, and the same
// request again tells.
Result<store::RequestRow> RecordRequest(Core& core, const Submission& submission) {
  const UnixSeconds now = core.Now();
  store::RequestRow row;
  const auto store = [&](storage::Session& session, uint64_t first) {
    return StoreRequest(session, submission, row, now, static_cast<int64_t>(first));
  };
  const auto start = [&]() -> Result<InFlight> {
    const std::string counter_name = submission.manifest.CounterName();
    const auto turn = core.objects.Acquire({CounterLock(counter_name)});
    TRY_ASSIGN(const Judged judged, Judge(core, submission));
    row = MakeRow(core, submission, judged.counter);
    std::vector<std::string> leaves{
        manifest::PersonDocumentLeaf{"request", now, crypto::HashSha256(submission.compact), row.id}.Build()};
    if (row.needed == 0) {
      TRY_ASSIGN(ReleaseSignature signature, SignRelease(core, row, judged.facts, {}));
      row.state = "signed";
      row.manifest_signature = std::move(signature.compact);
      row.evidence_salt = std::move(signature.salt);
      leaves.push_back(std::move(signature.leaf));
    }
    auto hold = core.reservations.Add(
        counter_name, {row.id, row.version, row.state, row.manifest_sha256, row.expires, row.release_counter});
    TRY_ASSIGN(PendingRecord record, core.StartRecord(leaves, store));
    return InFlight{std::move(hold), std::move(record)};
  };
  TRY_ASSIGN(InFlight in_flight, start());
  // Record before release: from here on the signature may exist outside only if its record does.
  TRY_ASSIGN(const int64_t first, core.Await(in_flight.record));
  if (row.manifest_signature) {
    row.log_index = first + 1;
    log::Event(log::Level::kInfo, "manifest.signed",
               {{"request", row.id}, {"key", row.key_kid}, {"logIndex", *row.log_index}});
  }
  return row;
}

}  // namespace

Result<SubmitAnswer> SubmitRequest(Core& core, std::string_view request, ByteView manifest) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const ClaimedDocument claimed, ClaimedDocument::Parse(request, manifest::kTypRequest));
  Result<manifest::SignRequest> parsed = manifest::SignRequest::Parse(claimed.unverified_payload());
  const auto guard = core.objects.Acquire(LocksOf(parsed));
  TRY_ASSIGN(Known known, Read(core, claimed, parsed));
  TRY_ASSIGN(PersonDocument document, claimed.Verify(core, known.signer));
  TRY(parsed);
  TRY(RequireSelf(document.person, parsed->requester));
  std::optional<store::RequestRow>& row = known.row;
  if (row && row->compact != request)
    return Fail(ErrorCode::kAlreadyExists, "the request id " + parsed->request_id.text() + " is taken");
  if (!row) {
    TRY_ASSIGN(const Submission submission,
               ReadSubmission(core, std::move(document), *std::move(parsed), known.policy, request, manifest));
    TRY_ASSIGN(row, RecordRequest(core, submission));
  } else if (row->state == "waiting" && row->needed == 0 && row->expires > core.Now().value) {
    // Of a version that recorded request and signature one after the other.
    TRY_ASSIGN(const Released released, Release(core, *row, {}, std::nullopt));
    row->state = "signed";
    row->manifest_signature = released.manifest_signature;
    row->log_index = released.log_index;
  }
  return AnswerFor(core, *row);
}

}  // namespace fleetseal::signer

// Who signed a document, and may that person do this?
//
// Source: trust model section 2: the person is the signer of the document (looked up by kid in the register), never who
// the server says. Codes name the first thing that does not hold. Thread rule: any thread; each call reads the database
// itself unless it takes a session.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jose/jws.h"
#include "signer/core.h"
#include "signer/person.h"
#include "signer/store/register_store.h"

namespace fleetseal::signer {

// Greatest lifetimes of people's documents, seconds (documents.md section 4); without dates of their own: age.
inline constexpr int64_t kRequestLifetimeMax = 7 * limits::kDaySeconds;
inline constexpr int64_t kPlanLifetimeMax = 90 * limits::kDaySeconds;
inline constexpr int64_t kDocumentAgeMax = 30 * limits::kDaySeconds;
// What a person's clock may be ahead of ours.
inline constexpr int64_t kPersonClockSlack = 300;

// A document whose signature by a registered, unrevoked person was verified.
struct PersonDocument {
  Person person;
  std::string payload;
  std::string sha256;  // of the compact form, base64url
};

// A person's document as it came: its form is right, and nobody has verified it. Its kid and payload may be used to
// look up what will be needed, and for nothing else until Verify.
class ClaimedDocument {
 public:
  // Codes: those of UnverifiedJws::Parse, TypMismatch, HeaderNotAllowed (no kid, or an sjwk).
  static Result<ClaimedDocument> Parse(std::string_view compact, std::string_view typ);
  std::string_view unverified_payload() const { return AsText(jws_.unverified_payload()); }
  // Who has the key that it names.
  Result<std::optional<store::PersonRow>> FindSigner(storage::Session& session) const;
  // PersonUnknown, PersonRevoked, SignatureInvalid, Corrupt. REQUIRES: `signer` is what FindSigner gave.
  Result<PersonDocument> Verify(const Core& core, const std::optional<store::PersonRow>& signer) const;

 private:
  explicit ClaimedDocument(jose::UnverifiedJws jws) : jws_(std::move(jws)) {}
  const std::string& kid() const { return *jws_.header().kid; }

  jose::UnverifiedJws jws_;
};

// Both of them. Codes: theirs.
Result<PersonDocument> VerifyPersonDocument(const Core& core, std::string_view compact, std::string_view typ);

// RoleMissing unless the person has the role for the product.
Status RequireRole(const Person& person, manifest::PersonRole role, const ProductName& product);
// PermissionDenied unless the document names its signer.
Status RequireSelf(const Person& person, const PersonId& named);
// `code` unless issued <= now (with slack) < expires and the lifetime is at most `lifetime_max`.
Status CheckDates(UnixSeconds issued, UnixSeconds expires, UnixSeconds now, int64_t lifetime_max, ErrorCode code);
// ApprovalExpired for a document without expiry that is older than kDocumentAgeMax or from the future.
Status CheckAge(UnixSeconds issued, UnixSeconds now);
// NonceReplayed if another document used it.
Status CheckNonce(storage::Session& session, const std::string& person, ByteView nonce);
// Revokes the person and their certificates. PersonUnknown, PersonRevoked (already).
Status RevokePersonRow(storage::Session& session, const PersonId& id);
// NonceReplayed if another document took it meanwhile.
Status TakeNonce(storage::Session& session, const std::string& person, ByteView nonce,
                 const std::string& document_sha256);

}  // namespace fleetseal::signer

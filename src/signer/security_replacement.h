// k roots of the newest package replace the people of the security team.
//
// Source: trust model section 2; docs/protocol/security-replacement.md; docs/operations/lost-security-keys.md. Nothing
// online is asked: the signatures of the roots are the authority, whoever carries them. Thread rule: any thread.
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"
#include "signer/core.h"

namespace fleetseal::signer {

// Every security person that is not named again is revoked, with all roles; the register's sequence goes on, so that
// the document, and every other decision that is under way, fits never again. Recorded before it holds. Returned:
// {"sequence","certificates":{id: PEM},"notCertified"?} (why there are none: the key of the people CA is lost); the
// same document again is answered with new certificates. Codes: TypMismatch, HeaderNotAllowed, QuorumNotReached (fewer
// than k distinct enabled roots, or different payloads), UnknownRootKid, DisallowedRootKid, SignatureInvalid,
// AudienceMismatch (another organisation), Conflict (package or sequence), ApprovalExpired, KeyAlreadyUsed,
// KeyPurposeWrong (a root's key), AlreadyExists (the id of somebody else), SignerHalted unless the document ends the
// halt too; then the codes of CheckDecision.
Result<codec::Json> ReplaceSecurity(Core& core, const std::vector<std::string>& jws);

// `--replace-security FILE`, on the stopped signer: {"jws":[compact]}.
Result<codec::Json> ReplaceSecurityFromFile(const Config& config, const std::string& file, const sys::Clock& clock);

}  // namespace fleetseal::signer

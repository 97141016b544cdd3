// Documents that people and devices sign: their keys are in the signer's register, which no package holds.
//
// Source: trust model sections 2 and 4 (header alg, typ, kid; kid is the thumbprint of the key). The reader brings the
// keys; without the right one nothing is said of the signature. One thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/verify_documents.h"
#include "cli/verify_place.h"
#include "cli/verify_report.h"
#include "crypto/key.h"

namespace fleetseal::cli {

using KeysByThumbprint = std::map<std::string, crypto::PublicKey>;
// Each file is one JWK or an object of JWKs; a member name that is not the key's thumbprint is refused (KeyInvalid).
Result<KeysByThumbprint> ReadKeys(const std::vector<std::string>& paths);

bool IsOfPersonOrDevice(DocumentKind kind);
// REQUIRES: IsOfPersonOrDevice(document.kind) and it could be read.
void JudgePersonDocument(const FoundDocument& document, const KeysByThumbprint& keys, UnixSeconds now,
                         const Surroundings& around, Report& report);

// `code` if it is issued more than five minutes after `now` (as the signer judges) or has ended by then.
Verdict<void> JudgeDates(UnixSeconds issued, std::optional<UnixSeconds> expires, UnixSeconds now, ErrorCode code);

}  // namespace fleetseal::cli

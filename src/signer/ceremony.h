// Making an organisation: --create makes keys, CAs, log and database; --adopt takes what the roots and the security
// team signed; --recovery and --continue end a halt (ADR 0009).
//
// Source: docs/protocol/processes.md section 2; trust model sections 1 to 3. Private keys never leave; each ends with a
// JSON text to print. Thread rule: one thread, no service running there (Busy).
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "codec/json.h"
#include "config/findings/findings.h"
#include "crypto/algorithm.h"
#include "signer/config.h"
#include "sys/clock.h"

namespace fleetseal::signer {

struct CreateOptions {
  std::vector<ProductName> products;  // one publisher key each
  crypto::SignatureAlgorithm algorithm = crypto::SignatureAlgorithm::kEs256;
};
// AlreadyExists if the directory holds a signer; ConfigInvalid, NotFound (passphrase).
Result<codec::Json> CreateOrganisation(const Config& config, const CreateOptions& options, const sys::Clock& clock);

// AlreadyExists if it was done before; nothing is stored unless everything verifies. Codes: NotFound (a file),
// SigningKeyNotListed, UnknownRootKid, PackageStepInvalid, QuorumNotReached, PersonUnknown (a request without a
// person), and parsing codes.
Result<codec::Json> AdoptOrganisation(const Config& config, const std::string& folder, const sys::Clock& clock);

// What `--recovery` prints: signer/recovery.h's description, and `isRunning`, `filesSize`? and `filesSequence`? (log
// files ahead of the database), `filesProblem`?. A running signer is only read.
Result<codec::Json> ShowRecovery(const Config& config, const sys::Clock& clock);
// Takes a signed continue-after-restore from the file {"jws":[compact]}. Nothing changes unless it verifies and fits.
// Codes: Busy (the signer runs: send it as a register-change), those of VerifyChange and CheckDecision.
Result<codec::Json> ContinueAfterHalt(const Config& config, const std::string& decision_file, const sys::Clock& clock);

// `--clock-is-right DATE`: the log has records of a clock that was wrongly ahead; their time no longer counts. `date`
// (2027-01-31, UTC) is what the owner of the machine reads elsewhere. Durable when it returns; printed: what was said.
// Codes: InvalidArgument (no date, or not the machine's), Conflict (the clock is not behind), Busy.
Result<codec::Json> AcceptClock(const Config& config, const std::string& date, const sys::Clock& clock);

// `--certify-person FILE`: a certificate for the registered key that signed the request (DER) in the file, as the
// running signer gives it through the server: for whoever the server does not let in any more. `date` as that of
// --renew-server. Prints {"id","certificate":PEM}. Codes: those of PersonCertificate, Busy, NotFound.
Result<codec::Json> CertifyPersonFromFile(const Config& config, const std::string& file, const std::string& date,
                                          const sys::Clock& clock);

// Everything of the signer at rest; it may run meanwhile, and nothing changes.
config::Findings CheckSigner(const Config& config, const sys::Clock& clock);

}  // namespace fleetseal::signer

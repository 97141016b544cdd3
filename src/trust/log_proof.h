// Is the manifest signature on a log of the package, and is it still the log that the device knows? Check 9.
//
// Source: trust model sections 6 and 8.9. Thread rule: pure functions.
#pragma once

#include <span>
#include <string_view>

#include "manifest/receipt_proof.h"
#include "merkle/checkpoint.h"
#include "trust/trust_state.h"
#include "trust/verify_manifest.h"

namespace fleetseal::trust {

// The checkpoint that the proof leads to. Codes: LogProofMissing (no proof, other log, other leaf, not in the tree),
// QuorumMissing, SignatureInvalid, and those of the parsers.
Verdict<merkle::Checkpoint> VerifyLogged(const manifest::RootPackage& package, const VerifiedManifest& manifest,
                                         std::string_view log_proof);

struct LoggedRecord {
  merkle::Checkpoint checkpoint;
  uint64_t index = 0;
  Bytes leaf;  // of any type
};
// The record that the proof carries, and a signed checkpoint by itself, for those who show them. Codes as above.
Verdict<LoggedRecord> VerifyLogRecord(const manifest::RootPackage& package, std::string_view log_proof);
// The record of the batch that the receipt (compact JWS) is in. Whose the receipt is, its signature says.
// LogProofMissing (another receipt, batch or type of record), and codes as above.
Verdict<LoggedRecord> VerifyReceiptLogged(const manifest::RootPackage& package, std::string_view receipt,
                                          const manifest::ReceiptProof& proof);
Verdict<merkle::Checkpoint> VerifyLogCheckpoint(const manifest::RootPackage& package, std::string_view note);

// As VerifyLogged, and `consistency` joins the checkpoint with the stored one of its origin, from the smaller to the
// larger (empty for the first and for equal ones); the higher of the two is in the state given back. LogForked.
Verdict<TrustState> AcceptLogged(const TrustState& state, const VerifiedManifest& manifest, std::string_view log_proof,
                                 std::span<const Sha256> consistency);

}  // namespace fleetseal::trust

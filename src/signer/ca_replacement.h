// Another device CA or people CA: decided by the security quorum on the stopped signer.
//
// Source: ADR 0015; trust model sections 1 and 9; docs/operations/lost-client-ca.md. It works without the key of
// the CA that is replaced. Key and certificate are made first and named by nothing; the decision, its record and the
// rows that name the new CA are one transaction. The server has no verb for this. Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"
#include "signer/core.h"

namespace fleetseal::signer {

// Takes a signed replace-ca. Answers {"kind","number","certificateSha256","ends","certificates":PEM,"logIndex"}, the
// new CA first among the certificates, after the record; the same decision again is answered with what it made. The
// keys of `core` are those from before until the signer is opened again. Codes: those of VerifyChange, InvalidArgument
// (another change), Conflict (another CA than the present one, another sequence, or replaced again since),
// SignerHalted, ClockBehindLog, LogNotWritable, LimitExceeded (servers would not take so many), NotFound (the file of a
// CA that stays accepted is lost), Corrupt (the present device CA has no key, and the package does not list it).
Result<codec::Json> ReplaceCa(Core& core, const std::vector<std::string>& jws);

// `--replace-ca FILE`, on the stopped signer: {"jws":[compact]}. Busy, NotFound.
Result<codec::Json> ReplaceCaFromFile(const Config& config, const std::string& file, const sys::Clock& clock);

// `--show-cas`, on the stopped signer: {"registerSequence","isHalted","cas":{"device":CA,"people":CA}} with CA =
// {"certificateSha256","name","number","ends","hasKey","lost":[text],"certificates":PEM}; `lost` are
// the files of accepted CAs that cannot be read and so are not among `certificates`. Nothing changes. Busy.
Result<codec::Json> ShowCas(const Config& config, const sys::Clock& clock);

}  // namespace fleetseal::signer

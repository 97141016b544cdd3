// --cross-sign: the server CA's word for its successor, so that devices which know only the old one find their server.
//
// Source: trust model section 9; docs/operations/lost-ca-key.md. The successor's key is elsewhere. This CA vouches only
// for a CA that the roots have named: the newest root-key package lists it. The server has no verb for this. Thread
// rule: one thread.
#pragma once

#include <string>
#include <string_view>

#include "codec/json.h"
#include "signer/core.h"

namespace fleetseal::signer {

// `next_pem` is the new CA's own certificate, one. Answers {"certificate":PEM,"certificateSha256","ends","logIndex"},
// after the record; each call issues another one, which ends with the earlier of both CAs.
// Codes: CertificateInvalid (no CA of its own, the signer's own CA, or that allows no CA below itself),
// CertificateExpired (either CA has ended), Conflict (the newest root-key package does not list it), PackageExpired,
// SignerHalted, ClockBehindLog, LogNotWritable, and those of Certificate::FromPem.
Result<codec::Json> CrossSignServerCa(Core& core, std::string_view next_pem);

// The same on the stopped signer, from a file. Busy, NotFound.
Result<codec::Json> CrossSignFromFile(const Config& config, const std::string& file, const sys::Clock& clock);

}  // namespace fleetseal::signer

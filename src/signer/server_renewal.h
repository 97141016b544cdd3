// --renew-server: the server's next certificate, for the key and the names of the present one.
//
// Source: trust model section 9; docs/operations/certificates.md. Both are read from a certificate that this signer
// issued and has on record, and nothing else is asked for: no name changes. The server has no verb for this. The old
// certificate stays good until it ends. Thread rule: one thread.
#pragma once

#include <string>
#include <string_view>

#include "codec/json.h"
#include "signer/core.h"

namespace fleetseal::signer {

// `present` is PEM, the server's own certificate first; it may have ended. `date` (2027-01-31, UTC) is what the owner
// of the machine reads elsewhere; needed only beyond the life of the root-key package, else empty.
// Answers {"certificate":PEM,"certificateSha256","ends","logIndex"}, after the record; each call issues another one.
// Codes: CertificateInvalid (not of this signer's server CA, or not on its record), CertificateExpired (the CA has
// ended), Conflict (it ends with its CA), PackageExpired (without `date`), InvalidArgument (`date` is not the
// machine's), SignerHalted, ClockBehindLog, LogNotWritable, and those of Certificate::AllFromPem.
Result<codec::Json> RenewServer(Core& core, std::string_view present, const std::string& date);

// The same on the stopped signer, from a file. Busy, NotFound.
Result<codec::Json> RenewServerFromFile(const Config& config, const std::string& file, const std::string& date,
                                        const sys::Clock& clock);

}  // namespace fleetseal::signer

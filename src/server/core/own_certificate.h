// The server's own certificate: shown to whoever renews it, and replaced by its successor.
//
// Source: trust model section 9; docs/operations/certificates.md. The successor comes from the signer, by the hand of
// whoever owns the machine; it must be for the server's key, the same names and its CA. A running server goes on with
// what it read at its start. Thread rule: one thread; a server may run meanwhile.
#pragma once

#include <string>

#include "codec/json.h"
#include "server/core/config.h"
#include "sys/clock.h"

namespace fleetseal::server {

// {"certificate":PEM,"ends","names":[text]}, of the certificate file's first. A folder that cannot be written is an
// error here already, before anybody issues a successor. Codes: StorageFailed, NotFound, parsing codes.
Result<codec::Json> ShowCertificate(const ServerConfig& config);

// Puts the certificate of `file` (PEM, one) in the place of the present one, durably, the old file or the new; what
// follows the own certificate in the file stays. {"certificateSha256","ends","file"}. The same again changes nothing.
// Codes: CertificateInvalid (another key, other names, another CA), CertificateExpired, Conflict (it ends before the
// present one), NotFound, those of sys::WriteFileDurably, parsing codes.
Result<codec::Json> TakeCertificate(const ServerConfig& config, const std::string& file, const sys::Clock& clock);

}  // namespace fleetseal::server

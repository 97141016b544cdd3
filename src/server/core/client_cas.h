// The CAs whose certificates the two listeners take: shown, and replaced by what the signer printed.
//
// Source: trust model section 9; ADR 0015; docs/operations/lost-client-ca.md. They come by the hand of whoever owns
// the machine. They decide who may speak here and nothing else: who somebody is, their registered key says. A running
// server goes on with what it read at its start. Thread rule: one thread; a server may run meanwhile.
#pragma once

#include <string>

#include "codec/json.h"
#include "server/core/config.h"
#include "sys/clock.h"

namespace fleetseal::server {

enum class Listener : uint8_t { kDevice, kAdmin };

// {"device":FILE,"people":FILE} with FILE = {"file","certificateSha256":[text]}, empty for a file that is not there. A
// folder that cannot be written is an error here already, before anybody decides. Codes: StorageFailed, parsing codes.
Result<codec::Json> ShowClientCas(const ServerConfig& config);

// Puts the certificates of `file` (PEM, 1 to limits::kClientCasMax, the one that issues first) in the place of the
// listener's, durably, the old file or the new. {"file","certificateSha256":[text]}. The same again changes nothing.
// Codes: CertificateInvalid (no CA of its own, one that is not named like the signer's of that kind, or one that the
// server has for something else), CertificateExpired (the first one), LimitExceeded, NotFound, those of
// sys::WriteFileDurably, parsing codes.
Result<codec::Json> TakeClientCas(const ServerConfig& config, Listener listener, const std::string& file,
                                  const sys::Clock& clock);

}  // namespace fleetseal::server

// --show-trust: whom this device trusts, and until when: what its stored root-key package says.
//
// Source: S1.20, S1.36; trust model section 3. Judges nothing and changes nothing, so it works beside the running
// installer. One thread.
#pragma once

#include "codec/json.h"
#include "installer/config/config.h"
#include "sys/clock.h"

namespace fleetseal::installer {

// {"packageVersion","published","expires","isExpired","directorEpoch","threshold",
//  "roots":[{"kid","alg","thumbprint","isDisabled"}],
//  "signingKeys":[{"kid","alg","role","products"?,"notBefore","notAfter","thumbprint","isInForce"}],
//  "disabledSigningKeys":[hash],"logs":[{"origin","vkeys","witnesses","quorum"}],"serverCAs":[SHA-256 of the DER],
//  "timeFloor","now"}; hashes in base64url. "isInForce" is judged at "now", which is no earlier than the floor; null
//  for an
// RSA key while keys are disabled: which of them it may be, only the key itself would tell.
// TrustStateMissing (the installer was never started), and those of StateFile::Load: a state whose seal does not hold
// is not shown.
Result<codec::Json> ShowTrust(const Config& config, const sys::Clock& clock);

}  // namespace fleetseal::installer

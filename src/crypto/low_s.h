// The lower of the two forms of an ES256 signature.
//
// Source: SEC 1 section 4.1.4: (r, s) and (r, n - s) verify alike, so whoever carries a document can turn its bytes
// into other bytes that verify. We sign in the lower form; where the bytes of a document are its identity (receipts),
// the other form is refused. Signatures are r||s of 32 bytes each. Thread rule: pure functions.
#pragma once

#include <span>

#include "base/bytes.h"

namespace fleetseal::crypto {

// False as well for bytes of another length.
bool IsLowS(ByteView es256_signature);
// Leaves bytes of another length as they are.
void MakeLowS(std::span<uint8_t> es256_signature);

}  // namespace fleetseal::crypto

// Keys on a PKCS#11 token: make a pair, read the public half, sign. Nothing else is asked of a token.
//
// Source: PKCS#11 2.40 (OASIS), RFC 7512 (which key). The module is loaded with dlopen from the URI's module-path and
// stays loaded and initialised until the process ends: others may use it too, and C_Finalize would end their sessions.
// Only a digest (ES256) or a DigestInfo (RS256) goes to the token. A signature is verified before it is given out.
// Codes of all: InvalidArgument (URI without module-path, or no such token), NotFound (key), Conflict (more than one
// fits), PassphraseWrong (PIN), PermissionDenied (PIN locked), KeyInvalid and KeyWeak (of a kind that devices do not
// take), Unreachable (the module or token failed; the detail has the function and its CKR number).
// Thread rule: a signer may be used by many threads; it asks the token for one signature at a time.
#pragma once

#include <memory>

#include "crypto/key.h"
#include "crypto/pkcs11/uri.h"
#include "crypto/signer.h"

namespace fleetseal::crypto::pkcs11 {

// Logs in with the PIN of pin-source and finds the private key and its public half.
Result<std::unique_ptr<Signer>> OpenSigner(const Uri& uri);
Result<PublicKey> ReadPublicKey(const Uri& uri);
// A pair that never leaves the token (sensitive, not extractable) under the URI's object name. `kind` is kP256,
// kRsa2048 or kRsa3072. AlreadyExists if a key of that name is there.
Result<PublicKey> CreateKeyPair(const Uri& uri, KeyKind kind);

}  // namespace fleetseal::crypto::pkcs11

// Bodies of EST messages: certs-only PKCS#7 and the base64 around it.
//
// Source: RFC 7030 sections 3.2, 4.1.3 and 4.2.3, RFC 8951, RFC 5652 section 5 (SignedData version 1, no content, no
// signer). Reference EST section 3: clients send base64 with or without line breaks, DER, or PEM; we send 64 columns.
// Thread rule: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "pki/certificate.h"

namespace fleetseal::pki {

// DER, certificates in the order given. (A SET would be sorted by DER; readers and OpenSSL keep it as it is.)
Bytes EncodeCertsOnly(std::span<const Certificate> certificates);
// At least one and at most 16. Codes: DocumentTooLarge DerInvalid, and those of Certificate::FromDer.
Result<std::vector<Certificate>> DecodeCertsOnly(ByteView der);

// What kind of PEM block a body may be.
enum class EstBody : uint8_t { kRequest, kCertificates };
// The DER inside a body in any of the forms that clients send. Codes: DocumentTooLarge Base64Invalid PemInvalid.
Result<Bytes> DecodeEstBody(EstBody kind, std::string_view body);
// base64, lines of 64 columns, each ended by '\n'.
std::string EncodeEstBody(ByteView der);

}  // namespace fleetseal::pki

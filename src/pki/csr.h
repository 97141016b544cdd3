// Certificate requests (PKCS#10).
//
// Source: RFC 2986. The request proves possession of a key and nothing more: names in it are hints for logs, and its
// extensions other than SAN URIs are not even read. What is issued comes from the register (trust model section 2).
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/key.h"
#include "crypto/signer.h"

namespace fleetseal::pki {

struct CertificateRequest {
  crypto::PublicKey public_key;
  std::string subject_common_name;  // unchecked text of the requester; empty if absent or not printable ASCII
  std::vector<std::string> san_uris;
};

// Checks the signature with the key inside. Codes: DocumentTooLarge DerInvalid KeyInvalid KeyWeak SignatureInvalid.
Result<CertificateRequest> ParseCertificateRequest(ByteView der);
// One "CERTIFICATE REQUEST" block.
Result<CertificateRequest> ParseCertificateRequestPem(std::string_view pem);

// DER. `san_uris` may be empty. Codes: InvalidArgument (texts), and those of Signer::Sign.
Result<Bytes> BuildCertificateRequest(const crypto::Signer& key, std::string_view common_name,
                                      const std::vector<std::string>& san_uris);

}  // namespace fleetseal::pki

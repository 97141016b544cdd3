// Pieces of X.509 structures that we write, and the signature around them.
//
// Source: RFC 5280 section 4.1, RFC 2986 section 4, RFC 5758, RFC 8410, RFC 4055. Used by issue.cc and csr.cc only.
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/signer.h"

namespace fleetseal::pki {

// AlgorithmIdentifier of the key's default algorithm.
Bytes SignatureAlgorithmDer(const crypto::PublicKey& key);
// SEQUENCE { to_be_signed, algorithm, signature }. Codes of Signer::Sign.
Result<Bytes> SignDer(const crypto::Signer& signer, ByteView to_be_signed);

// A Name of one CN. InvalidArgument unless 1 to 64 printable ASCII characters.
Result<Bytes> NameDer(std::string_view common_name);
// UTCTime before 2050, else GeneralizedTime (RFC 5280 section 4.1.2.5). InvalidArgument outside 1970 to 9999.
Result<Bytes> TimeDer(UnixSeconds time);

struct SubjectNames {
  std::vector<std::string> uris;
  std::vector<std::string> dns;
  std::vector<std::string> ips;
};
// The whole SAN Extension. InvalidArgument for texts that are no URI, host name or address.
Result<Bytes> AlternativeNamesExtension(const SubjectNames& names);
// `oid` is the OID's content; `value` the DER inside the octet string.
Bytes ExtensionDer(ByteView oid, bool is_critical, ByteView value);

}  // namespace fleetseal::pki

// JWS in compact form: parsed strictly, readable only as unverified until a key has verified it.
//
// Source: RFC 7515 sections 3.1, 4 and 7.1; trust model section 4: protected header members are alg, typ, kid, sjwk and
// nothing else (crit, b64, jwk, jku, x5u, x5c, zip ... are refused), so nothing in a header can choose its own key.
// Thread rule: plain values; Verify may run on many threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "crypto/key.h"
#include "crypto/signer.h"

namespace fleetseal::jose {

struct JwsHeader {
  crypto::SignatureAlgorithm alg = crypto::SignatureAlgorithm::kEs256;
  std::string typ;  // printable ASCII; empty = not there (kLoose only)
  std::optional<std::string> kid;
  std::optional<std::string> sjwk;  // a compact JWS
};

enum class HeaderPolicy : uint8_t {
  kFleetseal,  // typ must be there; kid is an id
  kLoose,      // typ may be missing and kid is any printable ASCII: documents made by others (Azure, RFC examples)
};

class UnverifiedJws {
 public:
  // Exactly three canonical base64url segments, none empty; the header is strict JSON.
  // Codes: DocumentTooLarge JwsMalformed Base64Invalid HeaderNotAllowed AlgorithmNotAllowed MemberMissing
  // MemberTypeWrong IdInvalid TextInvalid, and those of ParseJson.
  static Result<UnverifiedJws> Parse(std::string_view compact, size_t bytes_max = limits::kJwsBytesMax,
                                     HeaderPolicy policy = HeaderPolicy::kFleetseal);

  const JwsHeader& header() const { return header_; }
  // Bytes that nobody has vouched for yet: for choosing a key or for display, never for acting on.
  ByteView unverified_payload() const { return payload_; }
  Bytes TakePayload() && { return std::move(payload_); }
  ByteView signature() const { return signature_; }
  // "<header>.<payload>" as received.
  std::string_view signing_input() const { return std::string_view(compact_).substr(0, signing_input_size_); }
  const std::string& compact() const { return compact_; }

  // Ok if `key` signed it with `expected` and the header says so. After it the payload is what that key's owner signed.
  // Codes: AlgorithmNotAllowed (header differs from expected, or does not fit the key), SignatureInvalid.
  Status Verify(const crypto::PublicKey& key, crypto::SignatureAlgorithm expected) const;

 private:
  UnverifiedJws() = default;

  std::string compact_;
  size_t signing_input_size_ = 0;
  JwsHeader header_;
  Bytes payload_;
  Bytes signature_;
};

// "<header>.<payload>" for `header` with members in the order alg, typ, kid, sjwk. Codes: as Parse for a header that it
// would refuse (typ empty, kid no id).
Result<std::string> BuildSigningInput(const JwsHeader& header, ByteView payload);
// The whole compact JWS. Codes: AlgorithmNotAllowed (does not fit the signer's key), and those of Signer::Sign.
Result<std::string> SignCompact(const crypto::Signer& signer, const JwsHeader& header, ByteView payload);

}  // namespace fleetseal::jose

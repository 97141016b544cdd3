// Leaves of the transparency log: compact JSON, nothing secret or personal in the clear.
//
// Source: trust model section 6; docs/protocol/documents.md section 7. Devices read manifest-signature leaves only.
// Thread rule: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace fleetseal::manifest {

struct ManifestSignatureLeaf {
  UnixSeconds time;
  Sha256 jws_sha256;  // of the whole compact manifest signature
  Sha256 manifest_sha256;
  ProductName product;
  int64_t release_counter = 1;
  Sha256 key_thumbprint;
  RequestId request_id;
  Sha256 policy_sha256;
  Sha256 evidence;  // SHA-256(salt, request, approvals)

  // LogProofMissing if the type is another one; ParseJson's and ObjectReader's codes.
  static Result<ManifestSignatureLeaf> Parse(std::string_view leaf);
  std::string Build() const;
};

// A downgrade permit was signed; its id is that of the request. Which devices it is for is not told.
struct PermitLeaf {
  UnixSeconds time;
  Sha256 jws_sha256;
  PermitId permit_id;
  ProductName product;
  Sha256 from_sha256;      // manifest that devices leave
  Sha256 manifest_sha256;  // manifest that they go back to
  Sha256 key_thumbprint;
  Sha256 policy_sha256;
  Sha256 evidence;  // SHA-256(salt, request, approvals)
  std::string Build() const;
};
struct OrderLeaf {
  UnixSeconds time;
  Sha256 jws_sha256;
  PlanId plan_id;
  int64_t sequence = 0;
  Sha256 device;  // SHA-256(salt, device id)
  std::string Build() const;
};
struct PackageLeaf {
  UnixSeconds time;
  int64_t version = 1;
  Sha256 signed_bytes_sha256;
  std::optional<Sha256> transcript_sha256 = std::nullopt;  // of the ceremony, if one came with the package
  std::string Build() const;
};
// plan, request, approval, register-change, revocation: the document's hash and id. `type` is the typ's middle part.
struct PersonDocumentLeaf {
  std::string type;
  UnixSeconds time;
  Sha256 jws_sha256;
  std::string id;
  std::string Build() const;
};
// The signer made a key or destroyed one: whoever signs its JWK compares the thumbprint.
struct SigningKeyLeaf {
  UnixSeconds time;
  std::string action;  // "create", "retire"
  KeyId kid;
  std::string role;
  Sha256 thumbprint;
  ChangeId change_id;
  std::string Build() const;
};
struct CertificateLeaf {
  UnixSeconds time;
  Sha256 certificate_sha256;
  std::string kind;  // "device", "server", "server-ca", "person", "device-ca", "people-ca"
  std::string Build() const;
};
struct SealedLeaf {
  UnixSeconds time;
  Sha256 manifest_sha256;
  FileId file_id;
  Sha256 sealed_sha256;
  ByteCount sealed_size;
  Sha256 plain_sha256;
  std::string Build() const;
};
struct ReceiptBatchLeaf {
  UnixSeconds time;
  Sha256 root;
  int64_t count = 0;
  // As ManifestSignatureLeaf::Parse.
  static Result<ReceiptBatchLeaf> Parse(std::string_view leaf);
  std::string Build() const;
};
struct RefusalLeaf {
  UnixSeconds time;
  std::string code;
  std::string what;
  std::string Build() const;
};

// The `type` of a leaf, for filtering. JsonInvalid, MemberMissing.
Result<std::string> LeafType(std::string_view leaf);

}  // namespace fleetseal::manifest

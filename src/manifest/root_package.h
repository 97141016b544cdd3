// The root-key package: whom an organisation trusts, and for what.
//
// Source: trust model section 3; docs/protocol/documents.md section 2; ADR 0003 (product written vendor:name).
// Parsing is strict and keeps the signed bytes (the tokens of `protected`, verbatim); it judges no signature, no date
// and no step: that is trust/. Thread rule: plain values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"
#include "crypto/algorithm.h"
#include "crypto/key.h"
#include "merkle/checkpoint.h"

namespace fleetseal::manifest {

enum class KeyRole : uint8_t { kPublisher, kAgentRelease, kDirector };
std::string_view KeyRoleName(KeyRole role);

struct RootKey {
  KeyId kid;
  crypto::PublicKey key;
};

// What a package says about one signing key. The key itself comes with each document (sjwk) and must hash to
// `thumbprint`.
struct SigningKeyListing {
  KeyId kid;
  Sha256 thumbprint;
  crypto::SignatureAlgorithm alg = crypto::SignatureAlgorithm::kEs256;  // kEs256 or kRs256
  KeyRole role = KeyRole::kPublisher;
  std::vector<ProductName> products;
  UnixSeconds not_before;
  UnixSeconds not_after;
  std::optional<codec::Json> pq;  // reserved: an object; a listing with it demands a signature nobody can verify yet
};

// Texts as in the package: base64url key parts, no slash.
struct PackageLog {
  std::string origin;
  std::vector<std::string> vkeys;
  std::vector<std::string> witnesses;
  int64_t quorum = 0;  // 0 = "none": no witness is asked for

  // For merkle/. Base64Invalid, KeyInvalid, Unsupported (key type).
  Result<merkle::LogPolicy> ToPolicy() const;
};

struct RootPackage {
  int64_t version = 1;
  UnixSeconds published;
  UnixSeconds expires;
  int64_t director_epoch = 0;
  int64_t threshold = 2;
  // Document order, which `signatures` follows for the first kind.
  std::vector<RootKey> root_keys;      // RSA, rootKeys
  std::vector<RootKey> root_keys_ext;  // others, rootKeysExt
  std::vector<KeyId> disabled_root_keys;
  std::vector<Sha256> disabled_signing_keys;
  std::vector<SigningKeyListing> signing_keys;
  std::vector<PackageLog> logs;
  std::map<ProductName, int64_t> min_counter;
  std::vector<Bytes> server_cas;  // DER certificates
  std::vector<Bytes> device_cas;

  // nullptr if the package names no such root (of either kind).
  const RootKey* FindRoot(std::string_view kid) const;
  bool IsRootDisabled(std::string_view kid) const;
  bool IsSigningKeyDisabled(const crypto::PublicKey& key) const;
  const SigningKeyListing* FindListing(std::string_view kid) const;
};

struct PackageSignature {
  KeyId kid;
  crypto::SignatureAlgorithm alg = crypto::SignatureAlgorithm::kEs256;
  Bytes signature;
};

struct RootPackageDocument {
  RootPackage package;
  std::string text;                          // as received
  Sha256 signed_sha256;                      // SHA-256 of SignedBytes(): status.packageSha256
  std::vector<Bytes> positional_signatures;  // RS256, over rootKeys; empty or one each
  std::vector<PackageSignature> signatures;  // signaturesExt, the only ones that trust/ counts

  // Codes: DocumentTooLarge, TextInvalid (a string that a package may not hold), ValueOutOfRange, KeyInvalid, KeyWeak,
  // AlgorithmNotAllowed, AlreadyExists (a kid twice), and those of ParseJson and ObjectReader.
  static Result<RootPackageDocument> Parse(std::string_view text);
  // What the roots signed: `protected` without the white space between tokens. Made anew each time, as a device keeps
  // the text anyway.
  std::string SignedBytes() const;
};

// Compact text of `protected`. It is what roots sign (as signed bytes: the text holds no white space between tokens).
std::string BuildProtected(const RootPackage& package);
// The whole document. `protected_text` is copied verbatim.
std::string AssemblePackage(std::string_view protected_text, const std::vector<Bytes>& positional_signatures,
                            const std::vector<PackageSignature>& signatures);

// vkey text <-> its form in a package (key part in base64url without padding). Base64Invalid, TextInvalid.
Result<std::string> VkeyFromPackage(std::string_view package_text);
Result<std::string> VkeyToPackage(std::string_view standard_text);
// "vendor/name" <-> "vendor:name".
std::string ProductToPackage(const ProductName& product);
Result<ProductName> ProductFromPackage(std::string_view text);

}  // namespace fleetseal::manifest

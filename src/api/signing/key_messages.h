// What the signer answers about its own keys, and about signing an update again.
//
// Source: docs/protocol/processes.md section 3. As messages.h. Thread rule: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::api::signing {

inline constexpr size_t kKeysListedMax = 1000;

struct SigningKeyRow {
  std::string kid;
  std::string role;   // "publisher", "agent-release", "director"
  std::string state;  // "waiting", "listed", "ready", "ended", "disabled", "retired"
  std::vector<ProductName> products;
  std::string alg;
  codec::Json jwk;  // public, with kid and alg: what `fleetseal root sign-key` takes
  Sha256 thumbprint;
  bool is_in_use = false;  // signs what is signed now, for its purpose and a product of it
  bool has_sjwk = false;   // a signature over it by a root that counts is here
  int64_t releases = 0;    // updates, not withdrawn, whose newest signature is by this key
  UnixSeconds created;     // 0: made with the organisation
  std::optional<std::string> change_id;
  std::optional<int64_t> log_index;  // of its `signing-key` record
  std::optional<UnixSeconds> not_before;
  std::optional<UnixSeconds> not_after;
  std::optional<UnixSeconds> retired;
};
// Whatever ends soon, or keeps something from being signed, in words.
struct KeysAnswer {
  std::vector<SigningKeyRow> keys;
  std::vector<std::string> warnings;
  int64_t package_version = 0;
  UnixSeconds package_expires;
  static Result<KeysAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct ResignAnswer {
  Sha256 manifest_sha256;
  std::string key_kid;
  std::string manifest_signature;  // compact JWS
  int64_t log_index = 0;
  static Result<ResignAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

}  // namespace fleetseal::api::signing

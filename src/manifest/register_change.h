// A change of the signer's register (typ kTypRegisterChange): people, policies, security keys, allowed devices, keys.
//
// Source: trust model section 2; docs/protocol/documents.md sections 4 and 5; ADR 0004 and 0005.
// Thread rule: plain values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "codec/json.h"
#include "crypto/key.h"
#include "manifest/common.h"
#include "manifest/policy.h"
#include "manifest/root_package.h"

namespace fleetseal::manifest {

enum class PersonRole : uint8_t { kPublisher, kSecurity, kApprover, kOperator, kAuditor };
std::string_view PersonRoleName(PersonRole role);
Result<PersonRole> PersonRoleFromName(std::string_view name);  // ValueOutOfRange

// The products of a person: all of them ("*") or those named.
struct ProductScope {
  bool is_all = false;
  std::vector<ProductName> products;
  bool Covers(const ProductName& product) const;
};

struct AddPerson {
  PersonId id;
  std::vector<PersonRole> roles;
  ProductScope products;
  crypto::PublicKey key;
};
struct RevokePerson {
  PersonId id;
};
struct SetPolicy {
  Policy policy;
};
// The security team: whose keys count, and how many of them decide. People and not keys, so that what is signed are the
// names that somebody typed: whose key is whose is for the register to say, never for a server.
struct SetSecurity {
  std::vector<PersonId> people;  // 1 to 32, none twice
  int64_t quorum = 1;            // 1 to their number
};
struct AllowDevice {
  DeviceId id;
  ProductName product;
  Environment environment;
  std::map<std::string, std::string> properties;
  int64_t generation = 1;
  crypto::PublicKey enrolment_key;  // Ed25519
  bool has_est_code = false;
  UnixSeconds expires;
};
// What a halted signer does next (ADR 0009). It stands alone in its register-change.
struct ContinueAfterRestore {
  Bytes halt_id;                     // 16 bytes: of this halt and no other
  int64_t log_size = 0;              // the log's size when it goes on
  int64_t sequence_floor = 0;        // every later order is above it
  bool is_log_adopted = false;       // the log's newer files are taken over first
  std::vector<DeviceId> quarantine;  // whose numbers are not believed; at most 64
};
// As a member of a security replacement: the roots decide what the quorum of a halted signer no longer can.
Result<ContinueAfterRestore> ParseContinueAfterRestore(const codec::Json& json);
codec::Json ContinueAfterRestoreJson(const ContinueAfterRestore& decision);
// The signer makes a key; nothing trusts it before the roots list it. It stands alone in its register-change.
struct CreateKey {
  KeyRole role = KeyRole::kDirector;
  std::vector<ProductName> products;                                    // none for a director, else 1 to 64
  crypto::SignatureAlgorithm alg = crypto::SignatureAlgorithm::kEs256;  // kEs256 or kRs256
};
// The key signs nothing any more and is destroyed. It stands alone in its register-change.
struct RetireKey {
  KeyId kid;
};
// The signer leaves its log for a new one (ADR 0013). It stands alone in its register-change.
struct NewLog {
  std::string origin;           // [a-z0-9][a-z0-9.-]{0,62}; never used before
  std::string previous_origin;  // of the log that is left; printable
  int64_t previous_size = 0;    // as the signer knows it
  bool is_lost = false;         // the log that is left cannot be written any more, or the signer is halted
  std::optional<Bytes> halt_id = std::nullopt;  // 16 bytes; of the halt there is
  int64_t sequence_floor = 0;                   // every later order is above it
  std::string reason;                           // 1 to 200 printable characters
};
// The CAs of clients.
enum class ClientCaKind : uint8_t { kDevice, kPeople };
std::string_view ClientCaKindName(ClientCaKind kind);              // "device", "people"
Result<ClientCaKind> ClientCaKindFromName(std::string_view name);  // ValueOutOfRange
// The signer makes another CA of that kind and issues by it alone (ADR 0015). It stands alone in its register-change.
struct ReplaceCa {
  ClientCaKind kind = ClientCaKind::kDevice;
  Sha256 previous_sha256;       // of the certificate of the CA that is replaced
  bool is_old_dropped = false;  // certificates of this and all earlier CAs of the kind are refused from now on
};
using Change = std::variant<AddPerson, RevokePerson, SetPolicy, SetSecurity, AllowDevice, ContinueAfterRestore,
                            CreateKey, RetireKey, NewLog, ReplaceCa>;

struct RegisterChange {
  ChangeId change_id;
  int64_t sequence = 0;
  std::vector<Change> changes;  // 1 to 64
  Bytes nonce;
  UnixSeconds issued;

  static Result<RegisterChange> Parse(std::string_view payload);
  std::string Build() const;
  // True if all changes are allow-device (one operator may sign them, sequence is 0: ADR 0004).
  bool is_devices_only() const;
  // The decision, if this is one.
  const ContinueAfterRestore* decision() const;
  // The decision on a new log, if this is one.
  const NewLog* new_log() const;
  // The decision on another CA, if this is one.
  const ReplaceCa* replace_ca() const;
  // Whether it makes or retires a key of the signer.
  bool is_about_keys() const;
};

}  // namespace fleetseal::manifest

// The three CAs: server, device, people. Each signs certificates of its own kind and nothing else.
//
// Source: trust model sections 1 and 9. What a certificate says comes from the register, never from a request: the id
// is the single SAN URI (server: DNS names and addresses). Certificates of the CAs are public files in the store `ca`.
// Thread rule: immutable after Load.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pki/certificate.h"
#include "signer/keys/signing_keys.h"

namespace fleetseal::signer {

// Lifetimes, seconds.
inline constexpr int64_t kLeafLifetime = 90 * 86'400;
inline constexpr int64_t kServerLifetime = 395 * 86'400;
inline constexpr int64_t kCaLifetime = 3650 * 86'400;

class CaKeys {
 public:
  // Makes keys (P-256) and self-signed certificates of all three.
  static Status Create(Keystore& keystore, const Organisation& organisation, UnixSeconds now);
  static Result<CaKeys> Load(const Keystore& keystore, const Organisation& organisation);

  const pki::Certificate& server_ca() const { return server_.certificate; }
  const pki::Certificate& device_ca() const { return device_.certificate; }
  const pki::Certificate& people_ca() const { return people_.certificate; }

  Result<pki::Certificate> IssueDevice(const DeviceId& id, const crypto::PublicKey& key, UnixSeconds now) const;
  Result<pki::Certificate> IssuePerson(const PersonId& id, const crypto::PublicKey& key, UnixSeconds now) const;
  struct ServerNames {
    std::vector<std::string> dns;
    std::vector<std::string> ips;
  };
  Result<pki::Certificate> IssueServer(const ServerNames& names, const crypto::PublicKey& key, UnixSeconds now) const;
  // See pki::CrossSign. The caller has judged `next`.
  Result<pki::Certificate> CrossSignServerCa(const pki::Certificate& next, UnixSeconds now) const;

 private:
  struct Ca {
    DocumentKey key;
    pki::Certificate certificate;
  };
  CaKeys(Organisation organisation, Ca server, Ca device, Ca people)
      : organisation_(std::move(organisation)),
        server_(std::move(server)),
        device_(std::move(device)),
        people_(std::move(people)) {}

  Organisation organisation_;
  Ca server_;
  Ca device_;
  Ca people_;
};

}  // namespace fleetseal::signer

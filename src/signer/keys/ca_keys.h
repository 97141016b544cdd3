// The three CAs: server, device, people. Each signs certificates of its own kind and nothing else.
//
// Source: trust model sections 1 and 9; ADR 0015. What a certificate says comes from the register, never from a
// request: the id is the single SAN URI (server: DNS names and addresses). Certificates of the CAs are public files in
// the store `ca`: "device-ca.crt" for the one that was made with the organisation, KID.crt for every later one.
// Thread rule: immutable after Load.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pki/certificate.h"
#include "signer/keys/signing_keys.h"

namespace fleetseal::signer {

// Lifetimes, seconds.
inline constexpr int64_t kLeafLifetime = 90 * 86'400;
inline constexpr int64_t kServerLifetime = 395 * 86'400;
inline constexpr int64_t kCaLifetime = 3650 * 86'400;

// A CA by the file of its certificate and the certificate's fingerprint.
struct NamedCa {
  std::string kid;
  Sha256 fingerprint;
};
// Which CAs of one kind count. Without `current` it is the one that was made with the organisation.
struct NamedCas {
  std::optional<NamedCa> current;
  std::vector<NamedCa> accepted;
};
// Of the CAs of clients; the server CA has no successor here.
struct CaChoice {
  NamedCas device;
  NamedCas people;
};
// Whether a CA whose key cannot be loaded, and an accepted one whose certificate cannot be read, is an obstacle:
// whoever decides about it must be able to work.
enum class LostKeys : uint8_t { kRefuse, kAllow };

class CaKeys {
 public:
  // Makes keys (P-256) and self-signed certificates of all three.
  static Status Create(Keystore& keystore, const Organisation& organisation, UnixSeconds now);
  // Codes: NotFound (a certificate; a key that is lost), Corrupt (of another key, or not the certificate named; with
  // kAllow also a first certificate beside the key of another one), those of Keystore::LoadOne.
  static Result<CaKeys> Load(const Keystore& keystore, const Organisation& organisation, const CaChoice& choice = {},
                             LostKeys lost_keys = LostKeys::kRefuse);
  // Makes the `number`th CA of a kind: the certificate's file, then the key's. Nothing names it yet.
  static Result<pki::Certificate> MakeNext(Keystore& keystore, const Organisation& organisation, Purpose purpose,
                                           int64_t number, UnixSeconds now);
  // Writes a CA's certificate where NamedCa finds it.
  static Status Keep(const Keystore& keystore, Purpose purpose, const pki::Certificate& certificate);

  const pki::Certificate& server_ca() const { return server_.certificate; }
  // Those that issue.
  const pki::Certificate& device_ca() const { return device_.certificate; }
  const pki::Certificate& people_ca() const { return people_.certificate; }
  // Those whose certificates count: the issuing one first.
  std::vector<pki::Certificate> AllOf(Purpose purpose) const;
  bool HasKey(Purpose purpose) const { return Of(purpose).signer != nullptr; }

  // Accepted ones whose certificates cannot be read (LostKeys::kAllow): what is wrong with each file.
  const std::vector<std::string>& LostOf(Purpose purpose) const { return Of(purpose).lost; }

  // KeyInvalid if the CA's key is lost (LostKeys::kAllow).
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
    std::unique_ptr<crypto::SoftwareSigner> signer;  // null: the key is lost
    pki::Certificate certificate;
    std::vector<pki::Certificate> accepted;
    std::vector<std::string> lost;
  };
  static Result<Ca> LoadCa(const Keystore& keystore, Purpose purpose, const NamedCas& named, LostKeys lost_keys);
  CaKeys(Organisation organisation, Ca server, Ca device, Ca people)
      : organisation_(std::move(organisation)),
        server_(std::move(server)),
        device_(std::move(device)),
        people_(std::move(people)) {}
  const Ca& Of(Purpose purpose) const;

  Organisation organisation_;
  Ca server_;
  Ca device_;
  Ca people_;
};

}  // namespace fleetseal::signer

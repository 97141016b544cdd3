// The device's TLS identity on disk: key and certificate, owned by the agent.
//
// Source: trust model sections 1 and 9. key.pem (0600) is made once and stays over renewals: another key would need a
// signed approval. cert.pem is what EST gave. Thread rule: one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "crypto/signer.h"
#include "pki/certificate.h"

namespace fleetseal::device {

class Identity {
 public:
  // Makes the directory (0700) and the key if they are not there; removes what a run that was cut off left. Codes:
  // those of sys::ReadSecretFile, PrivateKey::FromPem, Certificate::FromPem, and of writing files.
  static Result<std::unique_ptr<Identity>> Open(const std::string& directory);
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  const crypto::Signer& key() const { return key_; }
  const std::optional<pki::Certificate>& certificate() const { return certificate_; }
  const std::string& key_path() const { return key_path_; }
  const std::string& certificate_path() const { return certificate_path_; }
  // A request for this key with the id as single SAN URI. DER.
  Result<Bytes> BuildRequest(const Organisation& organisation, const DeviceId& device_id) const;
  // CertificateInvalid unless it is for this key. Durable when it returns.
  Status SetCertificate(const pki::Certificate& certificate);
  // From two thirds of its life on (reference EST section 5). REQUIRES: there is a certificate.
  bool is_renewal_due(UnixSeconds now) const;

 private:
  Identity(crypto::PrivateKey key, std::string key_path, std::string certificate_path)
      : key_(std::move(key)), key_path_(std::move(key_path)), certificate_path_(std::move(certificate_path)) {}

  crypto::SoftwareSigner key_;
  std::string key_path_;
  std::string certificate_path_;
  std::optional<pki::Certificate> certificate_;
};

}  // namespace fleetseal::device

#include "device/identity.h"

#include <utility>

#include "pki/chain.h"
#include "pki/csr.h"
#include "sys/file.h"
#include "sys/temporaries.h"

namespace fleetseal::device {
namespace {

constexpr size_t kPemBytesMax = 64 * 1024;

Result<crypto::PrivateKey> LoadOrCreateKey(const std::string& path) {
  auto stored = sys::ReadSecretFile(path, kPemBytesMax);
  if (stored) return crypto::PrivateKey::FromPem(AsText(stored->reveal()));
  if (stored.error().code != ErrorCode::kNotFound) return tl::unexpected(stored.error());
  TRY_ASSIGN(crypto::PrivateKey key, crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  std::string pem = key.ToPem();
  const Status written = sys::CreateFileDurably(path, AsBytes(pem), 0600);
  WipeMemory(pem.data(), pem.size());
  TRY(written);
  return key;
}

}  // namespace

Result<std::unique_ptr<Identity>> Identity::Open(const std::string& directory) {
  TRY(sys::MakeDirectories(directory, 0700));
  // Half a key perhaps, from a run that was cut off. What cannot be removed is no reason to stand still.
  (void)sys::RemoveTemporaries(directory);
  std::string key_path = sys::JoinPath(directory, "key.pem");
  std::string certificate_path = sys::JoinPath(directory, "cert.pem");
  TRY_ASSIGN_CONTEXT(crypto::PrivateKey key, LoadOrCreateKey(key_path), "identity key");
  std::unique_ptr<Identity> identity(new Identity(std::move(key), std::move(key_path), std::move(certificate_path)));
  if (!sys::FileExists(identity->certificate_path_)) return identity;
  TRY_ASSIGN(const std::string pem, sys::ReadTextFile(identity->certificate_path_, kPemBytesMax));
  TRY_ASSIGN_CONTEXT(pki::Certificate certificate, pki::Certificate::FromPem(pem), identity->certificate_path_);
  // A certificate of another key cannot be used; the device enrols again.
  if (certificate.public_key() == identity->key_.public_key()) identity->certificate_ = std::move(certificate);
  return identity;
}

Result<Bytes> Identity::BuildRequest(const Organisation& organisation, const DeviceId& device_id) const {
  const pki::Identity id{.kind = pki::IdentityKind::kDevice, .id = device_id.text()};
  return pki::BuildCertificateRequest(key_, device_id.text(), {pki::IdentityUri(organisation, id)});
}

Status Identity::SetCertificate(const pki::Certificate& certificate) {
  if (!(certificate.public_key() == key_.public_key()))
    return Fail(ErrorCode::kCertificateInvalid, "the certificate is for another key");
  const std::string pem = certificate.ToPem();
  TRY(sys::WriteFileDurably(certificate_path_, AsBytes(pem), 0644));
  certificate_ = certificate;
  return {};
}

bool Identity::is_renewal_due(UnixSeconds now) const {
  const int64_t life = certificate_->not_after().value - certificate_->not_before().value;
  return now >= certificate_->not_before() + life / 3 * 2;
}

}  // namespace fleetseal::device

#include "installer/keys.h"

#include <string_view>
#include <utility>

#include "crypto/kdf.h"
#include "sys/file.h"

namespace fleetseal::installer {
namespace {

constexpr size_t kKeyBytesMax = 16 * 1024;

constexpr std::string_view kSealInfo = "fleetseal state seal v1";

SecretBytes SealKeyOf(ByteView pem) { return crypto::HkdfSha256(pem, {}, AsBytes(kSealInfo), kSealKeyBytes); }

// `seal_key`, if wanted, follows from the bytes of the file.
Result<crypto::PrivateKey> LoadOrCreate(const std::string& path, SecretBytes* seal_key) {
  auto stored = sys::ReadSecretFile(path, kKeyBytesMax);
  if (stored && seal_key != nullptr) *seal_key = SealKeyOf(stored->reveal());
  if (stored) return crypto::PrivateKey::FromPem(AsText(stored->reveal()));
  if (stored.error().code != ErrorCode::kNotFound) return tl::unexpected(stored.error());
  TRY_ASSIGN(crypto::PrivateKey key, crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  std::string pem = key.ToPem();
  if (seal_key != nullptr) *seal_key = SealKeyOf(AsBytes(pem));
  const Status written = sys::CreateFileDurably(path, AsBytes(pem), 0600);
  WipeMemory(pem.data(), pem.size());
  TRY(written);
  return key;
}

}  // namespace

Result<std::unique_ptr<DeviceKeyring>> DeviceKeyring::Open(const std::string& state_directory) {
  SecretBytes seal_key;
  TRY_ASSIGN_CONTEXT(crypto::PrivateKey receipt,
                     LoadOrCreate(sys::JoinPath(state_directory, "receipt-key.pem"), &seal_key), "receipt key");
  TRY_ASSIGN_CONTEXT(crypto::PrivateKey encryption,
                     LoadOrCreate(sys::JoinPath(state_directory, "encryption-key.pem"), nullptr), "encryption key");
  return std::unique_ptr<DeviceKeyring>(
      new DeviceKeyring(std::move(receipt), std::move(encryption), std::move(seal_key)));
}

}  // namespace fleetseal::installer

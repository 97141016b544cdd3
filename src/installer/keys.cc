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

}  // namespace

// `seal_key`, if wanted, follows from the bytes of the file.
Result<crypto::PrivateKey> DeviceKeyring::Load(const std::string& path, Missing missing, SecretBytes* seal_key) {
  auto stored = sys::ReadSecretFile(path, kKeyBytesMax);
  if (stored && seal_key != nullptr) *seal_key = SealKeyOf(stored->reveal());
  if (stored) return crypto::PrivateKey::FromPem(AsText(stored->reveal()));
  if (stored.error().code != ErrorCode::kNotFound || missing == Missing::kRefuse) return tl::unexpected(stored.error());
  TRY_ASSIGN(crypto::PrivateKey key, crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  std::string pem = key.ToPem();
  if (seal_key != nullptr) *seal_key = SealKeyOf(AsBytes(pem));
  const Status written = sys::CreateFileDurably(path, AsBytes(pem), 0600);
  WipeMemory(pem.data(), pem.size());
  TRY(written);
  return key;
}

Result<std::unique_ptr<DeviceKeyring>> DeviceKeyring::OpenWith(const std::string& state_directory, Missing missing) {
  SecretBytes seal_key;
  TRY_ASSIGN_CONTEXT(crypto::PrivateKey receipt,
                     Load(sys::JoinPath(state_directory, "receipt-key.pem"), missing, &seal_key), "receipt key");
  TRY_ASSIGN_CONTEXT(crypto::PrivateKey encryption,
                     Load(sys::JoinPath(state_directory, "encryption-key.pem"), missing, nullptr), "encryption key");
  return std::unique_ptr<DeviceKeyring>(
      new DeviceKeyring(std::move(receipt), std::move(encryption), std::move(seal_key)));
}

Result<std::unique_ptr<DeviceKeyring>> DeviceKeyring::Open(const std::string& state_directory) {
  return OpenWith(state_directory, Missing::kMake);
}

Result<std::unique_ptr<DeviceKeyring>> DeviceKeyring::OpenExisting(const std::string& state_directory) {
  return OpenWith(state_directory, Missing::kRefuse);
}

}  // namespace fleetseal::installer

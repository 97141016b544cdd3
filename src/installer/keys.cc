#include "installer/keys.h"

#include <string_view>
#include <utility>

#include "sys/file.h"

namespace fleetseal::installer {
namespace {

constexpr size_t kKeyBytesMax = 16 * 1024;

Result<crypto::PrivateKey> LoadOrCreate(const std::string& path) {
  auto stored = sys::ReadSecretFile(path, kKeyBytesMax);
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

Result<std::unique_ptr<DeviceKeyring>> DeviceKeyring::Open(const std::string& state_directory) {
  TRY_ASSIGN_CONTEXT(crypto::PrivateKey receipt, LoadOrCreate(sys::JoinPath(state_directory, "receipt-key.pem")),
                     "receipt key");
  TRY_ASSIGN_CONTEXT(crypto::PrivateKey encryption, LoadOrCreate(sys::JoinPath(state_directory, "encryption-key.pem")),
                     "encryption key");
  return std::unique_ptr<DeviceKeyring>(new DeviceKeyring(std::move(receipt), std::move(encryption)));
}

}  // namespace fleetseal::installer

#include "sealing/content_key.h"

#include "base/check.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "jose/jwe.h"
#include "sealing/sealed_file.h"

namespace fleetseal::sealing {
namespace {

codec::Json BindingJson(const ContentKeyBinding& binding) {
  codec::Json json = codec::Json::MakeObject();
  json.Set("deviceId", binding.device_id.text())
      .Set("generation", binding.generation)
      .Set("manifestSha256", codec::EncodeBase64Url(binding.manifest_sha256.view()));
  return json;
}

// Members of {"alg","enc","epk","deviceId","generation","manifestSha256"}.
constexpr size_t kHeaderMembers = 6;

}  // namespace

Result<std::string> WrapUpdateKey(const SecretBytes& update_key, const crypto::PublicKey& device_key,
                                  const ContentKeyBinding& binding) {
  CHECK(update_key.size() == kUpdateKeyBytes);
  return jose::EncryptCompact(device_key, update_key.reveal(), BindingJson(binding));
}

Result<SecretBytes> UnwrapUpdateKey(std::string_view compact, const crypto::PrivateKey& device_key,
                                    const ContentKeyBinding& binding) {
  TRY_ASSIGN(jose::DecryptedJwe jwe, jose::DecryptCompact(device_key, compact));
  // The header is authenticated; it must say exactly what this device expects (trust model section 7).
  const codec::Json expected = BindingJson(binding);
  if (jwe.protected_header.as_object().size() != kHeaderMembers)
    return Fail(ErrorCode::kDecryptFailed, "content key: other header members");
  for (const auto& [name, value] : expected.as_object()) {
    const codec::Json* member = jwe.protected_header.Find(name);
    if (member == nullptr || *member != value)
      return Fail(ErrorCode::kDecryptFailed, "content key: bound to another " + name);
  }
  if (jwe.plain.size() != kUpdateKeyBytes) return Fail(ErrorCode::kDecryptFailed, "content key: not 32 bytes");
  return std::move(jwe.plain);
}

}  // namespace fleetseal::sealing

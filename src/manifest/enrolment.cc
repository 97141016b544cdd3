#include "manifest/enrolment.h"

#include <algorithm>

#include "crypto/kdf.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {

Result<DeviceKeys> DeviceKeys::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "device keys");
  const DeviceId device_id = reader.Parsed<DeviceId>("deviceId");
  const int64_t generation = reader.Integer("generation", 1);
  const Sha256 csr_sha256 = reader.Base64UrlSha256("csrSha256");
  const auto receipt_key = Key(reader, "receiptKey");
  const auto encryption_key = Key(reader, "encryptionKey");
  const UnixSeconds issued = reader.Time("issued");
  TRY(reader.Finish());
  return DeviceKeys{device_id, generation, csr_sha256, *receipt_key, *encryption_key, issued};
}

std::string DeviceKeys::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("deviceId", device_id.text())
      .Set("generation", generation)
      .Set("csrSha256", HashJson(csr_sha256))
      .Set("receiptKey", KeyJson(receipt_key))
      .Set("encryptionKey", KeyJson(encryption_key))
      .Set("issued", TimeJson(issued));
  return json.Serialize();
}

Result<Enrolment> Enrolment::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "enrolment");
  Enrolment enrolment;
  enrolment.device_id = reader.Parsed<DeviceId>("deviceId");
  enrolment.keys = Compact(reader, "keys");
  enrolment.issued = reader.Time("issued");
  TRY(reader.Finish());
  return enrolment;
}

std::string Enrolment::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("deviceId", device_id.text()).Set("keys", keys).Set("issued", TimeJson(issued));
  return json.Serialize();
}

Result<crypto::PrivateKey> DeriveEnrolmentKey(std::string_view code, const DeviceId& device_id) {
  const bool is_code = code.size() == 26 && std::all_of(code.begin(), code.end(), [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
                       });
  if (!is_code) return Fail(ErrorCode::kIdInvalid, "an enrolment code is 26 characters of a-z and 2-7");
  const std::string info = "fleetseal enrolment v1 " + device_id.text();
  const SecretBytes seed = crypto::HkdfSha256(AsBytes(code), {}, AsBytes(info), 32);
  return crypto::PrivateKey::Ed25519FromSeed(seed.reveal());
}

}  // namespace fleetseal::manifest

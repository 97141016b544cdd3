// enrol: the signer is the registration authority; it checks the code itself and records all keys of the device at
// once.
#include "manifest/enrolment.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/typ.h"
#include "pki/csr.h"
#include "signer/device_rules.h"
#include "signer/store/register_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::EnrolAnswer;

// How long the same keys get the same certificate again (a lost answer).
constexpr int64_t kRepeatSeconds = 86'400;

// The keys that an enrolment registers.
struct Claim {
  crypto::PublicKey identity;
  std::optional<manifest::DeviceKeys> keys;  // none with a bare code
};

// A wrong code or signature, as opposed to a good one over wrong contents: only this is counted.
Result<bool> IsCodeRight(const store::DeviceRow& device, const DeviceId& id, const std::string& code) {
  const auto key = manifest::DeriveEnrolmentKey(code, id);
  TRY_ASSIGN(const Bytes expected, codec::DecodeBase64Url(device.enrolment_key));
  return key.has_value() && IsEqualConstantTime(key->public_key().x(), expected);
}

// What can be said of a claim before anybody asks which device it is about.
Result<std::optional<jose::UnverifiedJws>> ParseProof(const EnrolInput& input) {
  if (input.proof.has_value() == input.code.has_value()) {
    return Fail(ErrorCode::kInvalidArgument, "an enrolment has either a proof or a code");
  }
  std::optional<jose::UnverifiedJws> jws;
  if (!input.proof) return jws;
  TRY_ASSIGN(jws, jose::UnverifiedJws::Parse(*input.proof));
  if (jws->header().typ != manifest::kTypEnrolment) return Fail(ErrorCode::kTypMismatch, jws->header().typ);
  if (jws->header().sjwk || !jws->header().kid)
    return Fail(ErrorCode::kHeaderNotAllowed, "an enrolment has alg, typ and kid");
  return jws;
}

Result<std::optional<manifest::Enrolment>> VerifyProof(const store::DeviceRow& device, const jose::UnverifiedJws& jws) {
  std::optional<manifest::Enrolment> verified;
  TRY_ASSIGN(const Bytes point, codec::DecodeBase64Url(device.enrolment_key));
  TRY_ASSIGN(const crypto::PublicKey key, crypto::PublicKey::FromEd25519(point));
  if (!IsEqualConstantTime(AsBytes(*jws.header().kid), AsBytes(key.key_id())) ||
      !jws.Verify(key, crypto::SignatureAlgorithm::kEdDsa)) {
    return verified;
  }
  TRY_ASSIGN(verified, manifest::Enrolment::Parse(AsText(jws.unverified_payload())));
  return verified;
}

Result<manifest::DeviceKeys> VerifyDeviceKeys(const std::string& compact) {
  TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(compact));
  if (jws.header().typ != manifest::kTypDeviceKeys) return Fail(ErrorCode::kTypMismatch, jws.header().typ);
  TRY_ASSIGN(manifest::DeviceKeys keys, manifest::DeviceKeys::Parse(AsText(jws.unverified_payload())));
  if (jws.header().sjwk || jws.header().kid != keys.receipt_key.key_id()) {
    return Fail(ErrorCode::kEnrolmentRefused, "device-keys are not signed by the receipt key in them");
  }
  TRY(jws.Verify(keys.receipt_key, keys.receipt_key.default_algorithm()));
  return keys;
}

Status CheckDeviceKeys(const store::DeviceRow& device, const EnrolInput& input, const manifest::DeviceKeys& keys) {
  if (keys.device_id != input.device_id) return Fail(ErrorCode::kEnrolmentRefused, "the keys are for another device");
  if (keys.generation != device.generation)
    return Fail(ErrorCode::kEnrolmentRefused, "the keys are for another generation");
  if (keys.csr_sha256 != crypto::HashSha256(input.csr))
    return Fail(ErrorCode::kEnrolmentRefused, "the keys are for another request");
  if (keys.encryption_key.type() != crypto::KeyType::kP256)
    return Fail(ErrorCode::kKeyInvalid, "the encryption key is not P-256");
  return {};
}

// The one answer to whoever does not hold the code. The route is open to everyone: it tells neither which devices there
// are nor how they stand.
tl::unexpected<Error> NotProven() { return Fail(ErrorCode::kEnrolmentRefused, "the code or its proof is not right"); }

// A wrong code changes nothing: 128 bits cannot be guessed, and a count that voids the entry would let any stranger who
// knows the id keep the device out (ADR 0005).
Status TellOfFailure(const EnrolInput& input) {
  log::Event(log::Level::kWarning, "enrolment.failed", {{"device", input.device_id.text()}, {"remote", input.remote}});
  return NotProven();
}

Result<Claim> VerifyClaim(const store::DeviceRow& device, const EnrolInput& input,
                          const std::optional<jose::UnverifiedJws>& proof, crypto::PublicKey identity) {
  Claim claim{std::move(identity), std::nullopt};
  if (!proof) {
    TRY_ASSIGN(const bool is_right, IsCodeRight(device, input.device_id, *input.code));
    if (!is_right) TRY(TellOfFailure(input));
    if (!device.has_est_code) return Fail(ErrorCode::kCodeWithoutKeys, device.id);
    return claim;
  }
  TRY_ASSIGN(const auto enrolment, VerifyProof(device, *proof));
  if (!enrolment) TRY(TellOfFailure(input));
  // Whoever saw the bare code on its way (a taken-over server) could make this proof, with keys of its own.
  if (device.has_est_code)
    return Fail(ErrorCode::kEnrolmentRefused, "the entry is for a plain EST client: allow the device without estCode");
  if (enrolment->device_id != input.device_id)
    return Fail(ErrorCode::kEnrolmentRefused, "the proof is for another device");
  TRY_ASSIGN(claim.keys, VerifyDeviceKeys(enrolment->keys));
  TRY(CheckDeviceKeys(device, input, *claim.keys));
  return claim;
}

std::vector<Sha256> ThumbprintsOf(const Claim& claim) {
  std::vector<Sha256> all = {claim.identity.thumbprint()};
  if (claim.keys) {
    all.push_back(claim.keys->receipt_key.thumbprint());
    all.push_back(claim.keys->encryption_key.thumbprint());
  }
  return all;
}

// One key has one owner and one purpose.
Status CheckKeysFree(storage::Session& session, const Claim& claim, const DeviceId& id) {
  const auto thumbprints = ThumbprintsOf(claim);
  for (size_t i = 0; i < thumbprints.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (thumbprints[i] == thumbprints[j]) return Fail(ErrorCode::kKeyAlreadyUsed, "one key for two purposes");
    }
    TRY_ASSIGN(const auto owner, store::FindKeyOwner(session, Text(thumbprints[i])));
    if (owner && *owner != "device:" + id.text())
      return Fail(ErrorCode::kKeyAlreadyUsed, "a key belongs to another device or person");
  }
  return {};
}

Status CheckEntry(const store::DeviceRow& device, UnixSeconds now) {
  TRY(CheckDeviceState(device));
  if (device.state != "allowed") return Fail(ErrorCode::kEnrolmentCodeUsed, device.id + " is enrolled already");
  if (device.expires <= now.value)
    return Fail(ErrorCode::kEnrolmentCodeUsed, "the entry of " + device.id + " has expired");
  return {};
}

void SetKeys(store::DeviceRow& device, const Claim& claim) {
  device.identity_key = Text(claim.identity.thumbprint());
  if (!claim.keys) return;
  const auto jwk = [](const crypto::PublicKey& key) {
    return jose::BuildJwk({.key = key, .kid = {}, .alg = {}}).Serialize();
  };
  device.receipt_jwk = jwk(claim.keys->receipt_key);
  device.receipt_kid = claim.keys->receipt_key.key_id();
  device.encryption_jwk = jwk(claim.keys->encryption_key);
}

// A device that was cut off before it had its certificate asks in a request of other bytes: ECDSA signs with chance.
bool IsRepeat(const store::DeviceRow& device, const Claim& claim, UnixSeconds now) {
  if (device.state != "active" || !device.enrolled || now.value - *device.enrolled >= kRepeatSeconds) return false;
  store::DeviceRow asked = device;
  SetKeys(asked, claim);
  return asked.identity_key == device.identity_key && asked.receipt_jwk == device.receipt_jwk &&
         asked.encryption_jwk == device.encryption_jwk;
}

void Activate(store::DeviceRow& device, const Claim& claim, const EnrolInput& input, UnixSeconds now) {
  device.state = "active";
  SetKeys(device, claim);
  device.csr_sha256 = Text(crypto::HashSha256(input.csr));
  device.enrolled = now.value;
}

Result<EnrolAnswer> Issue(const Core& core, store::DeviceRow device, const Claim& claim, const EnrolInput& input) {
  TRY(core.database().WithSnapshot(
      [&](storage::Session& session) { return CheckKeysFree(session, claim, input.device_id); }));
  TRY_ASSIGN(const pki::Certificate certificate, core.cas().IssueDevice(input.device_id, claim.identity, core.Now()));
  TRY_ASSIGN(const int64_t index,
             core.Record(manifest::CertificateLeaf{core.Now(), certificate.fingerprint(), "device"}.Build()));
  Activate(device, claim, input, core.Now());
  SetCertificate(device, certificate);
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    for (const auto& thumbprint : ThumbprintsOf(claim))
      TRY(store::PutUsedKey(session, Text(thumbprint), "device:" + device.id));
    TRY(store::InsertCertificate(
        session, {Text(certificate.fingerprint()), "device", device.id, device.generation, false, index}));
    return store::PutDevice(session, device);
  });
  TRY(stored);
  log::Event(log::Level::kInfo, "device.enrolled",
             {{"device", device.id}, {"generation", device.generation}, {"remote", input.remote}});
  return AnswerFor(device);
}

}  // namespace

Result<EnrolAnswer> Enrol(Core& core, const EnrolInput& input) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const pki::CertificateRequest request, pki::ParseCertificateRequest(input.csr));
  TRY_ASSIGN(const auto proof, ParseProof(input));
  // The key lock keeps two devices from registering one key side by side; enrolments are rare enough for one name.
  const auto guard = core.objects.Acquire({"device:" + input.device_id.text(), "enrolment-keys"});
  TRY_ASSIGN(const auto device, FindDevice(core, input.device_id));
  if (!device) return NotProven();
  TRY_ASSIGN(const Claim claim, VerifyClaim(*device, input, proof, request.public_key));
  if (IsRepeat(*device, claim, core.Now())) return AnswerFor(*device);
  TRY(CheckEntry(*device, core.Now()));
  return Issue(core, *device, claim, input);
}

}  // namespace fleetseal::signer

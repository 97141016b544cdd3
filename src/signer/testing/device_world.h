// Devices of a test organisation: their enrolment and receipts.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <map>
#include <string>

#include "manifest/enrolment.h"
#include "manifest/receipt.h"
#include "signer/testing/organisation_world.h"

namespace fleetseal::signer::testing {

// The device's side of one enrolment.
struct WorldDevice {
  DeviceId id;
  int64_t generation = 1;
  std::string code;
  WorldKey identity = WorldKey::Make("");
  WorldKey receipt_key = WorldKey::Make("");
  crypto::PrivateKey encryption = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  Bytes certificate;
  int64_t receipt_number = 0;
  Sha256 receipt_previous;

  Bytes Csr() const { return Must(pki::BuildCertificateRequest(*identity.signer, id.text(), {})); }
};

class DeviceWorld : public OrganisationWorld {
 public:
  manifest::AllowDevice MakeAllow(const WorldDevice& device) const {
    const auto key = Must(manifest::DeriveEnrolmentKey(device.code, device.id));
    return {device.id,         product,          environment, {{"manufacturer", "acme"}, {"model", "gateway"}},
            device.generation, key.public_key(), false,       now() + 86'400};
  }
  WorldDevice MakeDevice(const std::string& id) {
    WorldDevice device{.id = Must(DeviceId::Parse(id)),
                       .generation = 1,
                       .code = "abcdefghijklmnopqrstuvwxyz",
                       .certificate = {},
                       .receipt_number = 0,
                       .receipt_previous = {}};
    return device;
  }
  void Allow(const WorldDevice& device) {
    const auto change = MakeChange({MakeAllow(device)});
    (void)Must(RegisterChange(core(), {SignAs("olga", manifest::kTypRegisterChange, change.Build())}));
  }
  std::string Proof(const WorldDevice& device) const {
    manifest::DeviceKeys keys{device.id,
                              device.generation,
                              crypto::HashSha256(csr_of(device)),
                              device.receipt_key.key(),
                              device.encryption.public_key(),
                              now()};
    return ProofOf(device, keys);
  }
  std::string ProofOf(const WorldDevice& device, const manifest::DeviceKeys& keys) const {
    const manifest::Enrolment enrolment{device.id, SignAs(device.receipt_key, manifest::kTypDeviceKeys, keys.Build()),
                                        now()};
    const WorldKey code_key{
        "", std::make_shared<const crypto::SoftwareSigner>(Must(manifest::DeriveEnrolmentKey(device.code, device.id)))};
    return SignAs(code_key, manifest::kTypEnrolment, enrolment.Build());
  }
  // ECDSA is not deterministic: one request a device.
  const Bytes& csr_of(const WorldDevice& device) const {
    auto& csr = csrs_[device.identity.key().key_id()];
    if (csr.empty()) csr = device.Csr();
    return csr;
  }
  // From now on devices sign requests of other bytes, as after a restart.
  void ForgetRequests() { csrs_.clear(); }
  EnrolInput Input(const WorldDevice& device) const {
    return {device.id, csr_of(device), Proof(device), std::nullopt, "192.0.2.1"};
  }
  WorldDevice Enrolled(const std::string& id) {
    WorldDevice device = MakeDevice(id);
    Allow(device);
    device.certificate = Must(Enrol(core(), Input(device))).certificate;
    return device;
  }
  std::string MakeReceipt(WorldDevice& device, bool is_kept = true, int64_t sequence = 0) {
    manifest::Receipt receipt;
    receipt.device_id = device.id;
    receipt.generation = device.generation;
    receipt.number = device.receipt_number + 1;
    receipt.previous = device.receipt_previous;
    receipt.epoch = 1;
    receipt.sequence = sequence;
    receipt.outcome = manifest::Outcome::kRefused;
    receipt.code = "NotCompatible";
    receipt.issued = now();
    const std::string compact = SignAs(device.receipt_key, manifest::kTypReceipt, receipt.Build());
    if (is_kept) {
      device.receipt_number = receipt.number;
      device.receipt_previous = crypto::HashSha256(compact);
    }
    return compact;
  }

 private:
  mutable std::map<std::string, Bytes> csrs_;
};

}  // namespace fleetseal::signer::testing

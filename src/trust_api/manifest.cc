#include "trust_api/handles.h"

using fleetseal::Bytes;
using fleetseal::Sha256;
using fleetseal::UnixSeconds;
using namespace fleetseal::trust_api;  // NOLINT(google-build-using-namespace): the C edge of that folder
namespace trust = fleetseal::trust;

namespace {

// Bytes of the longer hashes.
constexpr size_t kSha384Bytes = 48;
constexpr size_t kSha512Bytes = 64;

Bytes HashOf(const uint8_t* hash, size_t size) { return hash == nullptr ? Bytes() : Bytes(hash, hash + size); }

}  // namespace

fleetseal_trust_code fleetseal_trust_verify_manifest(const fleetseal_trust_state* state,
                                                     const fleetseal_trust_device* device,
                                                     fleetseal_trust_bytes manifest, fleetseal_trust_bytes signature,
                                                     int64_t now, fleetseal_trust_manifest** out,
                                                     fleetseal_trust_detail* detail) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (state == nullptr || device == nullptr || manifest.data == nullptr || signature.data == nullptr)
    return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    const trust::TrustState& known = state->state;
    std::span<const Sha256> withdrawn;
    if (known.status) withdrawn = known.status->withdrawn;
    auto verified = trust::VerifyManifest({known.root_package(), known.profile, device->description.device.organisation,
                                           withdrawn, trust::EffectiveNow(known, UnixSeconds{now})},
                                          View(manifest), View(signature));
    if (!verified) return Explained(detail, verified.error());
    auto* handle = new fleetseal_trust_manifest{*std::move(verified), nullptr, nullptr};
    handle->verified = &*handle->own;
    *out = handle;
    return FLEETSEAL_TRUST_OK;
  });
}

fleetseal_trust_code fleetseal_trust_manifest_describe(const fleetseal_trust_manifest* manifest,
                                                       fleetseal_trust_manifest_info* info) noexcept {
  if (manifest == nullptr || info == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  const trust::VerifiedManifest& verified = *manifest->verified;
  *info = {};
  info->product = verified.manifest().product.text().c_str();
  info->version = verified.manifest().version.text().c_str();
  info->component = verified.manifest().component.c_str();
  info->release_counter = verified.signature().release_counter;
  info->is_sealed = verified.signature().delivery == fleetseal::manifest::Delivery::kSealed ? 1 : 0;
  CopyHash(verified.sha256(), info->sha256);
  CopyHash(verified.signer().thumbprint, info->key_sha256);
  info->file_count = verified.manifest().files.size();
  info->step_count = verified.manifest().steps.size();
  return FLEETSEAL_TRUST_OK;
}

fleetseal_trust_code fleetseal_trust_manifest_file(const fleetseal_trust_manifest* manifest, size_t index,
                                                   fleetseal_trust_file* file) noexcept {
  if (manifest == nullptr || file == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *file = {};
  const auto& files = manifest->verified->manifest().files;
  if (index >= files.size()) return FLEETSEAL_TRUST_BAD_CALL;
  const fleetseal::manifest::UpdateFile& verified = files[index];
  file->file_id = verified.id.text().c_str();
  file->file_name = verified.file_name.c_str();
  file->size = verified.size.value;
  CopyHash(verified.sha256, file->sha256);
  file->has_sha384 = verified.sha384 ? 1 : 0;
  file->has_sha512 = verified.sha512 ? 1 : 0;
  if (manifest->order == nullptr) return FLEETSEAL_TRUST_OK;
  for (const fleetseal::manifest::OrderContent& content : manifest->order->contents) {
    if (content.file_id != verified.id) continue;
    file->sealed_size = content.sealed_size.value;
    CopyHash(content.sealed_sha256, file->sealed_sha256);
  }
  return FLEETSEAL_TRUST_OK;
}

fleetseal_trust_code fleetseal_trust_manifest_step(const fleetseal_trust_manifest* manifest, size_t index,
                                                   fleetseal_trust_step* step) noexcept {
  if (manifest == nullptr || step == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *step = {};
  const auto& steps = manifest->verified->manifest().steps;
  if (index >= steps.size()) return FLEETSEAL_TRUST_BAD_CALL;
  step->handler = steps[index].handler.c_str();
  step->file_count = steps[index].files.size();
  return FLEETSEAL_TRUST_OK;
}

void fleetseal_trust_manifest_free(fleetseal_trust_manifest* manifest) noexcept {
  // One that is part of an order goes with it.
  if (manifest != nullptr && manifest->own) delete manifest;
}

fleetseal_trust_code fleetseal_trust_verify_log_proof(const fleetseal_trust_state* state,
                                                      const fleetseal_trust_manifest* manifest,
                                                      fleetseal_trust_bytes proof,
                                                      fleetseal_trust_checkpoint* checkpoint,
                                                      fleetseal_trust_detail* detail) noexcept {
  if (state == nullptr || manifest == nullptr || proof.data == nullptr || checkpoint == nullptr)
    return FLEETSEAL_TRUST_BAD_CALL;
  *checkpoint = {};
  return Guarded(detail, [&]() -> Code {
    const auto logged = trust::VerifyLogged(state->state.root_package(), *manifest->verified, View(proof));
    if (!logged) return Explained(detail, logged.error());
    logged->origin.copy(checkpoint->origin, FLEETSEAL_TRUST_ORIGIN_BYTES_MAX - 1);
    checkpoint->size = logged->size;
    CopyHash(logged->root, checkpoint->root);
    return FLEETSEAL_TRUST_OK;
  });
}

fleetseal_trust_code fleetseal_trust_check_file(const fleetseal_trust_manifest* manifest, const char* file_id,
                                                const fleetseal_trust_computed* computed,
                                                fleetseal_trust_detail* detail) noexcept {
  if (manifest == nullptr || file_id == nullptr || computed == nullptr || computed->sha256 == nullptr)
    return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    const fleetseal::manifest::UpdateFile* file = manifest->verified->manifest().FindFile(file_id);
    if (file == nullptr)
      return Explained(detail, fleetseal::Refusal(fleetseal::ErrorCode::kFileNotInManifest, "no such file"));
    const trust::ComputedFile own{{computed->size},
                                  *Sha256::FromBytes({computed->sha256, Sha256::kSize}),
                                  HashOf(computed->sha384, kSha384Bytes),
                                  HashOf(computed->sha512, kSha512Bytes)};
    const auto same = trust::CheckFile(*file, own);
    return same ? FLEETSEAL_TRUST_OK : Explained(detail, same.error());
  });
}

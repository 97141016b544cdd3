#include <cstring>

#include "trust_api/handles.h"

using fleetseal::UnixSeconds;
using namespace fleetseal::trust_api;  // NOLINT(google-build-using-namespace): the C edge of that folder
namespace trust = fleetseal::trust;

namespace {

// One byte more than a package may have, so that a larger one is refused as such.
constexpr size_t kPackageTextMax = FLEETSEAL_TRUST_PACKAGE_BYTES_MAX + 1;

Code Limit(fleetseal_trust_detail* detail) {
  return Explained(detail, fleetseal::Refusal(fleetseal::ErrorCode::kLimitExceeded, "too many packages"));
}

}  // namespace

fleetseal_trust_code fleetseal_trust_device_parse(fleetseal_trust_bytes json, fleetseal_trust_device** out,
                                                  fleetseal_trust_detail* detail) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (json.data == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    if (json.size > FLEETSEAL_TRUST_DEVICE_BYTES_MAX) return static_cast<Code>(fleetseal::ErrorCode::kDocumentTooLarge);
    auto description = trust::ParseDeviceDescription(View(json));
    if (!description) return Explained(detail, description.error());
    *out = new fleetseal_trust_device{*std::move(description)};
    return FLEETSEAL_TRUST_OK;
  });
}

void fleetseal_trust_device_free(fleetseal_trust_device* device) noexcept { delete device; }

fleetseal_trust_code fleetseal_trust_provision(const fleetseal_trust_device* device, fleetseal_trust_bytes package,
                                               fleetseal_trust_state** out, fleetseal_trust_detail* detail) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (device == nullptr || package.data == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&] {
    const trust::DeviceDescription& description = device->description;
    return GiveState(trust::Provision(View(package), description.build_time, description.profile), out, detail);
  });
}

fleetseal_trust_code fleetseal_trust_state_parse(fleetseal_trust_bytes text, fleetseal_trust_state** out,
                                                 fleetseal_trust_detail* detail) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (text.data == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&] { return GiveState(trust::TrustState::Parse(View(text)), out, detail); });
}

fleetseal_trust_code fleetseal_trust_state_serialize(const fleetseal_trust_state* state, char* buffer, size_t capacity,
                                                     size_t* size) noexcept {
  if (size == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *size = 0;
  if (state == nullptr || (buffer == nullptr && capacity != 0)) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(nullptr, [&]() -> Code {
    const std::string text = state->state.Serialize();
    *size = text.size();
    if (text.size() > capacity) return FLEETSEAL_TRUST_BUFFER_TOO_SMALL;
    std::memcpy(buffer, text.data(), text.size());
    return FLEETSEAL_TRUST_OK;
  });
}

fleetseal_trust_code fleetseal_trust_state_describe(const fleetseal_trust_state* state,
                                                    fleetseal_trust_state_info* info) noexcept {
  if (state == nullptr || info == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  const trust::TrustState& known = state->state;
  *info = {};
  info->package_version = known.root_package().version;
  info->package_expires = known.root_package().expires.value;
  info->director_epoch = known.root_package().director_epoch;
  info->time_floor = known.time_floor.value;
  if (known.status) {
    info->has_status = 1;
    info->status_epoch = known.status->epoch;
    info->status_version = known.status->version;
    info->status_expires = known.status->expires.value;
  }
  if (known.order) {
    info->has_order = 1;
    info->order_epoch = known.order->epoch;
    info->order_sequence = known.order->sequence;
    CopyHash(known.order->sha256, info->order_sha256);
  }
  return FLEETSEAL_TRUST_OK;
}

void fleetseal_trust_state_free(fleetseal_trust_state* state) noexcept { delete state; }

fleetseal_trust_code fleetseal_trust_accept_built_in(const fleetseal_trust_state* state,
                                                     const fleetseal_trust_device* device,
                                                     const fleetseal_trust_bytes* packages, size_t package_count,
                                                     fleetseal_trust_state** out,
                                                     fleetseal_trust_detail* detail) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (state == nullptr || device == nullptr || (packages == nullptr && package_count != 0))
    return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    if (package_count > FLEETSEAL_TRUST_PACKAGES_MAX) return Limit(detail);
    const UnixSeconds build_time = device->description.build_time;
    auto next = trust::AcceptBuiltIn(state->state, {}, build_time);
    // One after the other, so that one text at a time is held.
    for (size_t i = 0; next && i < package_count; ++i) {
      const std::string text(View(packages[i]).substr(0, kPackageTextMax));
      next = trust::AcceptBuiltIn(*next, {&text, 1}, build_time);
    }
    return GiveState(std::move(next), out, detail);
  });
}

fleetseal_trust_code fleetseal_trust_check_stored(const fleetseal_trust_state* state,
                                                  const fleetseal_trust_bytes* packages, size_t package_count,
                                                  fleetseal_trust_detail* detail) noexcept {
  if (state == nullptr || (packages == nullptr && package_count != 0)) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    if (package_count > FLEETSEAL_TRUST_PACKAGES_MAX) return Limit(detail);
    auto checked = trust::CheckStored(state->state, {});
    for (size_t i = 0; checked && i < package_count; ++i) {
      const std::string text(View(packages[i]).substr(0, kPackageTextMax));
      checked = trust::CheckStored(state->state, {&text, 1});
    }
    return checked ? FLEETSEAL_TRUST_OK : Explained(detail, checked.error());
  });
}

fleetseal_trust_code fleetseal_trust_accept_package(const fleetseal_trust_state* state, fleetseal_trust_bytes package,
                                                    fleetseal_trust_state** out,
                                                    fleetseal_trust_detail* detail) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (state == nullptr || package.data == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&] { return GiveState(trust::AcceptPackageStep(state->state, View(package)), out, detail); });
}

fleetseal_trust_code fleetseal_trust_accept_status(const fleetseal_trust_state* state, fleetseal_trust_bytes status,
                                                   int64_t now, fleetseal_trust_state** out,
                                                   fleetseal_trust_detail* detail) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (state == nullptr || status.data == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&] {
    return GiveState(trust::AcceptStatus(state->state, View(status), UnixSeconds{now}), out, detail);
  });
}

fleetseal_trust_code fleetseal_trust_accept_nonce_status(const fleetseal_trust_state* state,
                                                         fleetseal_trust_bytes status, fleetseal_trust_bytes nonce,
                                                         int64_t* now, fleetseal_trust_state** out,
                                                         fleetseal_trust_detail* detail) noexcept {
  if (out == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  *out = nullptr;
  if (state == nullptr || status.data == nullptr || nonce.data == nullptr || now == nullptr)
    return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    auto answered = trust::AcceptNonceStatus(state->state, View(status), fleetseal::AsBytes(View(nonce)));
    if (!answered) return Explained(detail, answered.error());
    *out = new fleetseal_trust_state{std::move(answered->next_state)};
    *now = answered->now.value;
    return FLEETSEAL_TRUST_OK;
  });
}

fleetseal_trust_code fleetseal_trust_judge_fresh(const fleetseal_trust_state* state, int64_t now,
                                                 fleetseal_trust_detail* detail) noexcept {
  if (state == nullptr) return FLEETSEAL_TRUST_BAD_CALL;
  return Guarded(detail, [&]() -> Code {
    if (const auto package = trust::JudgePackageFresh(state->state, UnixSeconds{now}); !package)
      return Explained(detail, package.error());
    const auto status = trust::JudgeStatusFresh(state->state, UnixSeconds{now});
    return status ? FLEETSEAL_TRUST_OK : Explained(detail, status.error());
  });
}

// What the opaque handles of <fleetseal/trust.h> hold, and the one way over the boundary. For this folder's .cc files.
//
// Source: house rule 17 (C ABI). Every entry point that decides is one Guarded call: no exception leaves, a Refusal or
// Error becomes its number, its detail goes to the caller. Thread rule: handles are immutable once made.
#pragma once

#include <algorithm>
#include <new>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "trust/offer.h"
#include "trust/trust.h"
#include "trust_api/include/fleetseal/trust.h"

struct fleetseal_trust_state {
  fleetseal::trust::TrustState state;
};

struct fleetseal_trust_device {
  fleetseal::trust::DeviceDescription description;
};

struct fleetseal_trust_manifest {
  std::optional<fleetseal::trust::VerifiedManifest> own;  // unless it is part of an order
  const fleetseal::trust::VerifiedManifest* verified = nullptr;
  const fleetseal::manifest::Order* order = nullptr;  // may be null
};

struct fleetseal_trust_order {
  fleetseal::trust::AcceptedOrder accepted;  // its next_state was moved from
  fleetseal_trust_manifest manifest;         // points into `accepted`; of no use for a cancel
};

namespace fleetseal::trust_api {

using Code = fleetseal_trust_code;
using Detail = fleetseal_trust_detail;

inline std::string_view View(const fleetseal_trust_bytes& bytes) {
  return bytes.data == nullptr ? std::string_view()
                               : std::string_view(static_cast<const char*>(bytes.data), bytes.size);
}

inline std::optional<std::string_view> OptionalView(const fleetseal_trust_bytes& bytes) {
  if (bytes.data == nullptr) return std::nullopt;
  return View(bytes);
}

// Printable ASCII, cut to fit.
inline void Explain(Detail* detail, std::string_view text) {
  if (detail == nullptr) return;
  const size_t size = std::min(text.size(), sizeof detail->text - 1);
  std::transform(text.begin(), text.begin() + static_cast<ptrdiff_t>(size), detail->text,
                 [](char c) { return c >= 0x20 && c <= 0x7e ? c : '?'; });
  detail->text[size] = '\0';
}

// The number of an Error or a Refusal.
template <typename Failure>
Code Explained(Detail* detail, const Failure& failure) {
  Explain(detail, failure.detail);
  return static_cast<Code>(failure.code);
}

// Runs one entry point. REQUIRES: `call` gives a Code.
template <typename Call>
Code Guarded(Detail* detail, Call call) noexcept {
  Explain(detail, {});
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return FLEETSEAL_TRUST_OUT_OF_MEMORY;
  } catch (...) {
    return FLEETSEAL_TRUST_BUG;
  }
}

// A verdict with a state of its own: *out is set only when it is good.
template <typename Outcome>
Code GiveState(Outcome outcome, fleetseal_trust_state** out, Detail* detail) {
  if (!outcome) return Explained(detail, outcome.error());
  *out = new fleetseal_trust_state{*std::move(outcome)};
  return FLEETSEAL_TRUST_OK;
}

inline void CopyHash(const Sha256& hash, uint8_t (&out)[FLEETSEAL_TRUST_HASH_BYTES]) {
  std::copy(hash.bytes.begin(), hash.bytes.end(), out);
}

}  // namespace fleetseal::trust_api

// Small values that several documents share: delivery, windows, roles, audience.
//
// Source: docs/protocol/documents.md section 4. Thread rule: plain values, pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::manifest {

// How the files of an update travel. A device takes the one it was provisioned for and no other.
enum class Delivery : uint8_t { kSealed, kClear };
std::string_view DeliveryName(Delivery delivery);
Result<Delivery> DeliveryFromName(std::string_view name);  // ValueOutOfRange

enum class Reboot : uint8_t { kNow, kLater };
std::string_view RebootName(Reboot reboot);
Result<Reboot> RebootFromName(std::string_view name);  // ValueOutOfRange

// Both ends are inside.
struct Window {
  UnixSeconds not_before;
  UnixSeconds not_after;
  auto operator<=>(const Window&) const = default;
};
// ValueOutOfRange if it ends before it begins; and codes of ObjectReader.
Result<Window> ParseWindow(const codec::Json& json);
codec::Json BuildWindow(const Window& window);

// "urn:fleetseal:<org>".
std::string AudienceOf(const Organisation& organisation);

// "2026-11-21T10:00:00Z", years 1970 to 9999. TextInvalid for any other form.
Result<UnixSeconds> ParseDateTime(std::string_view text);
std::string BuildDateTime(UnixSeconds time);

}  // namespace fleetseal::manifest

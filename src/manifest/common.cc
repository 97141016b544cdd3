#include "manifest/common.h"

#include <array>
#include <ctime>

namespace fleetseal::manifest {
namespace {

Error Unknown(std::string_view what, std::string_view name) {
  return {ErrorCode::kValueOutOfRange, std::string(what) + " is not known: " + std::string(name.substr(0, 32)), {}};
}

}  // namespace

std::string_view DeliveryName(Delivery delivery) { return delivery == Delivery::kSealed ? "sealed" : "clear"; }

Result<Delivery> DeliveryFromName(std::string_view name) {
  if (name == "sealed") return Delivery::kSealed;
  if (name == "clear") return Delivery::kClear;
  return tl::unexpected(Unknown("delivery", name));
}

std::string_view RebootName(Reboot reboot) { return reboot == Reboot::kNow ? "now" : "later"; }

Result<Reboot> RebootFromName(std::string_view name) {
  if (name == "now") return Reboot::kNow;
  if (name == "later") return Reboot::kLater;
  return tl::unexpected(Unknown("reboot", name));
}

Result<Window> ParseWindow(const codec::Json& json) {
  codec::ObjectReader reader(json, "window");
  Window window;
  window.not_before = reader.Time("notBefore");
  window.not_after = reader.Time("notAfter");
  TRY(reader.Finish());
  if (window.not_after < window.not_before) return Fail(ErrorCode::kValueOutOfRange, "window ends before it begins");
  return window;
}

codec::Json BuildWindow(const Window& window) {
  codec::Json json = codec::Json::MakeObject();
  json.Set("notBefore", window.not_before.value).Set("notAfter", window.not_after.value);
  return json;
}

std::string AudienceOf(const Organisation& organisation) { return "urn:fleetseal:" + organisation.text(); }

Result<UnixSeconds> ParseDateTime(std::string_view text) {
  static constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  const auto refused = [] { return Fail(ErrorCode::kTextInvalid, "not a time of the form 2026-11-21T10:00:00Z"); };
  if (text.size() != kForm.size()) return refused();
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !is_digit : text[i] != kForm[i]) return refused();
  }
  const auto number = [&](size_t from, size_t count) {
    int value = 0;
    for (size_t i = from; i < from + count; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  std::tm parts{};
  parts.tm_year = number(0, 4) - 1900;
  parts.tm_mon = number(5, 2) - 1;
  parts.tm_mday = number(8, 2);
  parts.tm_hour = number(11, 2);
  parts.tm_min = number(14, 2);
  parts.tm_sec = number(17, 2);
  const UnixSeconds time{static_cast<int64_t>(timegm(&parts))};
  // timegm carries "month 13" and "31 April" over: only what comes back unchanged was a date.
  if (time.value < 0 || BuildDateTime(time) != text) return refused();
  return time;
}

std::string BuildDateTime(UnixSeconds time) {
  const std::time_t seconds = static_cast<std::time_t>(time.value);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

}  // namespace fleetseal::manifest

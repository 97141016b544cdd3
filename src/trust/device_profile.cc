#include "trust/device_profile.h"

#include "codec/json.h"

namespace fleetseal::trust {
namespace {

constexpr size_t kPropertiesMax = 32;
constexpr size_t kComponentsMax = 16;

void ReadProperties(codec::ObjectReader& reader, DeviceProfile& device) {
  const codec::Json& properties = reader.Object("properties");
  if (!reader.is_good()) return;
  if (properties.as_object().size() > kPropertiesMax)
    reader.Stop(ErrorCode::kLimitExceeded, "properties", "more than 32");
  for (const auto& [name, value] : properties.as_object()) {
    if (value.is_string())
      device.properties[name] = value.as_string();
    else
      reader.Stop(ErrorCode::kMemberTypeWrong, "properties", "a value is no text");
  }
}

// A part that nobody named takes no update: `main` too, once others are named.
void ReadComponents(codec::ObjectReader& reader, DeviceProfile& device) {
  if (!reader.Has("components")) return;
  device.components.clear();
  for (std::string& name : reader.Strings("components", kComponentsMax)) {
    if (!IsIdText(name)) reader.Stop(ErrorCode::kIdInvalid, "components", "not an id");
    if (!device.components.insert(std::move(name)).second)
      reader.Stop(ErrorCode::kValueOutOfRange, "components", "one is named twice");
  }
  if (reader.is_good() && device.components.empty())
    reader.Stop(ErrorCode::kValueOutOfRange, "components", "there is none");
}

}  // namespace

Result<DeviceDescription> ParseDeviceDescription(std::string_view text) {
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(text));
  codec::ObjectReader reader(json, "device.json");
  DeviceDescription description;
  DeviceProfile& device = description.device;
  device.organisation = reader.Parsed<Organisation>("organisation");
  device.device_id = reader.Parsed<DeviceId>("deviceId");
  device.generation = reader.Integer("generation", 1);
  device.product = reader.Parsed<ProductName>("product");
  device.environment = reader.Parsed<Environment>("environment");
  ReadProperties(reader, device);
  ReadComponents(reader, device);
  auto delivery = manifest::DeliveryFromName(reader.String("delivery"));
  if (reader.is_good() && reader.Take(delivery, "delivery")) device.delivery = *delivery;
  const std::string profile = reader.OptionalString("profile").value_or("native");
  if (profile == "adu")
    description.profile = Profile::kAdu;
  else if (profile != "native")
    reader.Stop(ErrorCode::kValueOutOfRange, "profile", "not \"native\" or \"adu\"");
  description.build_time = reader.Time("buildTime");
  TRY(reader.Finish());
  return description;
}

}  // namespace fleetseal::trust

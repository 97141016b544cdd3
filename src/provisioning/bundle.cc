#include "provisioning/bundle.h"

#include <limits>
#include <utility>

#include "base/limits.h"
#include "manifest/enrolment.h"
#include "pki/certificate.h"

namespace fleetseal::provisioning {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kServerBytesMax = 1024;
constexpr size_t kPemBytesMax = 64 * 1024;
constexpr int64_t kCheckInSecondsMax = 86'400;

Json DeviceJson(const Bundle& bundle) {
  const trust::DeviceProfile& device = bundle.device;
  Json properties = Json::MakeObject();
  for (const auto& [name, value] : device.properties) properties.Set(name, value);
  Json json = Json::MakeObject();
  json.Set("organisation", device.organisation.text()).Set("deviceId", device.device_id.text());
  json.Set("generation", device.generation).Set("product", device.product.text());
  json.Set("environment", device.environment.text()).Set("properties", std::move(properties));
  json.Set("delivery", manifest::DeliveryName(device.delivery));
  if (device.components != trust::DeviceProfile{}.components) {
    Json components = Json::MakeArray();
    for (const auto& name : device.components) components.Push(name);
    json.Set("components", std::move(components));
  }
  if (bundle.profile == trust::Profile::kAdu) json.Set("profile", "adu");
  json.Set("buildTime", bundle.build_time.value);
  return json;
}

Result<AgentSettings> ReadAgent(const Json& json) {
  ObjectReader reader(json, "agent");
  AgentSettings settings;
  settings.check_in_seconds = reader.OptionalInteger("checkInSeconds", 1, kCheckInSecondsMax);
  settings.rate_max = reader.OptionalInteger("rateMax", 0, std::numeric_limits<uint32_t>::max());
  settings.proxy = reader.OptionalString("proxy", kServerBytesMax);
  TRY(reader.Finish());
  return settings;
}

Json AgentJson(const AgentSettings& settings) {
  Json json = Json::MakeObject();
  json.SetOptional("checkInSeconds", settings.check_in_seconds).SetOptional("rateMax", settings.rate_max);
  json.SetOptional("proxy", settings.proxy);
  return json;
}

// "trial", "image", or an object.
Status ReadInstaller(const Json& json, Bundle& bundle) {
  if (json.is_string() && json.as_string() == "trial") return {};
  if (json.is_string() && json.as_string() == "image") {
    bundle.source = InstallerSource::kImage;
    return {};
  }
  if (!json.is_object())
    return Fail(ErrorCode::kValueOutOfRange, "bundle.installer: not \"trial\", \"image\" or an object");
  bundle.source = InstallerSource::kBundle;
  bundle.installer = json;
  return CheckInstallerMembers(json);
}

Status CheckServerCa(const std::string& pem) {
  TRY_ASSIGN_CONTEXT(const auto certificates, pki::Certificate::AllFromPem(pem), "bundle.serverCa");
  for (const auto& certificate : certificates)
    if (!certificate.is_ca() || !certificate.can_sign_certificates())
      return Fail(ErrorCode::kCertificateInvalid,
                  "bundle.serverCa: " + certificate.subject_common_name() + " is not a CA certificate");
  return {};
}

Status CheckParts(const Bundle& bundle) {
  const auto trust = trust::Provision(bundle.package, bundle.build_time, bundle.profile);
  if (!trust) return Fail(trust.error().code, "bundle.package: " + trust.error().detail);
  TRY(CheckServerCa(bundle.server_ca_pem));
  TRY_CONTEXT(manifest::DeriveEnrolmentKey(bundle.code, bundle.device.device_id), "bundle.code");
  return {};
}

}  // namespace

Status CheckInstallerMembers(const Json& installer) {
  constexpr const char* kFolder = "/etc/fleetseal/installer/";
  Json whole = installer;
  if (!whole.is_object()) return Fail(ErrorCode::kMemberTypeWrong, "installer configuration: not an object");
  for (const char* own : {"socket", "agentUid", "provisioningDirectory", "stateDirectory"}) {
    if (whole.Find(own) != nullptr)
      return Fail(ErrorCode::kMemberUnknown,
                  std::string("installer configuration: ") + own + " is the device's own; --provision writes it");
  }
  whole.Set("socket", "s").Set("provisioningDirectory", "p").Set("stateDirectory", "d");
  TRY(installer::ParseConfig(std::string(kFolder) + "installer.json", whole.Serialize()));
  return {};
}

Result<Bundle> Bundle::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text, {.bytes_max = kBundleBytesMax}));
  ObjectReader reader(json, "bundle");
  if (reader.String("format") != kBundleFormat && reader.is_good())
    reader.Stop(ErrorCode::kFormatVersionUnknown, "format", "not \"" + std::string(kBundleFormat) + "\"");
  Bundle bundle;
  const Json& device = reader.Object("device");
  bundle.package = reader.String("package", limits::kPackageBytesMax);
  bundle.server = reader.String("server", kServerBytesMax);
  bundle.server_ca_pem = reader.String("serverCa", kPemBytesMax);
  bundle.code = reader.String("code");
  if (const Json* agent = reader.OptionalObject("agent")) {
    auto settings = ReadAgent(*agent);
    if (reader.Take(settings, "agent")) bundle.agent = *std::move(settings);
  }
  const Json installer = reader.Any("installer");
  TRY(reader.Finish());
  TRY(ReadInstaller(installer, bundle));
  TRY_ASSIGN_CONTEXT(auto parsed, installer::ParseDevice(device.Serialize()), "bundle.device");
  bundle.device = std::move(parsed.device);
  bundle.profile = parsed.profile;
  bundle.build_time = parsed.build_time;
  TRY(CheckParts(bundle));
  return bundle;
}

std::string Bundle::Serialize() const {
  Json json = Json::MakeObject();
  json.Set("format", kBundleFormat).Set("device", DeviceJson(*this)).Set("package", package);
  json.Set("server", server).Set("serverCa", server_ca_pem).Set("code", code).Set("agent", AgentJson(agent));
  if (source == InstallerSource::kBundle)
    json.Set("installer", installer);
  else
    json.Set("installer", source == InstallerSource::kImage ? "image" : "trial");
  return json.SerializePretty() + "\n";
}

std::string Bundle::DeviceFile() const { return DeviceJson(*this).SerializePretty() + "\n"; }

}  // namespace fleetseal::provisioning

#include "cli/device_bundle.h"

#include "cli/arguments.h"
#include "provisioning/provision.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kPemBytesMax = 64 * 1024;
constexpr size_t kInstallerBytesMax = 64 * 1024;
constexpr const char* kDevicePort = "8443";
// Has the form of a code; stands in until the device is allowed, so that everything else can be judged before.
constexpr const char* kNoCode = "aaaaaaaaaaaaaaaaaaaaaaaaaa";

// "https://host:9443" as "https://host:8443".
std::string DeviceUrl(const std::string& admin_url) {
  const size_t start = admin_url.find("//") + 2;
  std::string_view host = std::string_view(admin_url).substr(start);
  host = host.substr(0, host.find('/'));
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && !host.ends_with(']')) host = host.substr(0, colon);
  return "https://" + std::string(host) + ":" + kDevicePort;
}

Status ReadInstallerChoice(const std::string& choice, provisioning::Bundle& bundle) {
  if (choice == "trial") return {};
  if (choice == "image") {
    bundle.source = provisioning::InstallerSource::kImage;
    return {};
  }
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(choice, kInstallerBytesMax));
  TRY_ASSIGN_CONTEXT(bundle.installer, codec::ParseJson(text), choice);
  bundle.source = provisioning::InstallerSource::kBundle;
  TRY_CONTEXT(provisioning::CheckInstallerMembers(bundle.installer), choice);
  return {};
}

Status CheckOutput(const std::string& path) {
  if (sys::FileExists(path)) return Fail(ErrorCode::kAlreadyExists, path + ": a bundle is never written over");
  const std::string folder = sys::ParentDirectory(path);
  if (!sys::DirectoryExists(folder)) return BadArgument("--output", "there is no folder " + folder);
  return {};
}

// All but code and generation.
Result<provisioning::Bundle> Draft(const Context& context, const DeviceBundleOptions& options,
                                   const Identity& identity) {
  provisioning::Bundle bundle;
  bundle.device.organisation = identity.organisation();
  TRY_ASSIGN(bundle.device.device_id, Argument("id", DeviceId::Parse(options.allow.id)));
  TRY_ASSIGN(bundle.device.product, Argument("--product", ProductName::Parse(options.allow.product)));
  TRY_ASSIGN(bundle.device.environment, Argument("--environment", Environment::Parse(options.allow.environment)));
  TRY_ASSIGN(bundle.device.properties, ParseProperties(options.allow.properties));
  if (!options.components.empty()) bundle.device.components = {options.components.begin(), options.components.end()};
  TRY_ASSIGN(bundle.device.delivery, Argument("--delivery", manifest::DeliveryFromName(options.delivery)));
  if (options.profile == "adu") bundle.profile = trust::Profile::kAdu;
  // A day for clocks that differ: the floor must not lie in the device's future.
  bundle.build_time = context.clock.Now() - limits::kDaySeconds;
  TRY_ASSIGN(bundle.package, sys::ReadTextFile(options.package, limits::kPackageBytesMax));
  while (bundle.package.ends_with('\n')) bundle.package.pop_back();
  bundle.server = options.server.empty() ? DeviceUrl(identity.url()) : options.server;
  TRY_ASSIGN(
      bundle.server_ca_pem,
      sys::ReadTextFile(options.server_ca.empty() ? identity.server_ca_path() : options.server_ca, kPemBytesMax));
  bundle.agent.check_in_seconds = options.check_in_seconds;
  if (!options.proxy.empty()) bundle.agent.proxy = options.proxy;
  TRY(ReadInstallerChoice(options.installer, bundle));
  bundle.code = kNoCode;
  // As the device will read it.
  TRY(provisioning::Bundle::Parse(bundle.Serialize()));
  auto layout = provisioning::LayoutBelow("/fleetseal");
  if (bundle.source != provisioning::InstallerSource::kImage) TRY(provisioning::MakePlan(bundle, layout));
  return bundle;
}

}  // namespace

Status DeviceBundle(Context& context, const DeviceBundleOptions& options) {
  TRY(CheckOutput(options.output));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  TRY_ASSIGN(auto bundle, Draft(context, options, client->identity()));
  TRY_ASSIGN(const auto allowed, AllowDevice(context, *client, options.allow));
  bundle.code = allowed.code;
  bundle.device.generation = allowed.generation;
  const std::string text = bundle.Serialize();
  context.advice = "allow the device again: the code of this bundle is lost";
  TRY(sys::CreateFileDurably(options.output, AsBytes(text), 0600));
  context.advice.clear();
  codec::Json json = codec::Json::MakeObject();
  json.Set("id", allowed.id).Set("generation", allowed.generation).Set("bundle", options.output);
  json.Set("server", bundle.server).Set("expires", (context.clock.Now() + options.allow.valid_seconds).value);
  std::string human = allowed.id + " may enrol once, generation " + std::to_string(allowed.generation) +
                      ", with the bundle " + options.output + "\n  server: " + bundle.server + "\n";
  if (bundle.source == provisioning::InstallerSource::kTrial)
    human += "  installer: trial, slots are plain files; --installer FILE or --installer image for a real device\n";
  human +=
      "It decides whom the device trusts and holds the only copy of its code. Bring it to the device by a way that you "
      "trust, then run there as root:\n  fleetseal-agent --provision " +
      options.output.substr(options.output.rfind('/') + 1);
  Answer(context, json, human);
  return {};
}

}  // namespace fleetseal::cli

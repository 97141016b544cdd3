#include "cli/lab_device.h"

#include "provisioning/provision.h"

namespace fleetseal::cli {

Status ProvisionLabDevice(Context& context, const LabDeviceOptions& options) {
  provisioning::Bundle bundle;
  TRY_ASSIGN(bundle.device.organisation, Organisation::Parse(kLabOrganisation));
  TRY_ASSIGN(bundle.device.device_id, DeviceId::Parse(options.allowed.id));
  TRY_ASSIGN(bundle.device.product, ProductName::Parse(kLabProduct));
  TRY_ASSIGN(bundle.device.environment, Environment::Parse("production"));
  bundle.device.generation = options.allowed.generation;
  bundle.device.properties = {{"manufacturer", kLabManufacturer}, {"model", kLabModel}};
  bundle.device.components = {std::string(manifest::kComponentDefault), "settings"};
  bundle.build_time = context.clock.Now() - limits::kDaySeconds;
  bundle.package = options.package;
  bundle.profile = options.profile;
  bundle.server = options.device_url;
  bundle.server_ca_pem = options.server_ca_pem;
  bundle.code = options.allowed.code;
  bundle.agent.check_in_seconds = 1;
  auto layout = provisioning::LayoutBelow(options.paths.folder);
  return provisioning::Provision(bundle, layout, false);
}

}  // namespace fleetseal::cli

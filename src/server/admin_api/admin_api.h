// The admin API: routes of the admin listener.
//
// Source: docs/protocol/processes.md section 6. Every request is judged anew: the certificate's person must be in the
// register, not revoked, and have a role that the call asks for. The signer checks again what is signed. Thread rule:
// as http::Router. Core and services outlive the router.
#pragma once

#include "http/router.h"
#include "server/core/core.h"
#include "server/devices/device_service.h"
#include "server/imports/import_service.h"
#include "server/rollouts/rollout_service.h"
#include "server/signing/signing_service.h"

namespace fleetseal::server {

struct AdminApiParts {
  Core& core;
  SigningService& signing;
  ImportService& imports;
  RolloutService& rollouts;
  DeviceService& devices;
};

// Codes: those of http::Router.
Status AddAdminRoutes(http::Router& router, const AdminApiParts& parts);

// Parts of the above, by use case.
Status AddRequestRoutes(http::Router& router, const AdminApiParts& parts);
Status AddUpdateRoutes(http::Router& router, const AdminApiParts& parts);
Status AddRolloutRoutes(http::Router& router, const AdminApiParts& parts);
Status AddRegisterRoutes(http::Router& router, const AdminApiParts& parts);
Status AddPermitRoutes(http::Router& router, const AdminApiParts& parts);
Status AddKeyRoutes(http::Router& router, const AdminApiParts& parts);
Status AddDeviceListRoutes(http::Router& router, const AdminApiParts& parts);

// A handler that knows who asks.
using PersonHandler = std::function<Result<std::string>(const Person&, const http::Request&)>;
Status OnPerson(http::Router& router, Core& core, http::Method method, const std::string& pattern,
                PersonHandler handler);

}  // namespace fleetseal::server

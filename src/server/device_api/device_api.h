// The device API: routes of the device listener, apart from EST.
//
// Source: docs/protocol/processes.md section 5; trust model section 9. Every request is judged anew: the certificate's
// device must be active, and every id in a body must be the certificate's. A check-in without order is answered from
// memory on the I/O thread. Thread rule: as http::Router. Core and services outlive the router.
#pragma once

#include "http/router.h"
#include "server/core/core.h"
#include "server/devices/device_service.h"
#include "server/rollouts/offer_service.h"
#include "server/rollouts/receipt_service.h"

namespace fleetseal::server {

struct DeviceApiParts {
  Core& core;
  OfferService& offers;
  ReceiptService& receipts;
  DeviceService& devices;
};

// Codes: those of http::Router.
Status AddDeviceRoutes(http::Router& router, const DeviceApiParts& parts);

}  // namespace fleetseal::server

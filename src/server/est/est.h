// EST: enrolment and renewal of device certificates.
//
// Source: RFC 7030 sections 3.2 and 4, RFC 8951; docs/protocol/processes.md section 5; ADR 0005. The signer is the
// registration authority: this edge unpacks the request and carries it. Operations with and without a label are the
// same. An expired certificate is taken by simplereenroll alone. Thread rule: as http::Router. Core and service outlive
// the router.
#pragma once

#include <string>

#include "http/router.h"
#include "server/core/core.h"
#include "server/devices/device_service.h"

namespace fleetseal::server {

// `cacerts` hands out `server_ca_pem` and `device_ca_pem`. Codes: those of http::Router and Certificate::AllFromPem.
struct EstParts {
  Core& core;
  DeviceService& devices;
  std::string server_ca_pem;
  std::string device_ca_pem;
};
Status AddEstRoutes(http::Router& router, const EstParts& parts);

}  // namespace fleetseal::server

// Who asks: the certificate of a connection as a device or a person that the register knows now.
//
// Source: trust model section 9: the id is the single SAN URI; resumption and kept-alive connections are judged at
// every request, so a revoked identity is refused at once. TLS has verified the chain; the certificate is read once a
// connection (Peer::attachment). Thread rule: as http::Peer.
#pragma once

#include "base/result.h"
#include "http/message.h"
#include "server/core/core.h"

namespace fleetseal::server {

struct DeviceIdentity {
  DeviceId id;
  Sha256 certificate;  // of its DER
  Sha256 key;          // thumbprint
  UnixSeconds ends;    // of the certificate
};

// The certificate's device, whatever its state. NotAuthenticated (no certificate), CertificateInvalid.
Result<DeviceIdentity> DeviceOf(const Core& core, const http::Request& request);
// As above, and DeviceRegister::Authenticate.
Result<DeviceIdentity> ActiveDeviceOf(const Core& core, const http::Request& request);
// NotAuthenticated, CertificateInvalid, and those of PeopleRegister::Authenticate.
Result<Person> PersonOf(const Core& core, const http::Request& request);
// RoleMissing unless the person has one of the roles.
Status DemandRole(const Person& person, std::initializer_list<PersonRole> roles);
// RoleMissing unless the person's products hold it.
Status DemandProduct(const Person& person, const ProductName& product);

}  // namespace fleetseal::server

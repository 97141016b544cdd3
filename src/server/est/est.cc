#include "server/est/est.h"

#include "api/device/messages.h"
#include "codec/base64.h"
#include "pki/certificate.h"
#include "pki/csr.h"
#include "pki/est.h"
#include "server/core/answers.h"
#include "server/core/identity.h"

namespace fleetseal::server {
namespace {

using http::Method;
using http::PeerRule;
using http::Request;
using http::Response;

constexpr std::string_view kCertsOnly = "application/pkcs7-mime; smime-type=certs-only";
constexpr size_t kPasswordBytesMax = 16 * 1024;

struct Credentials {
  DeviceId device;
  std::string password;
};

// RFC 7617. NotAuthenticated unless there are Basic credentials with a device id.
Result<Credentials> BasicCredentials(const Request& request) {
  constexpr std::string_view kScheme = "basic ";
  const std::string* header = request.headers.Find("authorization");
  if (header == nullptr) return Fail(ErrorCode::kNotAuthenticated, "simpleenroll needs HTTP Basic credentials");
  std::string scheme = header->substr(0, kScheme.size());
  for (char& c : scheme) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (scheme != kScheme) return Fail(ErrorCode::kNotAuthenticated, "simpleenroll needs HTTP Basic credentials");
  const auto decoded = codec::DecodeBase64(std::string_view(*header).substr(kScheme.size()));
  if (!decoded) return Fail(ErrorCode::kNotAuthenticated, "the credentials are not base64");
  const std::string text(AsText(*decoded));
  const size_t colon = text.find(':');
  if (colon == std::string::npos || text.size() > kPasswordBytesMax) {
    return Fail(ErrorCode::kNotAuthenticated, "the credentials have no colon, or are too long");
  }
  Result<DeviceId> device = DeviceId::Parse(std::string_view(text).substr(0, colon));
  if (!device) return Fail(ErrorCode::kNotAuthenticated, "the user name is no device id");
  return Credentials{*std::move(device), text.substr(colon + 1)};
}

// The DER of a request whose signature holds: a request that proves nothing does not reach the signer.
Result<Bytes> ReadCsr(const Request& request) {
  TRY_ASSIGN(Bytes der, pki::DecodeEstBody(pki::EstBody::kRequest, request.body));
  TRY(pki::ParseCertificateRequest(der));
  return der;
}

Response CertsResponse(std::span<const pki::Certificate> certificates) {
  Response response;
  response.content_type = kCertsOnly;
  response.body = pki::EncodeEstBody(pki::EncodeCertsOnly(certificates));
  return response;
}

Response EstProblem(const Error& error, const Request& request) {
  Response response = Problem(error, request);
  if (response.status == 401)
    response.headers.Add("WWW-Authenticate", "Basic realm=\"fleetseal-est\", charset=\"UTF-8\"");
  return response;
}

Result<Response> SimpleEnrol(DeviceService& devices, const Request& request) {
  TRY_ASSIGN(const Credentials credentials, BasicCredentials(request));
  TRY_ASSIGN(const Bytes csr, ReadCsr(request));
  TRY_ASSIGN(const Bytes der, devices.Enrol(credentials.device, csr, credentials.password, request.remote_address()));
  TRY_ASSIGN(const pki::Certificate certificate, pki::Certificate::FromDer(der));
  return CertsResponse(std::span(&certificate, 1));
}

Result<Response> SimpleReenrol(const Core& core, DeviceService& devices, const Request& request) {
  TRY_ASSIGN(const DeviceIdentity device, DeviceOf(core, request));
  const Verdict<void> state = core.devices.CheckState(device.id);
  if (!state) return Fail(state.error());
  TRY_ASSIGN(const Bytes csr, ReadCsr(request));
  // DeviceOf has shown that there is a certificate.
  TRY_ASSIGN(const Bytes der,
             devices.Reenrol(device.id, csr, *request.peer_certificate_der(), request.remote_address()));
  TRY_ASSIGN(const pki::Certificate certificate, pki::Certificate::FromDer(der));
  return CertsResponse(std::span(&certificate, 1));
}

Status AddAt(http::Router& router, const EstParts& parts, const std::shared_ptr<const std::string>& cacerts,
             const std::string& prefix) {
  Core& core = parts.core;
  DeviceService& devices = parts.devices;
  http::RouteOptions open;
  open.peer = PeerRule::kNone;
  TRY(router.OnIoThread(
      Method::kGet, prefix + "cacerts",
      [cacerts](const Request&) { return http::SharedResponse(200, std::string(kCertsOnly), cacerts); }, open));
  http::RouteOptions enrol = open;
  enrol.body_bytes_max = limits::kEstBodyBytesMax;
  enrol.media_types = {"application/pkcs10"};
  TRY(router.OnWorker(
      Method::kPost, prefix + "simpleenroll",
      [&devices](const Request& request) {
        Result<Response> answer = SimpleEnrol(devices, request);
        return answer ? *std::move(answer) : EstProblem(answer.error(), request);
      },
      enrol));
  http::RouteOptions reenrol = enrol;
  reenrol.peer = PeerRule::kMayBeExpired;
  return router.OnWorker(
      Method::kPost, prefix + "simplereenroll",
      [&core, &devices](const Request& request) {
        Result<Response> answer = SimpleReenrol(core, devices, request);
        return answer ? *std::move(answer) : EstProblem(answer.error(), request);
      },
      reenrol);
}

}  // namespace

Status AddEstRoutes(http::Router& router, const EstParts& parts) {
  TRY_ASSIGN(std::vector<pki::Certificate> cas, pki::Certificate::AllFromPem(parts.server_ca_pem));
  TRY_ASSIGN(const std::vector<pki::Certificate> device_cas, pki::Certificate::AllFromPem(parts.device_ca_pem));
  cas.insert(cas.end(), device_cas.begin(), device_cas.end());
  const auto cacerts = std::make_shared<const std::string>(pki::EncodeEstBody(pki::EncodeCertsOnly(cas)));
  const std::string prefix(api::device::kEstPrefix);
  TRY(AddAt(router, parts, cacerts, prefix));
  return AddAt(router, parts, cacerts, prefix + "{label}/");
}

}  // namespace fleetseal::server

#include "server/core/client_cas.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/client_cas.h"
#include "codec/base64.h"
#include "log/log.h"
#include "pki/certificate.h"
#include "sys/errors.h"
#include "sys/file.h"

namespace fleetseal::server {
namespace {

using codec::Json;

constexpr size_t kPemBytesMax = 256 * 1024;
constexpr mode_t kCertificateMode = 0644;

const std::string& FileOf(const ServerConfig& config, Listener listener) {
  return listener == Listener::kDevice ? config.device.client_ca : config.admin.client_ca;
}

Result<std::vector<pki::Certificate>> ReadCas(const std::string& path) {
  TRY_ASSIGN(const std::string pem, sys::ReadTextFile(path, kPemBytesMax));
  TRY_ASSIGN_CONTEXT(auto cas, pki::Certificate::AllFromPem(pem), path);
  return cas;
}

// A file that is lost is what this mends.
Result<std::vector<pki::Certificate>> ReadPresent(const std::string& path) {
  auto cas = ReadCas(path);
  if (!cas && cas.error().code == ErrorCode::kNotFound) return std::vector<pki::Certificate>{};
  return cas;
}

Json Describe(const std::string& path, const std::vector<pki::Certificate>& cas) {
  Json list = Json::MakeArray();
  for (const auto& ca : cas) list.Push(codec::EncodeBase64Url(ca.fingerprint().view()));
  return Json::MakeObject().Set("file", path).Set("certificateSha256", std::move(list));
}

// RFC 5280 section 6.1.4 (k) to (n).
Status CheckCa(const pki::Certificate& ca) {
  const bool is_good = ca.is_ca() && ca.can_sign_certificates() && !ca.has_unknown_critical_extension() &&
                       ca.issuer_der() == ca.subject_der() && ca.VerifySignedBy(ca.public_key()).has_value();
  if (is_good) return {};
  return Fail(ErrorCode::kCertificateInvalid, ca.subject_common_name() + " is no CA that stands for itself");
}

// "acme device-ca", "acme device-ca 2": as the signer names them. One of another kind that is in no file here any more,
// as it was dropped, shows itself by this alone.
Status CheckName(const pki::Certificate& ca, Listener listener) {
  std::string_view name = ca.subject_common_name();
  const size_t digits = name.find_last_not_of("0123456789");
  if (digits != std::string_view::npos && digits + 1 < name.size() && name[digits] == ' ')
    name = name.substr(0, digits);
  const std::string_view end = listener == Listener::kDevice ? " device-ca" : " people-ca";
  if (name.ends_with(end)) return {};
  return Fail(ErrorCode::kCertificateInvalid,
              ca.subject_common_name() + " is not named like a CA of that kind (" + std::string(end.substr(1)) + ")");
}

// Trust model section 9: no CA vouches for two kinds.
Status CheckApart(const ServerConfig& config, Listener listener, const std::vector<pki::Certificate>& cas) {
  const Listener other = listener == Listener::kDevice ? Listener::kAdmin : Listener::kDevice;
  for (const std::string& path : {FileOf(config, other), config.server_ca}) {
    TRY_ASSIGN(const auto taken, ReadPresent(path));
    for (const auto& ca : taken) {
      const bool is_there =
          std::ranges::any_of(cas, [&](const auto& one) { return one.public_key() == ca.public_key(); });
      if (is_there) return Fail(ErrorCode::kCertificateInvalid, ca.subject_common_name() + " is in " + path);
    }
  }
  return {};
}

}  // namespace

Result<Json> ShowClientCas(const ServerConfig& config) {
  Json json = Json::MakeObject();
  for (const auto& [listener, name] : {std::pair(Listener::kDevice, "device"), {Listener::kAdmin, "people"}}) {
    const std::string& path = FileOf(config, listener);
    const std::string folder = sys::ParentDirectory(path);
    if (::access(folder.c_str(), W_OK) != 0) return sys::FailErrno("write into", folder, errno);
    TRY_ASSIGN(const auto cas, ReadPresent(path));
    json.Set(name, Describe(path, cas));
  }
  return json;
}

Result<Json> TakeClientCas(const ServerConfig& config, Listener listener, const std::string& file,
                           const sys::Clock& clock) {
  TRY_ASSIGN(const auto next, ReadCas(file));
  if (next.size() > limits::kClientCasMax)
    return Fail(ErrorCode::kLimitExceeded, file + " holds too many certificates");
  for (const auto& ca : next) {
    TRY(CheckCa(ca));
    TRY(CheckName(ca, listener));
  }
  if (next.front().not_after() <= clock.Now())
    return Fail(ErrorCode::kCertificateExpired, next.front().subject_common_name() + " has ended");
  TRY(CheckApart(config, listener, next));
  const std::string& path = FileOf(config, listener);
  TRY_ASSIGN(const auto present, ReadPresent(path));
  if (present != next) {
    std::string text;
    for (const auto& ca : next) text += ca.ToPem();
    TRY(sys::WriteFileDurably(path, AsBytes(text), kCertificateMode));
    log::Event(log::Level::kInfo, "client-cas.taken", {{"file", path}, {"count", static_cast<int64_t>(next.size())}});
  }
  return Describe(path, next);
}

}  // namespace fleetseal::server

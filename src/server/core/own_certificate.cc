#include "server/core/own_certificate.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "codec/base64.h"
#include "crypto/key.h"
#include "log/log.h"
#include "pki/chain.h"
#include "sys/errors.h"
#include "sys/file.h"

namespace fleetseal::server {
namespace {

using codec::Json;

constexpr size_t kPemBytesMax = 64 * 1024;
constexpr mode_t kCertificateMode = 0644;

Result<std::vector<pki::Certificate>> ReadChain(const std::string& path) {
  TRY_ASSIGN(const std::string pem, sys::ReadTextFile(path, kPemBytesMax));
  TRY_ASSIGN_CONTEXT(auto chain, pki::Certificate::AllFromPem(pem), path);
  return chain;
}

std::vector<std::string> NamesOf(const pki::Certificate& certificate) {
  std::vector<std::string> names;
  for (const auto* list : {&certificate.san_dns(), &certificate.san_ips(), &certificate.san_uris()})
    names.insert(names.end(), list->begin(), list->end());
  std::sort(names.begin(), names.end());
  return names;
}

// Trust model section 9: what devices and people judge the server by.
Status CheckSuccessor(const ServerConfig& config, const pki::Certificate& present, const pki::Certificate& next,
                      UnixSeconds now) {
  TRY_ASSIGN_CONTEXT(const SecretBytes pem, sys::ReadSecretFile(config.tls_private_key, kPemBytesMax), "TLS key");
  TRY_ASSIGN_CONTEXT(const auto key, crypto::PrivateKey::FromPem(AsText(pem.reveal())), config.tls_private_key);
  if (!(next.public_key() == key.public_key()))
    return Fail(ErrorCode::kCertificateInvalid, "the certificate is for another key than " + config.tls_private_key);
  if (NamesOf(next) != NamesOf(present))
    return Fail(ErrorCode::kCertificateInvalid, "the certificate is for other names than " + config.tls_certificate);
  TRY_ASSIGN(const auto cas, ReadChain(config.server_ca));
  TRY(pki::VerifyChain(next, cas, pki::Purpose::kServer, now));
  if (next.not_after() < present.not_after())
    return Fail(ErrorCode::kConflict, "the certificate ends before " + config.tls_certificate);
  return {};
}

}  // namespace

Result<Json> ShowCertificate(const ServerConfig& config) {
  TRY_ASSIGN(const auto chain, ReadChain(config.tls_certificate));
  const std::string folder = sys::ParentDirectory(config.tls_certificate);
  if (::access(folder.c_str(), W_OK) != 0) return sys::FailErrno("write into", folder, errno);
  Json names = Json::MakeArray();
  for (const auto& name : NamesOf(chain.front())) names.Push(name);
  Json json = Json::MakeObject().Set("certificate", chain.front().ToPem());
  return json.Set("ends", chain.front().not_after().value).Set("names", std::move(names));
}

Result<Json> TakeCertificate(const ServerConfig& config, const std::string& file, const sys::Clock& clock) {
  TRY_ASSIGN(const std::string pem, sys::ReadTextFile(file, kPemBytesMax));
  TRY_ASSIGN_CONTEXT(const auto next, pki::Certificate::FromPem(pem), file);
  TRY_ASSIGN(auto chain, ReadChain(config.tls_certificate));
  TRY(CheckSuccessor(config, chain.front(), next, clock.Now()));
  const std::string fingerprint = codec::EncodeBase64Url(next.fingerprint().view());
  if (!(chain.front() == next)) {
    std::string text = next.ToPem();
    for (auto other = chain.begin() + 1; other != chain.end(); ++other) text += other->ToPem();
    TRY(sys::WriteFileDurably(config.tls_certificate, AsBytes(text), kCertificateMode));
    log::Event(log::Level::kInfo, "certificate.taken",
               {{"certificate", fingerprint}, {"ends", next.not_after().value}});
  }
  Json json = Json::MakeObject().Set("certificateSha256", fingerprint).Set("ends", next.not_after().value);
  return json.Set("file", config.tls_certificate);
}

}  // namespace fleetseal::server

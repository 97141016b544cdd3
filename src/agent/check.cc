#include "agent/check.h"

#include <fcntl.h>

#include "agent/alarm_watch.h"
#include "codec/hex.h"
#include "crypto/key.h"
#include "device/part_file.h"
#include "pki/certificate.h"
#include "sys/file.h"
#include "sys/permissions.h"

namespace fleetseal::agent {
namespace {

constexpr size_t kPemBytesMax = 64 * 1024;
constexpr std::string_view kPart = ".part";

Status CheckIdentity(const Config& config, UnixSeconds now, config::Findings& findings) {
  const std::string& folder = config.identity_directory;
  const std::string key_path = sys::JoinPath(folder, "key.pem");
  const std::string certificate_path = sys::JoinPath(folder, "cert.pem");
  if (!sys::FileExists(key_path) || !sys::FileExists(certificate_path)) {
    findings.Warning(folder, "the device has not enrolled yet", "start the agent");
    return {};
  }
  TRY(sys::RequireOwn(folder, sys::Reach::kNobodyElse));
  TRY_ASSIGN(const SecretBytes pem, sys::ReadSecretFile(key_path, kPemBytesMax));
  TRY_ASSIGN_CONTEXT(const auto key, crypto::PrivateKey::FromPem(AsText(pem.reveal())), key_path);
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(certificate_path, kPemBytesMax));
  TRY_ASSIGN_CONTEXT(const auto certificate, pki::Certificate::FromPem(text), certificate_path);
  if (!(certificate.public_key() == key.public_key()))
    return Fail(ErrorCode::kCertificateInvalid, certificate_path + " is for another key");
  findings.EndsAt(certificate_path, certificate.not_after(), now, "let the agent check in: it renews the certificate");
  findings.Checked("identity of the agent");
  return {};
}

// Whole ones by their hash, which is their name. What the running agent removes meanwhile is no finding.
Status CheckDownloads(const Config& config, config::Findings& findings) {
  if (!sys::DirectoryExists(config.work_directory)) return {};
  findings.FreeSpace(config.work_directory);
  TRY_ASSIGN(const auto names, sys::ListDirectory(config.work_directory));
  int64_t count = 0;
  for (const std::string& name : names) {
    if (name == "cycle.lock") continue;
    const bool is_part = name.ends_with(kPart);
    const auto hash = codec::DecodeHexSha256(is_part ? name.substr(0, name.size() - kPart.size()) : name);
    const std::string path = sys::JoinPath(config.work_directory, name);
    if (!hash) {
      findings.Warning(path, "is no download", "look at it, then remove it");
      continue;
    }
    ++count;
    const auto file = sys::OpenFile(path, O_RDONLY | O_NOFOLLOW);
    const auto size = file ? sys::SizeOf(file->get()) : tl::unexpected(file.error());
    if (!size && size.error().code == ErrorCode::kNotFound) continue;
    if (!size || (!is_part && !device::FileIs(path, *hash, *size) && sys::FileExists(path)))
      findings.Problem(path, "is damaged: its hash is not its name", "remove it: the agent fetches it again");
  }
  findings.Checked(std::to_string(count) + " downloads of the agent");
  return {};
}

// What the installer sees by itself; the only thing here that is asked of a running program.
void CheckAlarms(const Config& config, config::Findings& findings) {
  if (!sys::FileExists(config.installer_socket)) {
    findings.Warning(config.installer_socket, "the installer does not listen there", "start the installer");
    return;
  }
  const auto alarms = AskAlarms(config);
  if (!alarms) {
    findings.Failed(config.installer_socket, alarms.error());
    return;
  }
  for (const auto& alarm : *alarms) findings.Problem(alarm.kind, alarm.words, AlarmAdvice(alarm.kind));
  findings.Checked("alarms of the installer");
}

}  // namespace

config::Findings CheckAgent(const Config& config, const sys::Clock& clock) {
  config::Findings findings;
  const auto ca = sys::ReadTextFile(config.server_ca, kPemBytesMax);
  if (!ca) findings.Failed(config.server_ca, ca.error());
  const Status identity = CheckIdentity(config, clock.Now(), findings);
  if (!identity) findings.Failed(config.identity_directory, identity.error());
  const Status downloads = CheckDownloads(config, findings);
  if (!downloads) findings.Failed(config.work_directory, downloads.error());
  CheckAlarms(config, findings);
  return findings;
}

}  // namespace fleetseal::agent

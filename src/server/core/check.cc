#include "server/core/check.h"

#include <fcntl.h>

#include <map>

#include "codec/hex.h"
#include "crypto/digest.h"
#include "pki/certificate.h"
#include "server/store/update_store.h"
#include "storage/maintenance.h"
#include "sys/file.h"

namespace fleetseal::server {
namespace {

constexpr const char* kContentAdvice =
    "stop the server, move the file away, and import the update's files again or bring them back from a backup";
constexpr size_t kPieceBytes = 256 * 1024;
constexpr int64_t kPageRows = 200;

Result<Sha256> HashOf(const std::string& path) {
  TRY_ASSIGN(const auto file, sys::OpenFile(path, O_RDONLY | O_NOFOLLOW));
  crypto::Sha256Hasher hasher;
  Bytes piece(kPieceBytes);
  for (;;) {
    TRY_ASSIGN(const size_t got, sys::ReadUpTo(file.get(), piece));
    if (got == 0) return hasher.Finish();
    hasher.Update(ByteView(piece).first(got));
  }
}

using Sizes = std::map<Sha256, int64_t>;

// Every sealed file of the updates, and its size.
Result<Sizes> ReadKnown(storage::Database& database) {
  UpdateStore store(database);
  Sizes known;
  std::optional<int64_t> cursor;
  do {
    TRY_ASSIGN(const UpdatePage page, store.List(cursor, kPageRows));
    for (const auto& update : page.updates) {
      for (const auto& file : update.files) {
        if (file.sealed_sha256) known[*file.sealed_sha256] = file.sealed_size.value_or(0);
      }
    }
    cursor = page.cursor;
  } while (cursor);
  return known;
}

void CheckObject(const std::string& path, const std::string& name, Sizes& missing, const Sizes& known,
                 config::Findings& findings) {
  const auto named = codec::DecodeHexSha256(name);
  if (!named) return findings.Warning(path, "is no sealed file", "look at it, then move it away");
  missing.erase(*named);
  const auto hash = HashOf(path);
  if (!hash) return findings.Failed(path, hash.error());
  if (*hash != *named) return findings.Problem(path, "is damaged: its hash is not its name", kContentAdvice);
  if (!known.contains(*named)) findings.Warning(path, "belongs to no update", "it may be removed");
}

Result<std::vector<std::string>> Below(const std::string& folder) {
  auto names = sys::ListDirectory(folder);
  if (!names && names.error().code == ErrorCode::kNotFound) return std::vector<std::string>();
  return names;
}

Status CheckContent(const ServerConfig& config, storage::Database& database, config::Findings& findings) {
  TRY_ASSIGN(const Sizes known, ReadKnown(database));
  Sizes missing = known;
  int64_t objects = 0;
  TRY_ASSIGN(const auto tops, Below(config.content));
  for (const auto& top : tops) {
    const std::string upper = sys::JoinPath(config.content, top);
    if (top == "lock" || top == "incoming") continue;
    if (top == "quarantine") {
      TRY_ASSIGN(const auto damaged, Below(upper));
      for (const auto& name : damaged)
        findings.Warning(sys::JoinPath(upper, name), "was found damaged and is not served", kContentAdvice);
      continue;
    }
    TRY_ASSIGN(const auto middles, Below(upper));
    for (const auto& middle : middles) {
      const std::string folder = sys::JoinPath(upper, middle);
      TRY_ASSIGN(const auto names, Below(folder));
      for (const auto& name : names) CheckObject(sys::JoinPath(folder, name), name, missing, known, findings);
      objects += static_cast<int64_t>(names.size());
    }
  }
  for (const auto& [hash, size] : missing) {
    findings.Problem(sys::JoinPath(config.content, codec::EncodeHex(hash)),
                     "an update names it and it is not there (" + std::to_string(size) + " bytes)", kContentAdvice);
  }
  findings.Checked(std::to_string(objects) + " sealed files: every hash recomputed");
  return {};
}

Status CheckTls(const ServerConfig& config, UnixSeconds now, config::Findings& findings) {
  findings.PrivateFile(config.tls_private_key);
  TRY_ASSIGN(const auto pem, sys::ReadTextFile(config.tls_certificate, 64 * 1024));
  TRY_ASSIGN(const auto certificate, pki::Certificate::FromPem(pem));
  findings.EndsAt(config.tls_certificate, certificate.not_after(), now, "have the signer issue a new one");
  return {};
}

}  // namespace

config::Findings CheckServer(const ServerConfig& config, const sys::Clock& clock) {
  config::Findings findings;
  findings.FreeSpace(config.data);
  findings.FreeSpace(config.content);
  const Status tls = CheckTls(config, clock.Now(), findings);
  if (!tls) findings.Failed(config.tls_certificate, tls.error());
  const auto lines = storage::CheckDatabase(config.database_url);
  if (!lines && lines.error().code != ErrorCode::kUnsupported) {
    findings.Failed("database of the server", lines.error());
    return findings;
  }
  if (lines) {
    for (const auto& line : *lines)
      findings.Problem(config.database_url, line, "stop the server and restore it from a backup");
    if (!lines->empty()) return findings;
    findings.Checked("database of the server");
  }
  const auto database = storage::Database::Open({.url = config.database_url, .sessions = 1});
  if (!database) {
    findings.Failed("database of the server", database.error());
    return findings;
  }
  const Status content = CheckContent(config, **database, findings);
  if (!content) findings.Failed(config.content, content.error());
  return findings;
}

}  // namespace fleetseal::server

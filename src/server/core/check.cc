#include "server/core/check.h"

#include <fcntl.h>

#include <algorithm>
#include <map>

#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "merkle/checkpoint.h"
#include "merkle/note.h"
#include "pki/certificate.h"
#include "server/store/update_store.h"
#include "storage/maintenance.h"
#include "sys/file.h"
#include "translog/log_reader.h"

namespace fleetseal::server {
namespace {

constexpr const char* kContentAdvice =
    "stop the server, move the file away, and import the update's files again or bring them back from a backup";
constexpr const char* kQuarantineAdvice =
    "import the update's files again (`fleetseal update import`), cancel its open rollouts and plan them anew, look at "
    "the disk; then move the file away";
constexpr size_t kPieceBytes = 256 * 1024;
constexpr int64_t kPageRows = 200;
constexpr size_t kClientCaBytesMax = 256 * 1024;
constexpr size_t kNoteBytesMax = 64 * 1024;

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

// Sealed files and their sizes.
struct Known {
  Sizes all;
  Sizes recorded;  // those of updates whose import has ended: the log has a record of each
};

Result<Known> ReadKnown(storage::Database& database) {
  UpdateStore store(database);
  Known known;
  std::optional<int64_t> cursor;
  do {
    TRY_ASSIGN(const UpdatePage page, store.List(cursor, kPageRows));
    for (const auto& update : page.updates) {
      for (const auto& file : update.files) {
        if (!file.sealed_sha256) continue;
        known.all[*file.sealed_sha256] = file.sealed_size.value_or(0);
        if (update.state == UpdateState::kDeployable)
          known.recorded[*file.sealed_sha256] = file.sealed_size.value_or(0);
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

// What the log says about this server's files (trust model sections 7 and 9).
struct Recorded {
  // The newest of each file of a manifest: a file that was lost is sealed anew, and never back into the same bytes.
  std::map<std::pair<Sha256, FileId>, std::pair<Sha256, int64_t>> sealed;
  std::map<std::string, Sha256> newest_ca;  // by kind: device-ca, people-ca

  Sizes SealedSizes() const {
    Sizes sizes;
    for (const auto& [file, bytes] : sealed) sizes.insert(bytes);
    return sizes;
  }
};

Status ReadRecord(const codec::Json& json, Recorded& recorded) {
  const codec::Json* type = json.Find("type");
  if (type == nullptr || !type->is_string()) return {};
  codec::ObjectReader record(json, type->as_string() + " record");
  if (type->as_string() == "sealed") {
    const Sha256 hash = record.Base64UrlSha256("sealedSha256");
    const int64_t size = record.Integer("sealedSize");
    const std::pair file(record.Base64UrlSha256("manifestSha256"), record.Parsed<FileId>("fileId"));
    recorded.sealed[file] = {hash, size};
  } else if (type->as_string() == "certificate") {
    const std::string kind = record.String("kind");
    if (kind == "device-ca" || kind == "people-ca")
      recorded.newest_ca[kind] = record.Base64UrlSha256("certificateSha256");
  }
  if (!record.is_good()) return Fail(ErrorCode::kCorrupt, "a record of the log cannot be read");
  return {};
}

// Its key is the signer's to check; here each record is shown to be in the tree of the checkpoint file.
Result<Recorded> ReadRecords(const std::string& folder) {
  TRY_ASSIGN(const auto note_text, sys::ReadTextFile(sys::JoinPath(folder, "checkpoint"), kNoteBytesMax));
  TRY_ASSIGN(const auto note, merkle::ParseNote(note_text));
  TRY_ASSIGN(const auto checkpoint, merkle::ParseCheckpoint(note.text));
  const auto reader = translog::LogReader::OfDirectory(folder);
  Recorded recorded;
  for (uint64_t from = 0; from < checkpoint.size; from += translog::kReadEntriesMax) {
    const uint64_t to = std::min<uint64_t>(checkpoint.size, from + translog::kReadEntriesMax);
    TRY_ASSIGN(const auto leaves, reader.ReadEntries(from, to, checkpoint));
    for (const Bytes& leaf : leaves) {
      TRY_ASSIGN(const auto json, codec::ParseJson(AsText(leaf)));
      TRY(ReadRecord(json, recorded));
    }
  }
  return recorded;
}

Result<std::vector<pki::Certificate>> ReadClientCas(const std::string& file) {
  TRY_ASSIGN(const auto pem, sys::ReadTextFile(file, kClientCaBytesMax));
  return pki::Certificate::AllFromPem(pem);
}

// Which of them count, the signer knows: `fleetseal doctor` compares.
void TellClientCas(const std::string& file, const char* kind, config::Findings& findings) {
  const auto cas = ReadClientCas(file);
  if (!cas) return findings.Failed(file, cas.error());
  std::vector<std::string> taken;
  for (const auto& ca : *cas) taken.push_back(codec::EncodeBase64Url(ca.fingerprint().view()));
  findings.Fact(std::string(kind) + " CA certificates", std::move(taken));
}

// A CA that replaced another, and whose certificates this server refuses still.
void CheckClientCa(const std::string& file, const std::string& kind, const Recorded& recorded,
                   config::Findings& findings) {
  const auto newest = recorded.newest_ca.find(kind);
  if (newest == recorded.newest_ca.end()) return;
  const auto cas = ReadClientCas(file);
  if (!cas) return;  // a finding already
  const bool is_known = std::ranges::any_of(*cas, [&](const auto& ca) { return ca.fingerprint() == newest->second; });
  if (!is_known)
    findings.Problem(file, "it lacks the present " + kind + ": whom that has certified is not let in",
                     "give `fleetseal ca replace` once more (lost-client-ca.md)");
}

void CheckAgainstLog(const ServerConfig& config, const Known& known, config::Findings& findings) {
  // After the database: what it names as recorded, the log had recorded before.
  const auto recorded = ReadRecords(config.log_directory);
  if (!recorded && !sys::FileExists(sys::JoinPath(config.log_directory, "checkpoint")))
    return findings.Warning(config.log_directory, "there is no checkpoint, so sealed files were not compared with it",
                            "the signer writes it when it starts; after a restore, when it goes on");
  if (!recorded) return findings.Failed(config.log_directory, recorded.error());
  CheckClientCa(config.device.client_ca, "device-ca", *recorded, findings);
  CheckClientCa(config.admin.client_ca, "people-ca", *recorded, findings);
  const Sizes sealed = recorded->SealedSizes();
  for (const auto& [hash, size] : known.recorded) {
    const auto record = sealed.find(hash);
    if (record == sealed.end() || record->second != size) {
      findings.Problem(sys::JoinPath(config.content, codec::EncodeHex(hash)),
                       record == sealed.end() ? "the log has no record of it" : "the log names another size",
                       "somebody changed the server's database: restore it from a backup");
    }
  }
  for (const auto& [hash, size] : sealed) {
    if (!known.all.contains(hash)) {
      findings.Warning(sys::JoinPath(config.content, codec::EncodeHex(hash)),
                       "the log records it and no update here names it",
                       "the database is older than the log: import the update's files again to deploy it");
    }
  }
  findings.Checked("sealed files against " + std::to_string(sealed.size()) + " records of the log");
}

Status CheckContent(const ServerConfig& config, storage::Database& database, config::Findings& findings) {
  TRY_ASSIGN(const Known known, ReadKnown(database));
  Sizes missing = known.all;
  int64_t objects = 0;
  TRY_ASSIGN(const auto tops, Below(config.content));
  for (const auto& top : tops) {
    const std::string upper = sys::JoinPath(config.content, top);
    if (top == "lock" || top == "incoming") continue;
    if (top == "quarantine") {
      TRY_ASSIGN(const auto damaged, Below(upper));
      for (const auto& name : damaged)
        findings.Problem(sys::JoinPath(upper, name), "was found damaged and is not served", kQuarantineAdvice);
      continue;
    }
    TRY_ASSIGN(const auto middles, Below(upper));
    for (const auto& middle : middles) {
      const std::string folder = sys::JoinPath(upper, middle);
      TRY_ASSIGN(const auto names, Below(folder));
      for (const auto& name : names) CheckObject(sys::JoinPath(folder, name), name, missing, known.all, findings);
      objects += static_cast<int64_t>(names.size());
    }
  }
  for (const auto& [hash, size] : missing) {
    findings.Problem(sys::JoinPath(config.content, codec::EncodeHex(hash)),
                     "an update names it and it is not there (" + std::to_string(size) + " bytes)", kContentAdvice);
  }
  findings.Checked(std::to_string(objects) + " sealed files: every hash recomputed");
  CheckAgainstLog(config, known, findings);
  return {};
}

// The signer renews what it issued; after a lost CA key there is another CA, which is nobody's on this machine.
const char* RenewalOf(const ServerConfig& config, const pki::Certificate& certificate) {
  const auto pem = sys::ReadTextFile(config.server_ca, 64 * 1024);
  const auto ca = pem ? pki::Certificate::FromPem(*pem) : Result<pki::Certificate>(tl::unexpected(pem.error()));
  const bool is_of_signer = !ca || certificate.VerifySignedBy(ca->public_key()).has_value();
  return is_of_signer ? "fleetseal tls renew (certificates.md)" : "certify it anew: see lost-ca-key.md";
}

Status CheckTls(const ServerConfig& config, UnixSeconds now, config::Findings& findings) {
  findings.PrivateFile(config.tls_private_key);
  TRY_ASSIGN(const auto pem, sys::ReadTextFile(config.tls_certificate, 64 * 1024));
  // What follows the own certificate is for devices that know another CA only (lost-ca-key.md).
  TRY_ASSIGN(const auto chain, pki::Certificate::AllFromPem(pem));
  const pki::Certificate& certificate = chain.front();
  findings.EndsAt(config.tls_certificate, certificate.not_after(), now, RenewalOf(config, certificate));
  return {};
}

}  // namespace

config::Findings CheckServer(const ServerConfig& config, const sys::Clock& clock) {
  config::Findings findings;
  findings.FreeSpace(config.data);
  findings.FreeSpace(config.content);
  const Status tls = CheckTls(config, clock.Now(), findings);
  if (!tls) findings.Failed(config.tls_certificate, tls.error());
  TellClientCas(config.device.client_ca, "device", findings);
  TellClientCas(config.admin.client_ca, "people", findings);
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

// SignerService: everything that a running fleetseal-signer consists of, in the order in which it is made and ended.
//
// Source: docs/protocol/processes.md sections 1 to 3. The directory's lock keeps a second signer out (Busy); the socket
// takes one user (PermissionDenied). The keystores are opened once, with one scrypt. Thread rule: Open, Listen and Stop
// from one thread. Ownership: owns database, keys, log writer, core and socket; config and clock outlive it.
#pragma once

#include <memory>
#include <string>

#include "signer/core.h"
#include "signer/logs.h"
#include "sys/file.h"
#include "sys/socket.h"
#include "translog/adopt_files.h"

namespace fleetseal::signer {

inline constexpr int kConnectionsMax = 128;

// The passphrase file's text without one line break at its end. ConfigInvalid (rights), NotFound.
Result<SecretBytes> ReadPassphrase(const Config& config);
std::string LockPathOf(const Config& config);
std::string KeysFolderOf(const Config& config);

class SignerService {
 public:
  // Codes: Busy, NotFound (not created yet), PassphraseWrong, Corrupt, LogForked, and those of the parts.
  static Result<std::unique_ptr<SignerService>> Open(const Config& config, const sys::Clock& clock);
  // Tests put another writer in front of the log.
  using WrapLog = std::function<std::unique_ptr<translog::LogWriter>(std::unique_ptr<translog::LogWriter>)>;
  static Result<std::unique_ptr<SignerService>> Open(const Config& config, const sys::Clock& clock,
                                                     const WrapLog& wrap);
  // For decisions of the security team on the stopped signer: as Open, but a CA whose key is lost is no obstacle.
  static Result<std::unique_ptr<SignerService>> OpenToDecide(const Config& config, const sys::Clock& clock);
  ~SignerService();
  SignerService(const SignerService&) = delete;
  SignerService& operator=(const SignerService&) = delete;

  // For the ceremonies of recovery.cc: as OpenToDecide, but over a log that cannot be written and has the lock row's
  // size, so that files ahead of it are no obstacle.
  static Result<std::unique_ptr<SignerService>> OpenWithoutLog(const Config& config, const sys::Clock& clock);
  // Takes over log files that are ahead of the lock row. Codes: translog::AdoptFiles. REQUIRES: OpenWithoutLog.
  Result<translog::AdoptedFiles> LookAtFiles() const;
  Status AdoptFiles(const translog::AdoptedFiles& files) const;
  // Opens the log as a start would, and ends it again. Codes: LogWriter::Open. REQUIRES: OpenWithoutLog.
  Status TryLog() const;
  const LogPlace& log_place() const { return place_; }
  const LogKey& log_key() const { return *log_key_; }

  // The socket listens when this returns.
  Status Listen();
  void Stop();
  Core& core() { return *core_; }
  const Core& core() const { return *core_; }
  storage::Database& database() { return *database_; }
  const translog::LogWriter& log() const { return *log_; }

 private:
  explicit SignerService(const Config& config) : config_(config) {}
  Status OpenParts(const sys::Clock& clock, const WrapLog& wrap);
  Status OpenKeys();
  Status OpenDatabase(const sys::Clock& clock);
  Status OpenCas();
  Status OpenLogKey();
  Status OpenLog(const sys::Clock& clock, const WrapLog& wrap);
  Status OpenCore(const sys::Clock& clock, UnixSeconds newest_record);
  translog::LogWriter::Options LogOptions() const;

  const Config& config_;
  std::unique_ptr<sys::FileLock> lock_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<Keystore> keystore_;
  std::unique_ptr<SigningKeys> keys_;
  LogPlace place_;  // when it was opened
  std::shared_ptr<const LogKey> log_key_;
  LostKeys lost_keys_ = LostKeys::kRefuse;
  std::unique_ptr<CaKeys> cas_;
  std::unique_ptr<LogSwitch> log_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<sys::LocalServer> server_;
};

}  // namespace fleetseal::signer

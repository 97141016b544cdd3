#include "signer/service.h"

#include "api/signing/messages.h"
#include "log/log.h"
#include "signer/client_cas.h"
#include "signer/dispatch.h"
#include "signer/key_decisions.h"
#include "signer/log_clock.h"
#include "signer/recovery.h"
#include "signer/store/ceremony_store.h"
#include "signer/store/key_store.h"
#include "signer/store/log_store.h"
#include "signer/store/permit_store.h"
#include "signer/store/recovery_store.h"
#include "signer/store/schema.h"
#include "storage/location.h"

namespace fleetseal::signer {
namespace {

// An idle connection of the server may stay so long; milliseconds.
constexpr int64_t kIdleMs = 600'000;
// Stands in for the log while nobody knows yet which one it is.
class NoLog final : public translog::LogWriter {
 public:
  NoLog(std::string origin, translog::LockRow row) : origin_(std::move(origin)), row_(std::move(row)) {}
  void Append(translog::LogEntry, Done done) override { done(Fail(ErrorCode::kLogNotWritable, "the log is not open")); }
  merkle::Checkpoint checkpoint() const override { return {origin_, row_.size, row_.root}; }
  std::string checkpoint_note() const override { return row_.checkpoint_note; }
  bool is_writable() const override { return false; }

 private:
  const std::string origin_;
  const translog::LockRow row_;
};

// Whoever may not connect holds a place no longer than this.
constexpr int64_t kRefusedMs = 1'000;

}  // namespace

Result<SecretBytes> ReadPassphrase(const Config& config) {
  TRY_ASSIGN_CONTEXT(const SecretBytes text, sys::ReadSecretFile(config.passphrase, 4096), "read the passphrase");
  ByteView bytes = text.reveal();
  if (!bytes.empty() && bytes.back() == '\n') bytes = bytes.first(bytes.size() - 1);
  if (bytes.empty()) return Fail(ErrorCode::kConfigInvalid, config.passphrase + " is empty");
  return SecretBytes::CopyOf(bytes);
}

std::string LockPathOf(const Config& config) { return sys::JoinPath(config.data, "lock"); }
std::string KeysFolderOf(const Config& config) { return sys::JoinPath(config.data, "keys"); }

Result<std::unique_ptr<SignerService>> SignerService::Open(const Config& config, const sys::Clock& clock) {
  return Open(config, clock, [](std::unique_ptr<translog::LogWriter> writer) { return writer; });
}

Result<std::unique_ptr<SignerService>> SignerService::Open(const Config& config, const sys::Clock& clock,
                                                           const WrapLog& wrap) {
  std::unique_ptr<SignerService> service(new SignerService(config));
  TRY(service->OpenParts(clock, wrap));
  return service;
}

Result<std::unique_ptr<SignerService>> SignerService::OpenToDecide(const Config& config, const sys::Clock& clock) {
  std::unique_ptr<SignerService> service(new SignerService(config));
  service->lost_keys_ = LostKeys::kAllow;
  TRY(service->OpenParts(clock, [](std::unique_ptr<translog::LogWriter> writer) { return writer; }));
  return service;
}

Status SignerService::OpenKeys() {
  if (!sys::DirectoryExists(KeysFolderOf(config_))) {
    return Fail(ErrorCode::kNotFound, config_.data + " holds no signer: make it with --create");
  }
  TRY_ASSIGN(lock_, sys::FileLock::Acquire(LockPathOf(config_)));
  TRY_ASSIGN(const SecretBytes passphrase, ReadPassphrase(config_));
  TRY_ASSIGN_CONTEXT(keystore_,
                     Keystore::Open(KeysFolderOf(config_), AsText(passphrase.reveal()), config_.keystore_cost),
                     "open the keystores");
  TRY_ASSIGN(keys_, SigningKeys::Load(*keystore_));
  return {};
}

Status SignerService::OpenCas() {
  TRY_ASSIGN(const CaChoice choice, ReadCaChoice(*database_));
  TRY_ASSIGN(CaKeys cas, CaKeys::Load(*keystore_, config_.organisation, choice, lost_keys_));
  cas_ = std::make_unique<CaKeys>(std::move(cas));
  return DestroyReplacedCas(*database_, *keystore_);
}

Status SignerService::OpenDatabase(const sys::Clock& clock) {
  const std::string file = storage::LocationOf(config_.database).file;
  if (!file.empty() && !sys::FileExists(file)) {
    return Fail(ErrorCode::kNotFound, "the signer's database " + file +
                                          " is missing: bring it back, or `fleetseal restore` a backup; an empty one "
                                          "would forget every person, device and counter");
  }
  TRY_ASSIGN_CONTEXT(database_, storage::Database::Open({.url = config_.database, .sessions = 8}), "open the database");
  TRY(storage::Migrate(*database_, store::kMigrationModule, store::Migrations()));
  TRY(storage::Migrate(*database_, translog::kMigrationModule, translog::Migrations()));
  TRY(storage::Migrate(*database_, store::kRecoveryModule, store::RecoveryMigrations()));
  TRY(storage::Migrate(*database_, store::kCeremonyModule, store::CeremonyMigrations()));
  TRY(storage::Migrate(*database_, store::kKeysModule, store::KeyMigrations()));
  TRY(storage::Migrate(*database_, store::kPermitsModule, store::PermitMigrations()));
  TRY(storage::Migrate(*database_, store::kLogsModule, store::LogMigrations()));
  TRY(storage::Migrate(*database_, store::kCasModule, store::CaMigrations()));
  TRY(AdoptFirstKeys(*database_, *keys_));
  TRY(DestroyRetired(*database_, *keystore_, *keys_));
  return TakeRestoredMark(config_, *database_, clock.Now());
}

Status SignerService::OpenLogKey() {
  TRY_ASSIGN(place_, ReadLogPlace(config_, *database_));
  TRY_ASSIGN(log_key_, FindLogKey(*keystore_, *database_, place_.origin));
  TRY_ASSIGN(place_.vkey, VkeyOf(place_.origin, *log_key_));
  return {};
}

translog::LogWriter::Options SignerService::LogOptions() const {
  return {place_.directory, place_.origin, *database_, log_key_->checkpoint_signer()};
}

Status SignerService::TryLog() const {
  TRY(translog::LogWriter::Open(LogOptions()));
  return {};
}

Status SignerService::OpenLog(const sys::Clock& clock, const WrapLog& wrap) {
  // A new log has no folder until it is opened for the first time.
  if (place_.since_sequence > 0 || place_.is_awaiting) TRY(sys::MakeDirectories(place_.directory, 0755));
  auto writer = translog::LogWriter::Open(LogOptions());
  if (!writer && writer.error().code == ErrorCode::kLogForked) {
    // The files know more than the database: it is an old copy, and stays halted until somebody decides.
    TRY(StoreHalt(*database_, "the log files are not those of this database: " + writer.error().detail, clock.Now()));
  }
  if (!writer) return tl::unexpected(WithContext(writer.error(), "open the log"));
  log_ = std::make_unique<LogSwitch>(wrap(*std::move(writer)), log_key_);
  return {};
}

Status SignerService::OpenParts(const sys::Clock& clock, const WrapLog& wrap) {
  TRY(OpenKeys());
  TRY(OpenDatabase(clock));
  TRY(OpenCas());
  TRY(OpenLogKey());
  TRY(OpenLog(clock, wrap));
  TRY_ASSIGN(const UnixSeconds newest, ReadNewestRecord(place_.directory, *database_, *log_));
  TRY(OpenCore(clock, newest));
  TellClock(*core_, newest);
  return {};
}

Status SignerService::OpenCore(const sys::Clock& clock, UnixSeconds newest_record) {
  TRY_ASSIGN(core_, Core::Open({config_, *database_, *log_, clock, *keystore_, *keys_, *cas_, place_, newest_record}));
  return {};
}

Result<std::unique_ptr<SignerService>> SignerService::OpenWithoutLog(const Config& config, const sys::Clock& clock) {
  std::unique_ptr<SignerService> service(new SignerService(config));
  service->lost_keys_ = LostKeys::kAllow;
  TRY(service->OpenKeys());
  TRY(service->OpenDatabase(clock));
  TRY(service->OpenCas());
  TRY(service->OpenLogKey());
  TRY_ASSIGN(translog::LockRow row, translog::ReadLockRow(service->LogOptions()));
  service->log_ =
      std::make_unique<LogSwitch>(std::make_unique<NoLog>(service->place_.origin, std::move(row)), service->log_key_);
  // Nothing is recorded here: the time of records is judged when the log is opened.
  TRY(service->OpenCore(clock, {}));
  return service;
}

Result<translog::AdoptedFiles> SignerService::LookAtFiles() const { return translog::LookAtFiles(LogOptions()); }

Status SignerService::AdoptFiles(const translog::AdoptedFiles& files) const {
  return translog::AdoptFiles(LogOptions(), files);
}

SignerService::~SignerService() { Stop(); }

Status SignerService::Listen() {
  sys::LocalServer::Options options;
  options.listen.path = config_.socket;
  options.listen.mode = config_.socket_group ? 0660 : 0600;
  options.listen.group = config_.socket_group;
  options.connections_max = kConnectionsMax;
  options.timeout_ms = kIdleMs;
  const auto serve = [this](sys::LocalChannel& channel, const sys::PeerCredentials& peer) {
    if (peer.uid != config_.server_uid) {
      log::Event(log::Level::kWarning, "peer.refused", {{"uid", peer.uid}});
      channel.SetTimeoutMs(kRefusedMs);
      // The request is read first: closing over unread bytes would take the answer with it.
      (void)channel.ReceiveMessage();
      (void)channel.SendMessage(
          api::signing::BuildError(ErrorCode::kPermissionDenied, "this user may not connect here"));
      return;
    }
    for (;;) {
      const auto message = channel.ReceiveMessage();
      if (!message) return;
      if (!channel.SendMessage(AnswerMessage(*core_, message->text))) return;
    }
  };
  TRY_ASSIGN_CONTEXT(server_, sys::LocalServer::Start(std::move(options), serve), config_.socket);
  return {};
}

void SignerService::Stop() {
  if (server_) server_->Stop();
}

}  // namespace fleetseal::signer

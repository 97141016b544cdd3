#include "signer/service.h"

#include "api/signing/messages.h"
#include "log/log.h"
#include "merkle/note.h"
#include "signer/dispatch.h"
#include "signer/log_clock.h"
#include "signer/recovery.h"
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
  void Append(Bytes, Done done) override { done(Fail(ErrorCode::kLogNotWritable, "the log is not open")); }
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

Result<std::string> VkeyOf(const Config& config, const LogKey& key) {
  TRY_ASSIGN(const merkle::Vkey vkey, merkle::Vkey::FromEd25519(config.log_origin, key.facts().key.x()));
  return vkey.ToText();
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

Status SignerService::OpenKeys() {
  if (!sys::DirectoryExists(KeysFolderOf(config_))) {
    return Fail(ErrorCode::kNotFound, config_.data + " holds no signer: make it with --create");
  }
  TRY_ASSIGN(lock_, sys::FileLock::Acquire(LockPathOf(config_)));
  TRY_ASSIGN(const SecretBytes passphrase, ReadPassphrase(config_));
  TRY_ASSIGN_CONTEXT(const auto keystore,
                     Keystore::Open(KeysFolderOf(config_), AsText(passphrase.reveal()), config_.keystore_cost),
                     "open the keystores");
  TRY_ASSIGN(PublisherKeys publishers, PublisherKeys::Load(*keystore));
  TRY_ASSIGN(DirectorKey director, DirectorKey::Load(*keystore));
  TRY_ASSIGN(LogKey log_key, LogKey::Load(*keystore));
  TRY_ASSIGN(CaKeys cas, CaKeys::Load(*keystore, config_.organisation));
  publishers_ = std::make_unique<PublisherKeys>(std::move(publishers));
  director_ = std::make_unique<DirectorKey>(std::move(director));
  log_key_ = std::make_unique<LogKey>(std::move(log_key));
  cas_ = std::make_unique<CaKeys>(std::move(cas));
  return {};
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
  return TakeRestoredMark(config_, *database_, clock.Now());
}

translog::LogWriter::Options SignerService::LogOptions() const {
  return {config_.log, config_.log_origin, *database_, log_key_->checkpoint_signer()};
}

Status SignerService::OpenLog(const sys::Clock& clock, const WrapLog& wrap) {
  auto writer = translog::LogWriter::Open(LogOptions());
  if (!writer && writer.error().code == ErrorCode::kLogForked) {
    // The files know more than the database: it is an old copy, and stays halted until somebody decides.
    TRY(StoreHalt(*database_, "the log files are not those of this database: " + writer.error().detail, clock.Now()));
  }
  if (!writer) return tl::unexpected(WithContext(writer.error(), "open the log"));
  log_ = wrap(*std::move(writer));
  return {};
}

Status SignerService::OpenParts(const sys::Clock& clock, const WrapLog& wrap) {
  TRY(OpenKeys());
  TRY(OpenDatabase(clock));
  TRY(OpenLog(clock, wrap));
  TRY_ASSIGN(const UnixSeconds newest, ReadNewestRecord(config_, *database_, *log_));
  TRY(OpenCore(clock, newest));
  TellClock(*core_, newest);
  return {};
}

Status SignerService::OpenCore(const sys::Clock& clock, UnixSeconds newest_record) {
  TRY_ASSIGN(std::string vkey, VkeyOf(config_, *log_key_));
  TRY_ASSIGN(core_, Core::Open({config_, *database_, *log_, clock, *publishers_, *director_, *cas_, std::move(vkey),
                                newest_record}));
  return {};
}

Result<std::unique_ptr<SignerService>> SignerService::OpenWithoutLog(const Config& config, const sys::Clock& clock) {
  std::unique_ptr<SignerService> service(new SignerService(config));
  TRY(service->OpenKeys());
  TRY(service->OpenDatabase(clock));
  TRY_ASSIGN(translog::LockRow row, translog::ReadLockRow(service->LogOptions()));
  service->log_ = std::make_unique<NoLog>(config.log_origin, std::move(row));
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

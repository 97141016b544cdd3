#include "agent/agent.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "agent/alarm_watch.h"
#include "base/check.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "device/content_feed.h"
#include "pki/chain.h"
#include "sys/file.h"

namespace fleetseal::agent {
namespace {

namespace wire = api::installer;
using wire::InstallerPhase;

constexpr int64_t kLockWaitMs = 60'000;
constexpr int64_t kLockRetryMs = 200;
// Short, so that a stop signal is seen.
constexpr int64_t kPhaseWaitMs = 1000;
// A phase that stays so long waits for its window or for the machine to restart.
constexpr int kPhaseWaitsMax = 30;
// Package answers are cut; a device far behind asks this often in one cycle.
constexpr int kCheckInsMax = 16;
constexpr int kReceiptBatchesMax = 16;
// Fetched on so often in one cycle after a transfer was cut.
constexpr int kFetchRoundsMax = 3;

// Between check-ins that fail in the middle of a download.
constexpr int64_t kRetryBetweenMs = 30'000;

// The server's word about this device or its order, and what a cut transfer looks like.
bool IsHeldBack(ErrorCode code) {
  return code == ErrorCode::kPlanPaused || code == ErrorCode::kOrderCancelled || code == ErrorCode::kPermissionDenied;
}
bool MayHaveAReason(ErrorCode code) {
  return IsHeldBack(code) || code == ErrorCode::kUnreachable || code == ErrorCode::kTruncated ||
         code == ErrorCode::kTlsFailed || code == ErrorCode::kProtocolError;
}

Result<std::unique_ptr<sys::FileLock>> LockCycle(const Config& config, const sys::Clock& clock,
                                                 const std::atomic<bool>& stop) {
  TRY(sys::MakeDirectories(config.work_directory, 0700));
  const std::string path = sys::JoinPath(config.work_directory, "cycle.lock");
  const int64_t deadline_ms = clock.MonotonicMs() + kLockWaitMs;
  while (true) {
    auto lock = sys::FileLock::Acquire(path);
    if (lock || lock.error().code != ErrorCode::kBusy) return lock;
    if (clock.MonotonicMs() >= deadline_ms || stop.load())
      return Fail(ErrorCode::kBusy, "another cycle of this agent runs");
    std::this_thread::sleep_for(std::chrono::milliseconds(kLockRetryMs));
  }
}

api::device::CheckInRequest CheckInOf(const wire::InstallerState& state) {
  api::device::CheckInRequest request;
  request.device_id = state.device_id;
  request.generation = state.generation;
  request.package_version = state.package_version;
  if (state.status) request.status = api::device::Numbered{state.status->epoch, state.status->number};
  if (state.order) request.order = api::device::Numbered{state.order->epoch, state.order->number};
  if (state.checkpoint)
    request.checkpoint = api::device::KnownCheckpoint{state.checkpoint->origin, state.checkpoint->size};
  if (state.installed)
    request.installed = api::device::Installed{state.installed->product, state.installed->release_counter,
                                               state.installed->manifest_sha256};
  request.phase = std::string(wire::PhaseName(state.phase));
  request.agent_version = std::string(device::AgentVersion());
  return request;
}

wire::OfferDocumentsRequest OfferOf(const api::device::CheckInAnswer& answer) {
  wire::OfferDocumentsRequest offer;
  offer.packages = answer.packages;
  offer.status = answer.status;
  offer.order = answer.order;
  if (answer.manifest) offer.manifest = ToBytes(*answer.manifest);
  offer.manifest_signature = answer.manifest_signature;
  offer.log_proof = answer.log_proof;
  offer.consistency = answer.consistency;
  return offer;
}

bool IsEmpty(const wire::OfferDocumentsRequest& offer) {
  return offer.packages.empty() && !offer.status && !offer.order;
}

}  // namespace

int64_t PauseSeconds(const Config& config, int64_t wanted_by_server) {
  return std::min(wanted_by_server, config.check_in_seconds.value_or(wanted_by_server));
}

ExitCode CycleReport::exit() const {
  if (refusal) return InfoOf(refusal->code).exit;
  if (code) return InfoOf(*code).exit;
  return state && !state->alarms.empty() ? ExitCode::kFailed : ExitCode::kOk;
}

codec::Json CycleReport::ToJson() const {
  codec::Json json = codec::Json::MakeObject();
  codec::Json names = codec::Json::MakeArray();
  for (const std::string& name : accepted) names.Push(name);
  json.Set("accepted", std::move(names));
  if (refusal) {
    codec::Json object = codec::Json::MakeObject();
    object.Set("document", refusal->document).Set("code", ErrorCodeName(refusal->code)).Set("detail", refusal->detail);
    json.Set("refusal", std::move(object));
  }
  if (code) json.Set("code", ErrorCodeName(*code));
  json.Set("files", files).Set("receipts", receipts);
  if (state) {
    json.Set("deviceId", state->device_id.text()).Set("phase", wire::PhaseName(state->phase));
    json.Set("packageVersion", state->package_version);
    if (state->installed) {
      codec::Json installed = codec::Json::MakeObject();
      installed.Set("product", state->installed->product.text());
      installed.Set("releaseCounter", state->installed->release_counter);
      installed.Set("manifestSha256", codec::EncodeHex(state->installed->manifest_sha256));
      json.Set("installed", std::move(installed));
    }
  }
  if (state && !state->alarms.empty()) json.Set("alarms", AlarmsJson(state->alarms));
  json.Set("nextCheckInSeconds", next_check_in_seconds);
  return json;
}

void Agent::Say(const std::string& line) const {
  if (options_.on_step) options_.on_step(line);
}

Status Agent::CheckStop() const {
  if (options_.stop.load()) return Fail(ErrorCode::kCancelled, "the agent was told to stop");
  return {};
}

device::ConnectOptions Agent::ServerOptions() const {
  const Config& config = options_.config;
  device::ConnectOptions connect;
  connect.server_url = config.server;
  connect.server_ca_path = config.server_ca;
  connect.server_ca_pem = server_ca_pem_;
  connect.now = now_;
  connect.rate_max = config.rate_max;
  connect.proxy = config.proxy;
  connect.cancel = &options_.stop;
  return connect;
}

Result<std::unique_ptr<device::DeviceClient>> Agent::Connect(bool with_certificate) const {
  device::ConnectOptions connect = ServerOptions();
  if (with_certificate) {
    connect.certificate_path = identity_->certificate_path();
    connect.private_key_path = identity_->key_path();
  }
  return device::DeviceClient::Create(connect);
}

Status Agent::TakeServerCas(const wire::InstallerState& state) {
  std::string pem;
  Status unread;
  for (const Bytes& der : state.server_cas) {
    const auto certificate = pki::Certificate::FromDer(der);
    // One of a kind that this agent does not know comes beside the others, for those who do.
    if (!certificate) unread = tl::unexpected(certificate.error());
    if (certificate) pem += certificate->ToPem();
  }
  if (pem.empty()) TRY_CONTEXT(unread, "server CA of the package");
  server_ca_pem_ = std::move(pem);
  return {};
}

Result<CycleReport> Agent::RunCycle() {
  TRY_ASSIGN(const auto lock, LockCycle(options_.config, options_.clock, options_.stop));
  TRY_ASSIGN(installer_, wire::InstallerClient::Connect(options_.config.installer_socket));
  TRY_ASSIGN_CONTEXT(wire::InstallerState state, installer_->State(), "installer");
  if (options_.config.device_id && *options_.config.device_id != state.device_id)
    return Fail(ErrorCode::kDeviceIdMismatch, "the installer is of device " + state.device_id.text());
  CycleReport report;
  // An installer that is in the middle of a switch takes no documents, not even the time.
  if (state.status_nonce && state.phase >= InstallerPhase::kInstalled) {
    TRY(WaitForEnd(report));
    state = *report.state;
  }
  now_ = state.now;
  TRY(TakeServerCas(state));
  if (state.status_nonce) TRY(LearnTime(state));
  TRY(EnsureIdentity(state));
  TRY_ASSIGN(server_, Connect(true));
  TRY(CheckIn(report));
  TRY(FetchWanted(report));
  TRY(WaitForEnd(report));
  TRY(UploadReceipts(report));
  return report;
}

Status Agent::EnsureIdentity(const wire::InstallerState& state) {
  TRY_ASSIGN_CONTEXT(identity_, device::Identity::Open(options_.config.identity_directory), "identity");
  if (!identity_->certificate()) return Enrol(state);
  RenewIfDue(state);
  return {};
}

Status Agent::Enrol(const wire::InstallerState& state) {
  TRY_ASSIGN(const Bytes csr, identity_->BuildRequest(state.organisation, state.device_id));
  TRY_ASSIGN_CONTEXT(const std::string proof, installer_->Identify(crypto::HashSha256(csr)),
                     "proof of the device's keys");
  TRY_ASSIGN(const auto server, Connect(false));
  TRY_ASSIGN_CONTEXT(const pki::Certificate certificate, server->Enrol(csr, state.device_id.text(), proof), "enrol");
  TRY_ASSIGN(const pki::Identity named, pki::IdentityOf(certificate, state.organisation));
  if (named.kind != pki::IdentityKind::kDevice || named.id != state.device_id.text())
    return Fail(ErrorCode::kDeviceIdMismatch, "the certificate is for another device");
  TRY(identity_->SetCertificate(certificate));
  Say("enrolled as " + state.device_id.text());
  return {};
}

// A renewal that fails is no reason to miss updates: it is tried again in the next cycle.
void Agent::RenewIfDue(const wire::InstallerState& state) {
  if (!identity_->is_renewal_due(now_.value_or(options_.clock.Now()))) return;
  auto csr = identity_->BuildRequest(state.organisation, state.device_id);
  auto server = Connect(true);
  if (!csr || !server) return;
  auto certificate = (*server)->Reenrol(*csr);
  const Status stored = certificate ? identity_->SetCertificate(*certificate) : tl::unexpected(certificate.error());
  Say(stored ? "certificate renewed" : "certificate not renewed: " + stored.error().ToString());
}

Status Agent::LearnTime(const wire::InstallerState& state) {
  // The clock may be so wrong that the server's dates fail by it.
  device::ConnectOptions connect = ServerOptions();
  connect.is_to_learn_time = true;
  TRY_ASSIGN(const auto server, device::DeviceClient::Create(connect));
  wire::InstallerState known = state;
  // One answer carries so many packages; the status is good only with the last of them.
  for (int round = 0; round < kCheckInsMax; ++round) {
    TRY(CheckStop());
    wire::OfferDocumentsRequest offer;
    TRY_ASSIGN(offer.packages, server->Packages(known.package_version + 1));
    TRY_ASSIGN(offer.status, server->StatusDocument(known.status_nonce));
    TRY_ASSIGN_CONTEXT(const wire::OfferOutcome outcome, installer_->OfferDocuments(offer), "offer the time");
    const int64_t version = known.package_version;
    TRY_ASSIGN(known, installer_->State());
    if (!outcome.refusal) Say("time and status taken from the server");
    if (outcome.refusal && known.package_version == version)
      Say("the installer refused the " + outcome.refusal->document + ": " +
          std::string(ErrorCodeName(outcome.refusal->code)));
    if (!outcome.refusal || known.package_version == version) break;
  }
  now_ = known.now;
  return TakeServerCas(known);
}

Status Agent::CheckIn(CycleReport& report) {
  for (int round = 0; round < kCheckInsMax; ++round) {
    TRY(CheckStop());
    TRY_ASSIGN(const wire::InstallerState state, installer_->State());
    TRY_ASSIGN_CONTEXT(const api::device::CheckInAnswer answer, server_->CheckIn(CheckInOf(state)), "check in");
    report.next_check_in_seconds = answer.next_check_in_seconds;
    const int64_t pause_s = PauseSeconds(options_.config, answer.next_check_in_seconds);
    check_in_due_ms_ = options_.clock.MonotonicMs() + pause_s * 1000;
    if (round == 0) Say("checked in as " + state.device_id.text());
    const wire::OfferDocumentsRequest offer = OfferOf(answer);
    if (IsEmpty(offer) || state.phase > InstallerPhase::kInstalled) return {};
    TRY_ASSIGN_CONTEXT(wire::OfferOutcome outcome, installer_->OfferDocuments(offer), "offer documents");
    for (const std::string& name : outcome.accepted) Say("the installer accepted the " + name);
    report.accepted.insert(report.accepted.end(), outcome.accepted.begin(), outcome.accepted.end());
    if (outcome.refusal) {
      Say("the installer refused the " + outcome.refusal->document + ": " +
          std::string(ErrorCodeName(outcome.refusal->code)) + " (" + outcome.refusal->detail + ")");
      report.refusal = std::move(outcome.refusal);
      return {};
    }
    if (offer.packages.empty() || offer.order) return {};
  }
  return {};
}

// A server that refuses content, or ends a transfer, may have a reason to tell: an order that cancels, a pause. So the
// device asks at once instead of at its next check-in; what is wanted afterwards is fetched on from the same byte.
Status Agent::FetchWanted(CycleReport& report) {
  for (int round = 1;; ++round) {
    const Status fetched = FetchOnce(report);
    if (fetched || options_.stop.load()) return fetched;
    const bool is_unwanted = fetched.error().code == ErrorCode::kCancelled;
    if (!is_unwanted && !MayHaveAReason(fetched.error().code)) return fetched;
    Say((is_unwanted ? "the download was stopped: " : "the content was not delivered: ") + fetched.error().ToString());
    if (!is_unwanted) TRY_CONTEXT(CheckIn(report), "after " + fetched.error().ToString());
    TRY_ASSIGN(const wire::InstallerState state, installer_->State());
    if (state.wanted.empty()) return {};
    if (IsHeldBack(fetched.error().code)) {
      report.code = fetched.error().code;
      return {};
    }
    if (round == kFetchRoundsMax) return fetched;
  }
}

Status Agent::CheckInBetween(CycleReport& report, const Sha256& sealed_sha256) {
  const Status asked = CheckIn(report);
  // The line may be gone for a moment: the download finds out, and is what must get through.
  if (!asked && InfoOf(asked.error().code).exit == ExitCode::kUnreachable) {
    Say("no check-in during the download: " + asked.error().ToString());
    check_in_due_ms_ = options_.clock.MonotonicMs() + kRetryBetweenMs;
    return {};
  }
  TRY_CONTEXT(asked, "during the download");
  TRY_ASSIGN(const wire::InstallerState state, installer_->State());
  const bool is_wanted = std::any_of(state.wanted.begin(), state.wanted.end(),
                                     [&](const auto& wanted) { return wanted.sealed_sha256 == sealed_sha256; });
  if (!is_wanted) return Fail(ErrorCode::kCancelled, "the installer does not want it any more");
  return {};
}

Status Agent::FetchOnce(CycleReport& report) {
  TRY_ASSIGN(wire::InstallerState state, installer_->State());
  RemoveStaleContent(state.wanted);
  for (const wire::WantedContent& wanted : state.wanted) {
    TRY(CheckStop());
    const device::Content content{.sealed_sha256 = wanted.sealed_sha256, .sealed_size = wanted.sealed_size};
    const device::Interlude check_in{.is_due = [this] { return options_.clock.MonotonicMs() >= check_in_due_ms_; },
                                     .run = [&] { return CheckInBetween(report, wanted.sealed_sha256); }};
    TRY_ASSIGN(const std::string path, server_->Fetch(content, options_.config.work_directory, check_in));
    Say("fetched " + std::to_string(wanted.sealed_size.value) + " bytes for " + wanted.file_id.text());
    auto phase = device::FeedContent(*installer_, wanted, path);
    if (!phase) {
      Say("the installer refused the content: " + phase.error().ToString());
      report.code = phase.error().code;
      // The outcome is in a receipt, which is sent below.
      break;
    }
    TRY(sys::RemoveFile(path));
    report.files += 1;
    Say("the installer has verified " + wanted.file_id.text());
  }
  return {};
}

void Agent::RemoveStaleContent(const std::vector<wire::WantedContent>& wanted) const {
  auto names = sys::ListDirectory(options_.config.work_directory);
  if (!names) return;
  constexpr size_t kHexSize = 64;
  for (const std::string& name : *names) {
    const std::string hash = name.substr(0, kHexSize);
    if (!codec::DecodeHexSha256(hash)) continue;
    const bool is_wanted = std::any_of(wanted.begin(), wanted.end(), [&](const wire::WantedContent& content) {
      return codec::EncodeHex(content.sealed_sha256) == hash;
    });
    if (!is_wanted) (void)sys::RemoveFile(sys::JoinPath(options_.config.work_directory, name));
  }
}

Status Agent::WaitForEnd(CycleReport& report) {
  TRY_ASSIGN(wire::InstallerState state, installer_->State());
  const auto is_moving = [&] { return state.phase >= InstallerPhase::kInstalled; };
  const bool had_order = report.files > 0 || is_moving() ||
                         std::find(report.accepted.begin(), report.accepted.end(), "order") != report.accepted.end();
  InstallerPhase shown = state.phase;
  for (int waits = 0; is_moving() && waits < kPhaseWaitsMax; ++waits) {
    TRY(CheckStop());
    const InstallerPhase phase = state.phase;
    TRY_ASSIGN(state, installer_->State({.wait_ms = kPhaseWaitMs, .phase = phase, .acknowledged = std::nullopt}));
    if (state.phase != phase) waits = 0;
    if (state.phase != shown && is_moving()) Say("phase " + std::string(wire::PhaseName(state.phase)));
    shown = state.phase;
  }
  if (is_moving()) {
    Say("the update waits in phase " + std::string(wire::PhaseName(state.phase)));
  } else if (had_order && state.phase == InstallerPhase::kIdle && !report.refusal) {
    if (state.last_code) report.code = ErrorCodeFromName(*state.last_code).value_or(ErrorCode::kInternal);
    Say(state.last_code ? "the order ended with " + *state.last_code : "the order was carried out");
  }
  report.state = std::move(state);
  return {};
}

// Acknowledged only after the server has taken them, in order, or refused them for good: those the signer can never
// take, and they may not keep back the ones behind them. A server that lies about it leaves a gap that the signer sees.
Status Agent::UploadReceipts(CycleReport& report) {
  TRY_ASSIGN(wire::InstallerState state, installer_->State());
  for (int batch = 0; batch < kReceiptBatchesMax && !state.receipts.empty(); ++batch) {
    TRY_ASSIGN_CONTEXT(const auto results, server_->SendReceipts(state.receipts), "send receipts");
    int64_t acknowledged = 0;
    for (size_t i = 0; i < results.size() && (results[i].is_accepted || results[i].is_final); ++i) {
      TRY_ASSIGN(acknowledged, device::ReceiptNumber(state.receipts[i]));
      report.receipts += results[i].is_accepted ? 1 : 0;
      if (!results[i].is_accepted)
        Say("a receipt was refused for good: " + results[i].code.value_or("no reason given"));
    }
    const auto refused = std::find_if(results.begin(), results.end(),
                                      [](const auto& result) { return !result.is_accepted && !result.is_final; });
    if (refused != results.end())
      Say("the server did not take a receipt: " + refused->code.value_or("no reason given"));
    if (acknowledged == 0) break;
    TRY_ASSIGN(state,
               installer_->State({.wait_ms = std::nullopt, .phase = std::nullopt, .acknowledged = acknowledged}));
    if (refused != results.end()) break;
  }
  if (report.receipts > 0) Say(std::to_string(report.receipts) + " receipt(s) are with the server");
  report.state = std::move(state);
  return {};
}

}  // namespace fleetseal::agent

// What agent and installer say to each other over the installer's socket.
//
// Source: docs/protocol/processes.md section 7; trust model section 8 (bounded verbs, no paths, no HTTP).
// Length-prefixed strict JSON (sys/socket.h). A request is {"verb":V, ...}; an error answer is
// {"error":{"code","detail"}}. Thread rule: plain values and pure functions. Parsers give the codes of ParseJson and
// ObjectReader, FromAnswer parsers also the error that the answer carries.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::api::installer {

// Longest wait of the verb `state`, milliseconds.
inline constexpr int64_t kStateWaitMsMax = 30'000;
// Receipts that one answer carries; the next ones follow after the first were acknowledged.
inline constexpr size_t kStateReceiptsMax = 64;
// Certificates of server CAs, as many and as long as a package may name.
inline constexpr size_t kServerCasMax = 16;
inline constexpr size_t kServerCaBytesMax = 8192;
// Alarms of one state: one of each kind is less.
inline constexpr size_t kAlarmsMax = 8;

enum class InstallerPhase : uint8_t {
  kIdle,
  kAccepted,   // an order is verified, content is wanted
  kReceiving,  // at least one byte of content came
  kInstalled,  // all files stand verified in the idle slot
  kSwitching,
  kBooting,
  kHealthCheck,
  kCommitted,
  kRollingBack,
};
std::string_view PhaseName(InstallerPhase phase);
Result<InstallerPhase> PhaseFromName(std::string_view name);  // ValueOutOfRange

struct WantedContent {
  FileId file_id;
  Sha256 sealed_sha256;
  ByteCount sealed_size;
  bool operator==(const WantedContent&) const = default;
};

struct StateRequest {
  std::optional<int64_t> wait_ms;       // 0 to kStateWaitMsMax
  std::optional<InstallerPhase> phase;  // waits while the phase is this one
  std::optional<int64_t> acknowledged;  // the server has every receipt up to this number
};
struct IdentifyRequest {
  Sha256 csr_sha256;
};
// Everything may be missing; what is there is judged in the order of trust model section 8.
struct OfferDocumentsRequest {
  std::vector<std::string> packages;
  std::optional<std::string> status;
  std::optional<std::string> order;
  std::optional<Bytes> manifest;
  std::optional<std::string> manifest_signature;
  std::optional<std::string> log_proof;
  std::optional<std::vector<Sha256>> consistency;
};
// Goes with one descriptor: the read end of a pipe.
struct OfferContentRequest {
  FileId file_id;
  Sha256 sealed_sha256;
};
struct AbortRequest {};
using InstallerRequest =
    std::variant<StateRequest, IdentifyRequest, OfferDocumentsRequest, OfferContentRequest, AbortRequest>;

Result<InstallerRequest> ParseInstallerRequest(std::string_view text);
std::string BuildInstallerRequest(const InstallerRequest& request);

struct EpochNumber {
  int64_t epoch = 0;
  int64_t number = 0;
  auto operator<=>(const EpochNumber&) const = default;
};
struct CheckpointSize {
  std::string origin;
  int64_t size = 0;
};
struct InstalledRelease {
  ProductName product;
  int64_t release_counter = 0;
  Sha256 manifest_sha256;
};
// What the device sees by itself that is not as it should be: docs/operations/device-alarms.md.
struct Alarm {
  std::string kind;  // "update-withheld", "status-expired", "package-expired", "package-ends"
  std::string words;
  UnixSeconds since;
  bool operator==(const Alarm&) const = default;
};
struct InstallerState {
  DeviceId device_id;
  int64_t generation = 1;
  Organisation organisation;
  int64_t package_version = 0;
  std::optional<EpochNumber> status;
  std::optional<EpochNumber> order;
  std::optional<CheckpointSize> checkpoint;
  std::optional<InstalledRelease> installed;
  InstallerPhase phase = InstallerPhase::kIdle;
  std::vector<WantedContent> wanted;
  std::vector<std::string> receipts;     // compact, oldest first
  std::optional<std::string> last_code;  // name of the code that ended the last order; none after a good one
  std::optional<UnixSeconds> now;        // once a status with a nonce gave the time
  std::optional<Bytes> status_nonce;     // asks for a status that holds it
  std::vector<Bytes> server_cas;         // DER, of the newest package: what servers are judged by; empty: it names none
  std::vector<Alarm> alarms;             // at most kAlarmsMax
};
std::string BuildStateAnswer(const InstallerState& state);
Result<InstallerState> StateFromAnswer(std::string_view text);

std::string BuildIdentifyAnswer(std::string_view proof);
Result<std::string> ProofFromAnswer(std::string_view text);

struct OfferRefusal {
  std::string document;  // "package", "status", "order"
  ErrorCode code = ErrorCode::kInternal;
  std::string detail;
};
struct OfferOutcome {
  std::vector<std::string> accepted;  // "package 3", "status", "order"
  std::optional<OfferRefusal> refusal;
  InstallerPhase phase = InstallerPhase::kIdle;
  std::vector<WantedContent> wanted;
};
std::string BuildOfferAnswer(const OfferOutcome& outcome);
Result<OfferOutcome> OfferFromAnswer(std::string_view text);

std::string BuildPhaseAnswer(InstallerPhase phase);
Result<InstallerPhase> PhaseFromAnswer(std::string_view text);

std::string BuildErrorAnswer(const Error& error);

}  // namespace fleetseal::api::installer

// Agent: one cycle of a device: identity, check-in, documents, content, waiting for the end, receipts.
//
// Source: design section 5.5; trust model section 8: the agent carries bytes and decides nothing. Whatever the server
// gives is offered to the installer. Thread rule: one thread runs cycles; `stop` may be set from any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "api/installer/installer_client.h"
#include "device/device_client.h"
#include "device/identity.h"
#include "sys/clock.h"

namespace fleetseal::agent {

// What a cycle did, for --json and for the pause before the next one.
struct CycleReport {
  std::vector<std::string> accepted;                    // documents the installer took
  std::optional<api::installer::OfferRefusal> refusal;  // the document it refused
  std::optional<ErrorCode> code;                        // why the last order did not end well
  int64_t files = 0;                                    // contents given to the installer
  int64_t receipts = 0;                                 // receipts that the server has taken
  std::optional<api::installer::InstallerState> state;  // at the end
  int64_t next_check_in_seconds = 300;

  // The exit of the refusal or code; kFailed if there is an alarm; else kOk.
  ExitCode exit() const;
  codec::Json ToJson() const;
};

// Until the next check-in: what the server says, or less.
int64_t PauseSeconds(const Config& config, int64_t wanted_by_server);

class Agent {
 public:
  // One line a step, in words.
  using Step = std::function<void(std::string_view line)>;
  struct Options {
    const Config& config;
    const sys::Clock& clock;
    const std::atomic<bool>& stop;
    Step on_step;
  };
  explicit Agent(Options options) : options_(std::move(options)) {}
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Waits up to a minute for another cycle (--once beside a running agent), then does one. Codes: Busy, those of the
  // installer's socket, of DeviceClient and of files. A refusal by the installer is no error: it is in the report.
  Result<CycleReport> RunCycle();

 private:
  Status EnsureIdentity(const api::installer::InstallerState& state);
  Status Enrol(const api::installer::InstallerState& state);
  void RenewIfDue(const api::installer::InstallerState& state);
  // Packages and a status with the device's nonce: the two routes that need neither date nor certificate. Afterwards
  // the server's dates are judged by what the installer takes for now.
  Status LearnTime(const api::installer::InstallerState& state);
  Status CheckIn(CycleReport& report);
  Status FetchWanted(CycleReport& report);
  // Fetches and gives to the installer all that it wants. Cancelled: it does not want it any more.
  Status FetchOnce(CycleReport& report);
  // A check-in in the middle of a download: what stops an update must not wait for the last byte.
  Status CheckInBetween(CycleReport& report, const Sha256& sealed_sha256);
  Status WaitForEnd(CycleReport& report);
  Status UploadReceipts(CycleReport& report);
  device::ConnectOptions ServerOptions() const;
  Result<std::unique_ptr<device::DeviceClient>> Connect(bool with_certificate) const;
  // Trust model 8, check 1: servers are judged by the CAs of the newest package, and no others. A package that names
  // none leaves what the device was provisioned with. CertificateInvalid.
  Status TakeServerCas(const api::installer::InstallerState& state);
  void Say(const std::string& line) const;
  Status CheckStop() const;
  void RemoveStaleContent(const std::vector<api::installer::WantedContent>& wanted) const;

  Options options_;
  std::optional<UnixSeconds> now_;  // the installer's, once it knows the time
  int64_t check_in_due_ms_ = 0;     // monotonic: the next one, should the cycle last so long
  std::string server_ca_pem_;       // of the newest package; empty: those of the configuration
  std::unique_ptr<device::Identity> identity_;
  std::unique_ptr<device::DeviceClient> server_;
  std::optional<api::installer::InstallerClient> installer_;
};

}  // namespace fleetseal::agent

#include "api/installer/installer_client.h"

#include <utility>

namespace fleetseal::api::installer {
namespace {

// Judging documents takes milliseconds; the power command may take seconds.
constexpr int64_t kAnswerTimeoutMs = 120'000;

}  // namespace

Result<InstallerClient> InstallerClient::Connect(const std::string& socket_path) {
  TRY_ASSIGN_CONTEXT(sys::LocalChannel channel, sys::LocalChannel::Connect(socket_path), "connect to the installer");
  return InstallerClient(std::move(channel));
}

Result<std::string> InstallerClient::Ask(const InstallerRequest& request, int64_t timeout_ms) {
  channel_.SetTimeoutMs(timeout_ms);
  TRY_ASSIGN_CONTEXT(sys::LocalMessage answer, channel_.Exchange(BuildInstallerRequest(request)), "ask the installer");
  return std::move(answer.text);
}

Result<InstallerState> InstallerClient::State(const StateRequest& request) {
  TRY_ASSIGN(const std::string answer, Ask(request, kAnswerTimeoutMs + request.wait_ms.value_or(0)));
  return StateFromAnswer(answer);
}

Result<std::string> InstallerClient::Identify(const Sha256& csr_sha256) {
  TRY_ASSIGN(const std::string answer, Ask(IdentifyRequest{csr_sha256}, kAnswerTimeoutMs));
  return ProofFromAnswer(answer);
}

Result<OfferOutcome> InstallerClient::OfferDocuments(const OfferDocumentsRequest& request) {
  TRY_ASSIGN(const std::string answer, Ask(request, kAnswerTimeoutMs));
  return OfferFromAnswer(answer);
}

Status InstallerClient::StartContent(const OfferContentRequest& request, int read_end) {
  channel_.SetTimeoutMs(kAnswerTimeoutMs);
  return channel_.SendMessage(BuildInstallerRequest(request), read_end);
}

Result<InstallerPhase> InstallerClient::FinishContent() {
  channel_.SetTimeoutMs(sys::kNoTimeout);
  TRY_ASSIGN_CONTEXT(const sys::LocalMessage answer, channel_.ReceiveMessage(), "wait for the installer");
  return PhaseFromAnswer(answer.text);
}

Result<InstallerPhase> InstallerClient::Abort() {
  TRY_ASSIGN(const std::string answer, Ask(AbortRequest{}, kAnswerTimeoutMs));
  return PhaseFromAnswer(answer);
}

}  // namespace fleetseal::api::installer

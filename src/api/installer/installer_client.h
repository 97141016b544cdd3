// The agent's side of the installer's socket: one connection, typed verbs.
//
// Source: docs/protocol/processes.md section 7. Thread rule: one thread at a time an object; several objects may be
// connected at once (a second one may ask for the state while content streams).
#pragma once

#include <string>

#include "api/installer/messages.h"
#include "sys/socket.h"

namespace fleetseal::api::installer {

class InstallerClient {
 public:
  // Codes: those of sys::LocalChannel::Connect.
  static Result<InstallerClient> Connect(const std::string& socket_path);
  explicit InstallerClient(sys::LocalChannel channel) : channel_(std::move(channel)) {}

  // Every verb: the installer's own code if it answers with an error; codes of LocalChannel; ProtocolError for an
  // answer that cannot be read.
  Result<InstallerState> State(const StateRequest& request = {});
  // The compact enrolment document.
  Result<std::string> Identify(const Sha256& csr_sha256);
  Result<OfferOutcome> OfferDocuments(const OfferDocumentsRequest& request);
  // Sends the verb with `read_end` and returns; the caller then writes the content, closes its end, and calls
  // FinishContent. Splitting it lets one thread do both.
  Status StartContent(const OfferContentRequest& request, int read_end);
  // Waits for the answer as long as it takes: the installer itself bounds a silent stream.
  Result<InstallerPhase> FinishContent();
  Result<InstallerPhase> Abort();

 private:
  Result<std::string> Ask(const InstallerRequest& request, int64_t timeout_ms);

  sys::LocalChannel channel_;
};

}  // namespace fleetseal::api::installer

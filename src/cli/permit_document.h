// Asking for a downgrade permit: the document that a publisher signs, sent.
//
// Source: ADR 0012. Thread rule: one thread.
#pragma once

#include <optional>
#include <vector>

#include "cli/admin_client.h"
#include "cli/context.h"

namespace fleetseal::cli {

struct PermitWish {
  codec::Json from;  // rows of updates
  codec::Json to;
  std::vector<DeviceId> devices;  // or
  std::optional<PlanId> plan;
  int64_t valid_seconds = 0;
};
// The server's answer: the permit's detail. Codes of the signer.
Result<codec::Json> AskForPermit(Context& context, AdminClient& client, const PermitWish& wish);
// "acme/pump@1.1.0 (counter 2)".
std::string ReleaseText(const codec::Json& update);
// What comes next for the permit, in a line.
std::string NextForPermit(const codec::Json& detail);

}  // namespace fleetseal::cli

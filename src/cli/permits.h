// Verbs of the way back: permit request|list|show|approve|reject, and rollout roll-back.
//
// Source: trust model sections 2, 4 and 5; ADR 0012. What an approver signs is worked out on this machine from payload
// and manifests; the server's own words about them are not used. Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

struct PermitRequestOptions {
  std::string plan;                  // back to this plan's update, or
  std::string to;                    // back to this update
  std::vector<std::string> devices;  // on these devices
  std::string from;
  int64_t valid_seconds = 7 * 86400;
};
Status PermitRequest(Context& context, const PermitRequestOptions& options);
Status PermitList(Context& context, const std::string& state);
struct PermitShowOptions {
  std::string permit;
  std::string output;  // file for the signed permit; empty: none
};
Status PermitShow(Context& context, const PermitShowOptions& options);
// Checks on this machine that payload and manifests belong together, then signs the decision.
Status PermitDecide(Context& context, const std::string& permit, bool is_approval, const std::string& reason);

struct RollBackOptions {
  std::string rollout;  // the plan whose devices go back
  std::string to;       // empty: the release before
  int64_t valid_seconds = 7 * 86400;
};
// A plan back for the devices that installed the rollout's update, and, if a publisher's identity is at hand, the
// request for its permit.
Status RolloutRollBack(Context& context, const RollBackOptions& options);

}  // namespace fleetseal::cli

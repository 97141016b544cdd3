// Verbs of rollouts: plan, start, pause, resume, cancel, watch, list, show.
//
// Source: trust model section 2 (the director orders only inside a plan that an operator signed). One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/admin_client.h"
#include "manifest/person_documents.h"

namespace fleetseal::cli {

struct RolloutPlanOptions {
  std::string update;
  std::vector<std::string> devices;
  std::string group;
  std::string environment = "production";
  int64_t count_max = 0;  // with no devices and no group: any devices of product and environment, so many at most
  int64_t valid_seconds = 7 * 86400;
  int64_t deadline_seconds = 0;  // from now; 0: none
};
Status RolloutPlan(Context& context, const RolloutPlanOptions& options);
Status RolloutStart(Context& context, const std::string& plan_id);
// `action` is suspend (pause), resume or cancel.
Status RolloutControl(Context& context, const std::string& plan_id, manifest::RevocationAction action,
                      const std::string& reason);
// Until every device has ended, or the time is over (TimedOut). Refused if a device refused, failed or was cancelled;
// Conflict for a plan that was not started.
Status RolloutWatch(Context& context, const std::string& plan_id, int64_t timeout_seconds);
Status RolloutList(Context& context);
Status RolloutShow(Context& context, const std::string& plan_id);

}  // namespace fleetseal::cli

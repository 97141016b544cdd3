#include "sys/faults.h"

namespace fleetseal::sys {
namespace {

thread_local FaultPlan* current_plan = nullptr;

}  // namespace

ScopedFaults::ScopedFaults(FaultPlan& plan) : outer_(current_plan) { current_plan = &plan; }
ScopedFaults::~ScopedFaults() { current_plan = outer_; }

FaultDecision NextFault(FaultPoint) {
  if (current_plan == nullptr) return {true, 0};
  FaultPlan& plan = *current_plan;
  ++plan.steps;
  if (plan.fail_at == 0 || plan.steps < plan.fail_at) return {true, 0};
  if (plan.steps == plan.fail_at) return {plan.is_performed, plan.error};
  if (plan.is_crash) return {false, plan.error};
  return {true, 0};
}

}  // namespace fleetseal::sys

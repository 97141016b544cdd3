#include "cli/verify_place.h"

#include <algorithm>

#include "manifest/person_documents.h"
#include "manifest/receipt.h"
#include "manifest/typ.h"

namespace fleetseal::cli {
namespace {

std::optional<std::string> PlaceOfRequest(std::string_view payload, const Surroundings& around) {
  const auto request = manifest::SignRequest::Parse(payload);
  if (!request || !around.has_signatures) return std::nullopt;  // of another kind, or alone
  const bool is_here = std::ranges::any_of(
      around.releases, [&](const auto& release) { return release.manifest_sha256 == request->manifest_sha256; });
  if (is_here) return std::nullopt;
  return "it asks for another release than the one here";
}

std::optional<std::string> PlaceOfApproval(std::string_view payload, const Surroundings& around) {
  const auto approval = manifest::Approval::Parse(payload);
  if (!approval) return std::nullopt;
  const bool is_permit = approval->typ == manifest::kTypPermit;
  if (is_permit ? !around.has_permits : !around.has_signatures) return std::nullopt;
  const bool is_here = is_permit ? std::ranges::find(around.permits, approval->payload_sha256) != around.permits.end()
                                 : std::ranges::any_of(around.releases, [&](const auto& release) {
                                     return release.payload_sha256 == approval->payload_sha256;
                                   });
  if (is_here) return std::nullopt;
  return "it is about other words than those that were signed here";
}

bool IsInPlan(const manifest::Plan& plan, const manifest::Order& order) {
  if (order.plan_id != plan.plan_id || order.manifest_sha256 != plan.manifest_sha256) return false;
  return !plan.devices || std::ranges::find(*plan.devices, order.device_id) != plan.devices->end();
}

std::optional<std::string> PlaceOfPlan(std::string_view payload, const Surroundings& around) {
  const auto plan = manifest::Plan::Parse(payload);
  if (!plan || !around.has_orders) return std::nullopt;
  if (std::ranges::any_of(around.orders, [&](const auto& order) { return IsInPlan(*plan, order); }))
    return std::nullopt;
  return "no order here is of this plan";
}

bool IsAnswer(const manifest::Receipt& receipt, const manifest::Order& order) {
  if (receipt.order_id != order.order_id || receipt.device_id != order.device_id) return false;
  if (receipt.generation != order.generation) return false;
  return !receipt.manifest_sha256 || *receipt.manifest_sha256 == order.manifest_sha256;
}

std::optional<std::string> PlaceOfReceipt(std::string_view payload, const Surroundings& around) {
  const auto receipt = manifest::Receipt::Parse(payload);
  if (!receipt || !around.has_orders) return std::nullopt;
  if (std::ranges::any_of(around.orders, [&](const auto& order) { return IsAnswer(*receipt, order); }))
    return std::nullopt;
  return "it answers none of the orders here";
}

}  // namespace

std::optional<std::string> OutOfPlace(DocumentKind kind, std::string_view payload, const Surroundings& around) {
  switch (kind) {
    case DocumentKind::kRequest:
      return PlaceOfRequest(payload, around);
    case DocumentKind::kApproval:
      return PlaceOfApproval(payload, around);
    case DocumentKind::kPlan:
      return PlaceOfPlan(payload, around);
    case DocumentKind::kReceipt:
      return PlaceOfReceipt(payload, around);
    default:
      return std::nullopt;
  }
}

}  // namespace fleetseal::cli

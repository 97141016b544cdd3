#include "server/core/told_numbers.h"

#include <algorithm>

namespace fleetseal::server {

using api::device::CheckInRequest;
using api::device::Numbered;

namespace {

DirectorNumber NumberOf(const std::optional<Numbered>& told) {
  return told ? DirectorNumber{told->epoch, told->number} : DirectorNumber{};
}

}  // namespace

std::optional<LowerNumber> FindLower(const ToldNumbers& known, const CheckInRequest& request, bool is_same_agent) {
  if (known.generation != request.generation) return std::nullopt;
  const DirectorNumber known_package{0, known.package_version};
  const DirectorNumber package{0, request.package_version};
  if (package < known_package) return LowerNumber{"package", known_package, package};
  if (request.status && NumberOf(request.status) < known.status)
    return LowerNumber{"status", known.status, NumberOf(request.status)};
  // Trust model section 5: a package that raises the epoch takes status and order away, for as long as it takes until
  // the next ones come. So a status that is not there is never lower, and an order only while the epoch is the same.
  const bool has_lost_order = known.order != DirectorNumber{} && is_same_agent && package == known_package &&
                              request.status && request.status->epoch <= known.order.epoch;
  if (request.order ? NumberOf(request.order) < known.order : has_lost_order)
    return LowerNumber{"order", known.order, NumberOf(request.order)};
  return std::nullopt;
}

ToldNumbers Raised(const ToldNumbers& known, const CheckInRequest& request, UnixSeconds now) {
  ToldNumbers next = known;
  if (known.generation != request.generation) {
    next = ToldNumbers{};
    next.generation = request.generation;
  }
  next.package_version = std::max(next.package_version, request.package_version);
  next.status = std::max(next.status, NumberOf(request.status));
  next.order = std::max(next.order, NumberOf(request.order));
  if (next != known) next.risen = now;
  return next;
}

}  // namespace fleetseal::server

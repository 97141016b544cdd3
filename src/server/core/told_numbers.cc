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
  // Trust model section 5: a package may raise the epoch, and then there is no status and no order until the next ones.
  const bool may_lack = package > known_package || !is_same_agent;
  const auto is_lower = [&](const DirectorNumber& before, const std::optional<Numbered>& told) {
    return told ? NumberOf(told) < before : !may_lack && before != DirectorNumber{};
  };
  if (is_lower(known.status, request.status)) return LowerNumber{"status", known.status, NumberOf(request.status)};
  if (is_lower(known.order, request.order)) return LowerNumber{"order", known.order, NumberOf(request.order)};
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

// The numbers that only rise on a device: what it has told in check-ins, and whether a check-in fits.
//
// Source: trust model section 9, last paragraph: a package, status or order number below what is known shows a copy of
// the device, or a state that was turned back; ADR 0010. The agent's word, so it finds accidents and honest software on
// a copied disk, not a liar: receipts are for that. Thread rule: plain values, pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "api/device/messages.h"
#include "server/store/device_store.h"

namespace fleetseal::server {

// A request on a line that was lost may come so many seconds after later ones, and says what held when it was sent.
inline constexpr int64_t kCheckInLateSeconds = 600;

struct LowerNumber {
  std::string_view what;  // "package", "status", "order"
  DirectorNumber known;
  DirectorNumber told;
};
// The first number below what is known. A generation of its own starts anew, and so do status and order with a package
// that raises the epoch. `is_same_agent`: it is the program that told what is known, so a number that it leaves out now
// is lower too; another one may not know the member.
std::optional<LowerNumber> FindLower(const ToldNumbers& known, const api::device::CheckInRequest& request,
                                     bool is_same_agent);

// With what the request says, each number at its greatest.
ToldNumbers Raised(const ToldNumbers& known, const api::device::CheckInRequest& request, UnixSeconds now);

}  // namespace fleetseal::server
